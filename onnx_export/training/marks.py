"""Stage `marks`: what a voice makes of a mark that it is told before its sentence begins.

A question or an exclamation is said in another way from its first word on, and its mark stands behind the last. Where a
sentence has been written to its end before it is spoken, its first row tells the mark. What that changes is one vector
a mark. They are learned with all other weights held (Lester et al. 2021, "The Power of Scale for Parameter-Efficient
Prompt Tuning", section 2); then all weights learn to be told, on as much that is told nothing, and half of what that
changes is taken (`leg`).

The result goes into the generator's checkpoint. A generator that goes on learning after this is told no marks until
this stage has run again.
"""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from voicestack.runtime.cue_clock import COLUMN_STARTS
from voicestack.runtime.text.phones import begin_token

from .batches import Batch, collate_local
from .examples import Example, Examples
from .generator import (
    GOING_ON_DECAY,
    GOING_ON_PEAK,
    TRAIL_SHARE,
    checkpoint_of,
    descend,
    load_generator,
    loss_of,
    optimisers_of,
)
from .generator_model import Layer, LocalGenerator
from .leg import Trail, mean_of
from .local_objective import losses
from .marked_speech import KIND, speak
from .paths import WorkFolder
from .precision import bfloat16, fuse
from .progress import LossLog, trapezoid

STRENGTHS = {"?": 1.5, "!": 1.2}
"""How far each vector is followed, 1 being as learned.

Learned behind the teacher's history, vectors do less to a voice that hears itself: at 1.1 and 1.3 joe's exclamations
were higher than his statements by 1.4 and 1.9 semitones, the teacher's by 1.6.
"""
_SHARDS = 25
_VECTOR_STEPS, _VECTOR_ROWS, _VECTOR_RATE = 100, 2000, 0.02
_LEG_STEPS, _LEG_ROWS = 180, 1500
_LEG_SHARE = 0.5
"""How much of the leg is taken: with all of one, a quarter more words were misheard."""
_SEED = 3


def learn(folder: WorkFolder) -> None:
    """Let the teacher speak what is learned from, learn, and put the result into the generator's checkpoint.

    Returns at once where it is there. An hour on one core; what is cut off begins anew, but for the teacher's shards.
    """
    model, state = load_generator(folder)
    assert isinstance(model, LocalGenerator)
    if "foretold_marks" in state["data"]:
        return
    plain, marked, log = Examples(folder), Examples(folder, KIND), LossLog(folder.stage("marks"))
    plain.refresh()
    speak(folder, _SHARDS)
    marked.refresh()
    untold = _cost(model, marked.validation(), foretold=False)
    fuse([module for module in model.modules() if isinstance(module, Layer)])
    _learn_vectors(model, marked, log)
    _learn_all(model, marked, plain, log)
    _follow(model)
    told = _cost(model, marked.validation(), foretold=True)
    log.write(step=_LEG_STEPS, untold=untold, told=told)
    print(f"nats in the first three layers of marked sentences never learned from: untold {untold}, told {told}")
    state["model"] = model.state_dict()
    state["data"]["foretold_marks"] = list(STRENGTHS)
    state["data"]["hours"] = round(state["data"]["hours"] + marked.facts()["hours"], 2)
    checkpoint_of(folder, "local").save(lambda: state, force=True)


def _learn_vectors(model: LocalGenerator, marked: Examples, log: LossLog) -> None:
    """Learn the rows that tell marks, which begin as the row that tells none, and nothing else."""
    model.requires_grad_(False)
    table = model.text_table.weight
    rows = torch.tensor([_row(mark) for mark in STRENGTHS])
    table[rows] = table[_row("")].clone()
    learning = torch.zeros(len(table), 1).index_fill(0, rows, 1.0)
    masked = table.requires_grad_(True).register_hook(lambda gradient: gradient * learning)
    optimiser = torch.optim.Adam([{"params": [table], "base_lr": _VECTOR_RATE}], betas=(0.9, 0.95))
    for step in tqdm(range(_VECTOR_STEPS), desc="vectors"):
        draws = np.random.default_rng([_SEED, step])
        batch = collate_local(marked.batch(draws, _VECTOR_ROWS), draws, foretold=True)
        factor = trapezoid(step, warm_up=5, total=_VECTOR_STEPS, decay_share=0.5)
        _take_step(model, {"adam": optimiser}, [batch], step, factor, log)
    masked.remove()
    model.requires_grad_(True)


def _learn_all(model: LocalGenerator, marked: Examples, plain: Examples, log: LossLog) -> None:
    """A leg of all weights, half of it told the marks, half told nothing; a share of it is taken."""
    begun = {name: value.clone() for name, value in model.state_dict().items()}
    trail, optimisers = Trail(), optimisers_of(model)
    for step in tqdm(range(_LEG_STEPS), desc="all weights"):
        draws = np.random.default_rng([_SEED, _VECTOR_STEPS + step])
        told = collate_local(marked.batch(draws, _LEG_ROWS), draws, foretold=True)
        batches = [told, collate_local(plain.batch(draws, _LEG_ROWS), draws)]
        factor = GOING_ON_PEAK * trapezoid(step, warm_up=30, total=_LEG_STEPS, decay_share=GOING_ON_DECAY)
        _take_step(model, optimisers, batches, _VECTOR_STEPS + step, factor, log)
        if _LEG_STEPS - step <= TRAIL_SHARE * _LEG_STEPS:
            trail.follow(model.state_dict())
    model.load_state_dict(mean_of(begun, trail.mean, _LEG_SHARE))


def _take_step(
    model: LocalGenerator,
    optimisers: dict[str, torch.optim.Optimizer],
    batches: list[Batch],
    step: int,
    factor: float,
    log: LossLog,
) -> None:
    """One step on the mean of the batches' losses, at `factor` times the base learning rates."""
    generator = torch.Generator().manual_seed(step)
    with bfloat16():
        loss = torch.stack([loss_of(model, "local", batch, generator)[0] for batch in batches]).mean()
    descend(model, optimisers, loss, factor)
    log.write(step=step, loss=loss.item())


@torch.no_grad()
def _follow(model: LocalGenerator) -> None:
    """Move the rows that tell marks as far from the one that tells none as they are to be followed."""
    table = model.text_table.weight
    for mark, strength in STRENGTHS.items():
        table[_row(mark)] = torch.lerp(table[_row("")], table[_row(mark)], strength)


def _row(mark: str) -> int:
    """The row of the embedding table that tells a mark."""
    return COLUMN_STARTS[1] + begin_token(mark)[1]


@torch.no_grad()
def _cost(model: LocalGenerator, unseen: list[Example], *, foretold: bool) -> list[float]:
    batch = collate_local(unseen, np.random.default_rng(0), foretold=foretold)
    layers: Tensor = losses(model, batch, batch.history, None)[2]
    return [round(float(nll), 4) for nll in layers[:3]]
