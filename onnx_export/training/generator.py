"""Stage `generator`: backbone and local head on the codes of the frozen codec."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from voicestack.onnx_export.specs import GeneratorConfig

from . import curves
from .audio import VALIDATION_SHARDS
from .codec import analyse, load_analysis
from .data import Utterance, read_shard
from .generator_model import Generator
from .muon import Muon
from .paths import WorkFolder
from .precision import bfloat16, fuse
from .progress import Checkpoint, LossLog, set_learning_rate, trapezoid
from .serialise import FRAME_S, Rows, serialise, timed_tokens

_SEED = 2
_ROWS_PER_STEP = 3000
_VALIDATION_UTTERANCES = 48
_LAYER_WEIGHTS = torch.tensor([3.0] * 3 + [2.0] * 3 + [1.0] * 26)
_SHALLOW_DEPTH = 8
_FULL_SHARE, _SHALLOW_SHARE = 0.02, 0.4
"""Shares of the frames whose stack is scored at full depth, and at 8 layers only; channel 0 is scored on every one."""

_REGRESSION_WEIGHT = 6.0
_HIDDEN_MATRICES = ("code_in.weight", "local_in.weight")
_LAYER_STACKS = ("local_out", "local_code_in")
"""One matrix per layer; the deep layers are scored on few frames, so they take smaller steps."""


@dataclass(frozen=True, slots=True)
class Example:
    """An utterance without its sound: what serialisation needs. codes: int16 [frames, n_vq]."""

    words: list[tuple[str, tuple[str, ...], str]]
    onsets_s: list[float]
    length_scale: float
    codes: NDArray[np.int16]


class Examples:
    """Examples of the finished shards, encoded once per shard and kept beside the checkpoints."""

    def __init__(self, folder: WorkFolder) -> None:
        self._folder = folder
        self._encoder, self._quantiser = load_analysis(folder)
        self._shards: dict[str, list[Example]] = {}

    @property
    def codebooks(self) -> Tensor:
        """The codebooks the codes are of, float32 [n_vq, 1024, latent]."""
        return self._quantiser.codebooks

    def refresh(self) -> None:
        """Take in shards that were finished since the last call."""
        cache = self._folder.stage("codes")
        for path in self._folder.shard_files():
            if path.stem in self._shards:
                continue
            utterances = list(read_shard(path))
            kept = cache / f"{path.stem}.npz"
            if not kept.exists():
                codes = [self.encode(utterance) for utterance in utterances]
                np.savez(kept, codes=np.concatenate(codes), ends=np.cumsum([len(c) for c in codes]))
            with np.load(kept) as arrays:
                split = np.split(arrays["codes"], arrays["ends"][:-1])
            self._shards[path.stem] = [
                Example(u.words, u.onsets_s, u.length_scale, codes) for u, codes in zip(utterances, split, strict=True)
            ]

    def encode(self, utterance: Utterance) -> NDArray[np.int16]:
        """Codes int16 [frames, n_vq] of one utterance, zero-padded to whole frames."""
        codes = analyse(self._encoder, self._quantiser, utterance.pcm.astype(np.float32) / 32768.0)
        return codes.numpy().astype(np.int16)

    def validation(self) -> list[Example]:
        """Utterances of the first shard, never trained on."""
        return next(iter(self._shards.values()))[:_VALIDATION_UTTERANCES]

    def batch(self, draws: np.random.Generator, rows: int) -> list[Example]:
        """Examples of similar length, about `rows` frames together."""
        names = list(self._shards)[VALIDATION_SHARDS:]
        pool: list[Example] = []
        for name in draws.choice(names, size=min(4, len(names)), replace=False):
            pool += self._shards[name]
        pool.sort(key=lambda example: len(example.codes))
        start = int(draws.integers(len(pool)))
        chosen, total = [], 0
        for example in pool[start:] + pool[:start][::-1]:
            if total >= rows:
                break
            chosen.append(example)
            total += len(example.codes)
        return chosen


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded: text_ids [B, S, 9], history [B, S, n_vq], channel [B, S] (-1: not scored), codes [B, S, n_vq]."""

    text_ids: Tensor
    history: Tensor
    channel: Tensor
    codes: Tensor


def collate(examples: list[Example], draws: np.random.Generator) -> Batch:
    """Serialise and pad; a random part of the utterances carries its length."""
    rows: list[Rows] = []
    for example in examples:
        end_s = len(example.codes) * FRAME_S
        tokens, starts_s = timed_tokens(example.words, example.onsets_s, end_s, draws)
        with_length = bool(draws.random() < (0.35 if example.length_scale == 1.0 else 0.85))
        rows.append(serialise(tokens, starts_s, example.codes.astype(np.int64), with_length=with_length))
    size, steps = len(rows), max(len(row.text_ids) for row in rows)
    n_vq = rows[0].codes.shape[1]
    text_ids = np.zeros((size, steps, rows[0].text_ids.shape[1]), np.int64)
    history = np.full((size, steps, n_vq), 1024, np.int64)
    channel = np.full((size, steps), -1, np.int64)
    codes = np.full((size, steps, n_vq), 1024, np.int64)
    for place, row in enumerate(rows):
        length = len(row.text_ids)
        text_ids[place, :length] = row.text_ids
        history[place, :length] = row.codes
        channel[place, row.prefix - 1 : length] = row.channel
        codes[place, row.prefix - 1 : length - 1] = row.codes[row.prefix :]
    return Batch(*(torch.from_numpy(array) for array in (text_ids, history, channel, codes)))


def spoil(history: Tensor, generator: torch.Generator) -> Tensor:
    """History as imperfect as at generation: some codes wrong, some frames gone, some utterances cut to a depth."""
    size, steps, n_vq = history.shape
    heard = history != 1024
    rate = torch.rand(size, 1, 1, generator=generator) * 0.15
    wrong = torch.rand(history.shape, generator=generator) < rate
    noise = torch.randint(0, 1024, history.shape, generator=generator)
    spoiled = torch.where(wrong & heard, noise, history)
    gone = torch.rand(size, steps, 1, generator=generator) < 0.12
    depth = torch.randint(1, n_vq + 1, (size, 1, 1), generator=generator)
    depth[torch.rand(size, 1, 1, generator=generator) < 0.7] = n_vq
    return torch.where(gone | (torch.arange(n_vq) >= depth), 1024, spoiled)


def losses(
    model: Generator, batch: Batch, history: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(weighted loss, channel NLL, NLL per layer [n_vq]); without a generator every frame is scored at full depth."""
    hidden = model.backbone(batch.text_ids, history)
    regression = _regression(model, hidden, batch.codes) if generator is not None else torch.zeros(())
    scored = batch.channel >= 0
    hidden, channel, codes = hidden[scored], batch.channel[scored], batch.codes[scored]
    spoken = codes[:, 0] != 1024
    draw = torch.zeros(len(codes)) if generator is None else torch.rand(len(codes), generator=generator)
    full = spoken & (draw < _FULL_SHARE)
    shallow = spoken & ~full & (draw < _FULL_SHARE + _SHALLOW_SHARE)
    rest = ~(full | shallow)
    n_vq = codes.shape[1]
    parts = [(full, n_vq), (shallow, _SHALLOW_DEPTH), (rest, 0)]
    channel_total, layer_sums, layer_counts = torch.zeros(()), [torch.zeros(())] * n_vq, [0] * n_vq
    for chosen, depth in parts:
        count = int(chosen.sum())
        if not count:
            continue
        channel_logits, logits = model.local(hidden[chosen], channel[chosen], codes[chosen][:, :depth])
        channel_total = channel_total + F.cross_entropy(channel_logits, channel[chosen], reduction="sum")
        for layer, layer_logits in enumerate(logits):
            layer_sums[layer] = layer_sums[layer] + F.cross_entropy(
                layer_logits, codes[chosen][:, layer], reduction="sum"
            )
            layer_counts[layer] += count
    channel_nll = channel_total / len(channel)
    layers_nll = torch.stack([total / max(1, count) for total, count in zip(layer_sums, layer_counts, strict=True)])
    weights = _LAYER_WEIGHTS[:n_vq]
    loss = 3 * channel_nll + (layers_nll * weights).sum() / weights.sum() * 3 + _REGRESSION_WEIGHT * regression
    return loss, channel_nll, layers_nll


def _regression(model: Generator, hidden: Tensor, codes: Tensor) -> Tensor:
    """Share of the latent's energy that a linear map of the hidden state leaves unexplained, over all spoken frames."""
    spoken = codes[..., 0] != 1024
    chosen = codes[spoken]
    latent = model.codebooks[torch.arange(chosen.shape[-1]), chosen].sum(1)
    return F.mse_loss(model.latent_out(hidden[spoken]), latent) / latent.var()


def train(folder: WorkFolder, *, steps: int) -> None:
    """Train to `steps`; resumes from the checkpoint, and returns at once when they are done."""
    stage = folder.stage("generator")
    checkpoint, log = Checkpoint(stage / "generator.pt"), LossLog(stage)
    examples = Examples(folder)
    model, optimisers = _build(examples.codebooks)
    first = _restore(checkpoint, model, optimisers)
    if first >= steps:
        return
    fuse([*model.layers, *model.local_layers])
    for step in tqdm(range(first, steps), desc="generator", initial=first, total=steps):
        if step == first or step % 100 == 0:
            examples.refresh()
        draws, generator = np.random.default_rng([_SEED, step]), torch.Generator().manual_seed(step)
        for optimiser in optimisers.values():
            set_learning_rate(optimiser, trapezoid(step, warm_up=30, total=steps))
        batch = collate(examples.batch(draws, _ROWS_PER_STEP), draws)
        with bfloat16():
            loss, channel_nll, layers_nll = losses(model, batch, spoil(batch.history, generator), generator)
        for optimiser in optimisers.values():
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimiser in optimisers.values():
            optimiser.step()
        if step % 10 == 0:
            log.write(step=step, loss=loss.item(), channel=channel_nll.item(), layers=_rounded(layers_nll))
        if (step + 1) % 200 == 0 or step + 1 == steps:
            log.write(step=step + 1, **_validate(model, examples))
            curves.draw(stage / "log.jsonl", stage / "curves.png", "generator")
        checkpoint.save(partial(_state, step + 1, model, optimisers), force=step + 1 == steps)


def load_generator(folder: WorkFolder) -> Generator:
    """The trained generator of a checkpoint, in evaluation mode."""
    model = Generator(GeneratorConfig(), load_analysis(folder)[1].codebooks)
    state = torch.load(folder.stage("generator") / "generator.pt", weights_only=True)
    model.load_state_dict(state["model"])
    return model.eval()


@torch.no_grad()
def _validate(model: Generator, examples: Examples) -> dict[str, Any]:
    draws = np.random.default_rng(0)
    batch = collate(examples.validation(), draws)
    _, channel_nll, layers_nll = losses(model, batch, batch.history, None)
    return {"validation_channel": channel_nll.item(), "validation_layers": _rounded(layers_nll)}


def _build(codebooks: Tensor) -> tuple[Generator, dict[str, torch.optim.Optimizer]]:
    torch.manual_seed(_SEED)
    model = Generator(GeneratorConfig(), codebooks)
    matrices: list[Tensor] = []
    stacks: list[Tensor] = []
    others: list[Tensor] = []
    for name, parameter in model.named_parameters():
        hidden = ("layers." in name and parameter.ndim == 2) or name in _HIDDEN_MATRICES
        (matrices if hidden else stacks if name in _LAYER_STACKS else others).append(parameter)
    adam = torch.optim.AdamW([{"params": others, "base_lr": 2e-3}], betas=(0.9, 0.95), weight_decay=0.0)
    return model, {"muon": Muon(matrices, base_lr=0.02), "stacks": Muon(stacks, base_lr=0.006), "adam": adam}


def _rounded(values: Tensor) -> list[float]:
    return [round(float(value), 3) for value in values]


def _state(step: int, model: Generator, optimisers: dict[str, torch.optim.Optimizer]) -> dict[str, Any]:
    return {"step": step, "model": model.state_dict(), **{k: o.state_dict() for k, o in optimisers.items()}}


def _restore(checkpoint: Checkpoint, model: Generator, optimisers: dict[str, torch.optim.Optimizer]) -> int:
    state = checkpoint.load()
    if state is None:
        return 0
    model.load_state_dict(state["model"])
    for name, optimiser in optimisers.items():
        if name in state:  # Kept weights come without.
            optimiser.load_state_dict(state[name])
    return int(state["step"])
