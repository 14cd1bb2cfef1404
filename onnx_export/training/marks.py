"""Stage `marks`: what a voice makes of a mark that it is told before its sentence begins.

A question or an exclamation is said in another way from its first word on, and its mark stands behind the last. Where a
sentence has been written to its end before it is spoken, its first row tells the mark. What that changes is one vector
a mark, learned with all other weights held (Lester et al. 2021, "The Power of Scale for Parameter-Efficient Prompt
Tuning", section 2), so what is told no mark is said as before, to the bit.

The vectors go into the generator's checkpoint. A generator that goes on learning after this is told no marks until this
stage has run again.
"""

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from voicestack.runtime.cue_clock import COLUMN_STARTS
from voicestack.runtime.text.phones import begin_token

from .batches import collate_local
from .examples import Example, Examples
from .generator import checkpoint_of, load_generator, loss_of
from .generator_model import Layer, LocalGenerator
from .local_objective import losses
from .marked_speech import KIND, speak
from .paths import WorkFolder
from .precision import bfloat16, fuse
from .progress import LossLog, set_learning_rate, trapezoid

STRENGTHS = {"?": 1.5, "!": 0.0}
"""How far each vector is followed, 1 being as learned; a mark whose vector is not followed is not told.

Learned behind the teacher's history, vectors do less to a voice that hears itself. joe said 200 sentences with marks of
chance, and the frames of `prosody`. Of 785 words of questions 77 were misheard untold, 94 and 85 at 1 and 1.5 (the
teacher's 89), and the end rose by 2.2 semitones untold, by 4.2 at 1.5 (4.4). Of 729 words of exclamations 96 were
misheard, 116 and 143 (80), and they were 0.0, 0.6 and 1.1 semitones higher (1.6); of 1,506 words of 42 natural
exclamations, three sayings each, 202, 203 and 238 (180). What costs words is not told, and 0.6 semitones are hardly
heard.
"""
_SHARDS = 20
_STEPS, _FRAMES_PER_STEP = 100, 2000
_RATE = 0.02
_SEED = 3


def learn(folder: WorkFolder) -> None:
    """Let the teacher speak what is learned from, learn, and keep the vectors in the generator's checkpoint.

    Returns at once where it has them.
    """
    model, state = load_generator(folder)
    assert isinstance(model, LocalGenerator)
    if "foretold_marks" in state["data"]:
        return
    speak(folder, _SHARDS)
    examples = Examples(folder, KIND)
    examples.refresh()
    log = LossLog(folder.stage("marks"))
    optimiser = _only_vectors(model)
    before = _cost(model, examples.validation())
    fuse([module for module in model.modules() if isinstance(module, Layer)])
    for step in tqdm(range(_STEPS), desc="marks"):
        draws, generator = np.random.default_rng([_SEED, step]), torch.Generator().manual_seed(step)
        set_learning_rate(optimiser, trapezoid(step, warm_up=5, total=_STEPS, decay_share=0.5))
        batch = collate_local(examples.batch(draws, _FRAMES_PER_STEP), draws, foretold=True)
        with bfloat16():
            loss, _, _ = loss_of(model, "local", batch, generator)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        log.write(step=step, loss=loss.item())
    after = _cost(model, examples.validation())
    _follow(model)
    log.write(step=_STEPS, untold=before, told=after)
    print(f"nats in the first three layers of marked sentences never learned from: untold {before}, told {after}")
    state["model"] = model.state_dict()
    state["data"]["foretold_marks"] = [mark for mark, strength in STRENGTHS.items() if strength]
    checkpoint_of(folder, "local").save(lambda: state, force=True)


def _only_vectors(model: LocalGenerator) -> torch.optim.Optimizer:
    """An optimiser of the rows that tell marks, which begin as the row that tells none."""
    model.requires_grad_(False)
    table = model.text_table.weight
    rows = torch.tensor([_row(mark) for mark in STRENGTHS])
    table[rows] = table[_row("")].clone()
    learning = torch.zeros(len(table), 1).index_fill(0, rows, 1.0)
    table.requires_grad_(True).register_hook(lambda gradient: gradient * learning)
    return torch.optim.Adam([{"params": [table], "base_lr": _RATE}], betas=(0.9, 0.95))


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
def _cost(model: LocalGenerator, unseen: list[Example]) -> list[float]:
    batch = collate_local(unseen, np.random.default_rng(0), foretold=True)
    layers: Tensor = losses(model, batch, batch.history, None)[2]
    return [round(float(nll), 4) for nll in layers[:3]]
