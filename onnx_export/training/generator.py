"""Stage `generator`: backbone and head on the codes of the frozen codec."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from voicestack.onnx_export.specs import GeneratorConfig
from voicestack.runtime.errors import InputError

from . import curves, delay_objective, local_objective
from .batches import Batch, collate_delay, collate_local, spoil
from .codec import load_analysis
from .examples import Example, Examples
from .generator_model import LAYER_STACKS, DelayGenerator, Generator, Layer, LocalGenerator
from .inherit import inherited, take_over
from .leg import Trail, best_mean
from .muon import Muon
from .paths import WorkFolder
from .precision import bfloat16, fuse
from .progress import DECAY_SHARE, Checkpoint, LossLog, save_whole, set_learning_rate, trapezoid
from .voices import SAMPLING, recipe_of

HeadKind = Literal["local", "delay"]

_SEED = 2
_LAYER_WEIGHTS: dict[HeadKind, list[float]] = {
    # Few frames are scored below layer 8, where little can be foreseen: at full weight that noise drowns the words.
    "local": [4.0] * 3 + [3.0] + [2.0] * 2 + [1.5] * 2 + [0.3] * 24,
    "delay": [3.0] * 3 + [2.0] * 3 + [1.0] * 26,
}
GOING_ON_PEAK, GOING_ON_DECAY = 0.5, 0.5
"""The learning rate, as a share of the first one, at which kept weights go on learning, and how long it then falls."""
TRAIL_SHARE = 0.85
"""The last part of a leg, whose steps its mean is of; before, the weights are on their way from where it began."""
_REGRESSION_WEIGHT = 6.0
_ROUNDING = 1e-2
"""How far codebooks may differ that are the same, one of them kept in half precision, as a share of their spread."""
_BEGUN_FILE = "begun.pt"
"""The weights a leg began with, until it ends."""
_HIDDEN_MATRICES = ("code_in.weight", "local_in.weight")

STAGES: dict[HeadKind, str] = {"local": "generator", "delay": "delay"}
"""The work folder's name for the generator of each head."""


@dataclass(frozen=True, slots=True)
class _Recipe:
    """What differs between the heads; an utterance of a delay head has `n_vq` rows more than it has frames.

    usual_depth: of the history that a voice goes on from.
    """

    head: HeadKind
    model: Callable[[GeneratorConfig, Tensor], Any]
    collate: Callable[[list[Example], np.random.Generator], Batch]
    losses: Callable[[Any, Batch, Tensor, torch.Generator | None], tuple[Tensor, Tensor, Tensor]]
    frames_per_step: int
    usual_depth: int


_RECIPES: dict[HeadKind, _Recipe] = {
    "local": _Recipe("local", LocalGenerator, collate_local, local_objective.losses, 3000, SAMPLING.depth),
    "delay": _Recipe("delay", DelayGenerator, collate_delay, delay_objective.losses, 2000, GeneratorConfig().n_vq),
}


def train(folder: WorkFolder, *, steps: int, head: HeadKind = "local") -> None:
    """Train to `steps`; resumes from the checkpoint, and returns at once when they are done.

    Kept weights, which have no optimiser's state, go on with a schedule of their own that begins at their step; so does
    a voice that begins with another's. The former end with a mean of their steps and of where they began (`leg`).
    A delay voice begins with the backbone of the local one, if there is one: what text sounds like is the same to both.
    """
    stage, recipe = folder.stage(STAGES[head]), _RECIPES[head]
    checkpoint, log, begun = checkpoint_of(folder, head), LossLog(stage), stage / _BEGUN_FILE
    examples = Examples(folder)
    model, optimisers = _build(recipe, _config(folder, head), examples.codebooks)
    trail = Trail()
    first, since = _restore(checkpoint, model, optimisers, trail)
    if first >= steps:
        return
    origin = inherited(folder, "generator.pt") if head == "local" else None
    peak, decay = (GOING_ON_PEAK, GOING_ON_DECAY) if since or origin else (1.0, DECAY_SHARE)
    if first and first == since:
        save_whole(model.state_dict(), begun)
    if first == 0 and origin:
        take_over(model, origin["model"])
    if first == 0 and head == "delay":
        _take_backbone(checkpoint_of(folder, "local"), model)
    fuse([module for module in model.modules() if isinstance(module, Layer)])
    for step in tqdm(range(first, steps), desc=STAGES[head], initial=first, total=steps):
        if step == first or step % 100 == 0:
            examples.refresh()
        draws, generator = np.random.default_rng([_SEED, step]), torch.Generator().manual_seed(step)
        factor = peak * trapezoid(step - since, warm_up=30, total=steps - since, decay_share=decay)
        batch = recipe.collate(examples.batch(draws, recipe.frames_per_step), draws)
        with bfloat16():
            loss, channel_nll, layers_nll = loss_of(model, head, batch, generator)
        descend(model, optimisers, loss, factor)
        if since and steps - step <= TRAIL_SHARE * (steps - since):
            trail.follow(model.state_dict())
        if step % 10 == 0:
            log.write(step=step, loss=loss.item(), channel=channel_nll.item(), layers=_rounded(layers_nll))
        if (step + 1) % 200 == 0:
            _report(stage, log, step + 1, model, recipe, examples)
        if step + 1 < steps:
            checkpoint.save(partial(_state, step + 1, since, model, optimisers, examples, trail))
    if trail.steps and begun.exists():
        _end_leg(model, recipe, torch.load(begun, weights_only=True), trail, examples.validation())
        optimisers, trail = {}, Trail()
    _report(stage, log, steps, model, recipe, examples)
    checkpoint.save(partial(_state, steps, since, model, optimisers, examples, trail), force=True)


def checkpoint_of(folder: WorkFolder, head: HeadKind) -> Checkpoint:
    """Where a generator with such a head is kept."""
    return Checkpoint(folder.stage(STAGES[head]) / f"{STAGES[head]}.pt")


def load_generator(folder: WorkFolder, head: HeadKind = "local") -> tuple[Generator, dict[str, Any]]:
    """The trained generator of a checkpoint, in evaluation mode, and the rest of the checkpoint."""
    model = _RECIPES[head].model(_config(folder, head), load_analysis(folder)[1].codebooks)
    checkpoint = checkpoint_of(folder, head)
    state = checkpoint.load()
    if state is None:
        raise InputError(
            f"{checkpoint.path}: no such file; train a {head} head first (`generator --head {head}`), or stand in a "
            "clone of the repository, which keeps weights of some voices, and give a new --work"
        )
    _load(model, state["model"], checkpoint.path)
    return model.eval(), state


def _load(model: Generator, weights: dict[str, Tensor], path: Path) -> None:
    """Load a generator's weights; InputError when they learned another codec's codes, and would make noise."""
    own = model.codebooks
    if not torch.allclose(weights["codebooks"].float(), own, rtol=0, atol=_ROUNDING * float(own.std())):
        raise InputError(
            f"{path} learned the codes of another codec than the one beside it; delete it to train a generator of this "
            "codec, or give another --work"
        )
    model.load_state_dict(weights)


def loss_of(
    model: Generator, head: HeadKind, batch: Batch, generator: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """(weighted loss, channel NLL, NLL per layer [n_vq]) of one training step."""
    recipe = _RECIPES[head]
    history = spoil(batch.history, generator, recipe.usual_depth)
    hidden, channel_nll, layers_nll = recipe.losses(model, batch, history, generator)
    loss = _weighted(recipe, channel_nll, layers_nll) + _REGRESSION_WEIGHT * _regression(model, hidden, batch.stacks)
    return loss, channel_nll, layers_nll


def descend(model: Generator, optimisers: Mapping[str, torch.optim.Optimizer], loss: Tensor, factor: float) -> None:
    """One step of all weights down the gradient of a loss, at `factor` times the base learning rates."""
    for optimiser in optimisers.values():
        set_learning_rate(optimiser, factor)
        optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    for optimiser in optimisers.values():
        optimiser.step()


def _weighted(recipe: _Recipe, channel_nll: Tensor, layers_nll: Tensor) -> Tensor:
    weights = torch.tensor(_LAYER_WEIGHTS[recipe.head][: len(layers_nll)])
    return 3 * channel_nll + 3 * (layers_nll * weights).sum() / weights.sum()


def _regression(model: Generator, hidden: Tensor, stacks: Tensor) -> Tensor:
    """Share of the latent's energy that a linear map of the hidden state leaves unexplained, over all spoken frames."""
    spoken = stacks[..., 0] != 1024
    chosen = stacks[spoken]
    latent = model.codebooks[torch.arange(chosen.shape[-1]), chosen].sum(1)
    return F.mse_loss(model.latent_out(hidden[spoken]), latent) / latent.var()


@torch.no_grad()
def _end_leg(model: Generator, recipe: _Recipe, begun: dict[str, Tensor], trail: Trail, unseen: list[Example]) -> None:
    """Give the model the mean of the leg's steps and of where it began that foretells unseen speech best."""
    batch = recipe.collate(unseen, np.random.default_rng(0))

    def cost(weights: Mapping[str, Tensor]) -> float:
        model.load_state_dict(weights)
        _, channel_nll, layers_nll = recipe.losses(model, batch, batch.history, None)
        return float(_weighted(recipe, channel_nll, layers_nll))

    share, mean = best_mean(begun, trail.mean, cost)
    model.load_state_dict(mean)
    print(f"{share:.0%} of this leg and {1 - share:.0%} of where it began foretell unseen speech best, and are taken")


def _report(stage: Path, log: LossLog, step: int, model: Generator, recipe: _Recipe, examples: Examples) -> None:
    log.write(step=step, **_validate(model, recipe, examples))
    curves.draw(stage / "log.jsonl", stage / "curves.png", STAGES[recipe.head])
    curves.draw_layers(stage / "log.jsonl", stage / "layers.png", model.config.codebook)


@torch.no_grad()
def _validate(model: Generator, recipe: _Recipe, examples: Examples) -> dict[str, Any]:
    """NLL of speech that is never trained on, and of speech that is: what is learned by heart parts them."""
    costs: dict[str, Any] = {}
    for name, chosen in (("validation", examples.validation()), ("known", examples.known())):
        batch = recipe.collate(chosen, np.random.default_rng(0))
        _, channel_nll, layers_nll = recipe.losses(model, batch, batch.history, None)
        costs |= {f"{name}_channel": channel_nll.item(), f"{name}_layers": _rounded(layers_nll)}
    return costs


def _config(folder: WorkFolder, head: HeadKind) -> GeneratorConfig:
    return GeneratorConfig(head=head, layers=recipe_of(folder).layers)


def _build(
    recipe: _Recipe, config: GeneratorConfig, codebooks: Tensor
) -> tuple[Generator, dict[str, torch.optim.Optimizer]]:
    torch.manual_seed(_SEED)
    model = recipe.model(config, codebooks)
    return model, optimisers_of(model)


def optimisers_of(model: Generator) -> dict[str, torch.optim.Optimizer]:
    """What all weights learn with: Muon for what lies between hidden vectors, AdamW for the rest."""
    matrices: list[Tensor] = []
    stacks: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in model.named_parameters():
        hidden = ("layers." in name and parameter.ndim == 2) or name in _HIDDEN_MATRICES
        (matrices if hidden else stacks if name in LAYER_STACKS else others).append(parameter)
    adam = torch.optim.AdamW([{"params": others, "base_lr": 2e-3}], betas=(0.9, 0.95), weight_decay=0.0)
    return {"muon": Muon(matrices, base_lr=0.02), "stacks": Muon(stacks, base_lr=0.006), "adam": adam}


def _take_backbone(checkpoint: Checkpoint, model: Generator) -> None:
    """Begin with what another generator's backbone has learned, if there is one."""
    own, state = model.state_dict(), checkpoint.load()
    if state is not None:
        shared = {name: value for name, value in state["model"].items() if not name.startswith("channel_out.")}
        _load(model, own | {name: value for name, value in shared.items() if name in own}, checkpoint.path)


def _rounded(values: Tensor) -> list[float]:
    return [round(float(value), 3) for value in values]


def _state(
    step: int,
    since: int,
    model: Generator,
    optimisers: dict[str, torch.optim.Optimizer],
    examples: Examples,
    trail: Trail,
) -> dict[str, Any]:
    learned = {"step": step, "since": since, "data": examples.facts(), "model": model.state_dict()}
    if trail.steps:
        learned["trail"] = trail.state()
    return learned | {name: optimiser.state_dict() for name, optimiser in optimisers.items()}


def _restore(
    checkpoint: Checkpoint, model: Generator, optimisers: dict[str, torch.optim.Optimizer], trail: Trail
) -> tuple[int, int]:
    """The checkpoint's step, and the step at which its schedule began."""
    state = checkpoint.load()
    if state is None:
        return 0, 0
    _load(model, state["model"], checkpoint.path)
    step = int(state["step"])
    if not all(name in state for name in optimisers):  # Kept weights come without.
        return step, step
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict(state[name])
    if "trail" in state:
        trail.load(state["trail"])
    return step, int(state.get("since", 0))
