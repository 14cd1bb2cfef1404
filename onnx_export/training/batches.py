"""Rows of many utterances as one padded batch, for either head, and what is done to its history."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .dropout import settle
from .examples import Example, written
from .serialise import Rows


@dataclass(frozen=True, slots=True)
class Batch:
    """Right-padded, int64: text_ids [B, S, 9], history, stacks, codes [B, S, n_vq], channel [B, S] (-1: not scored).

    A row's `stacks` are the codes of the frame it begins, `codes` those its head is to make: the same for a local head,
    for a delay head layer j of the frame j rows back. 1024 is none.
    """

    text_ids: Tensor
    history: Tensor
    channel: Tensor
    stacks: Tensor
    codes: Tensor


def collate_local(examples: list[Example], draws: np.random.Generator, *, foretold: bool = False) -> Batch:
    """A batch for a local head; `foretold` as `written` takes it."""
    rows = written(examples, draws, foretold=foretold)
    text_ids, channel, stacks = _padded(rows)
    return _batch(text_ids, channel, stacks, stacks)


def collate_delay(examples: list[Example], draws: np.random.Generator) -> Batch:
    """A batch for a delay head: every utterance goes on until the last layer of its last frame is made."""
    n_vq = examples[0].codes.shape[1]
    rows = written(examples, draws, flush=max(n_vq - 2, 0))
    text_ids, channel, stacks = _padded(rows)
    # The row of END makes layer 1 and on of the last frame.
    return _batch(text_ids, channel, stacks, delayed(stacks))


def delayed(stacks: NDArray[np.int64]) -> NDArray[np.int64]:
    """Layer j moved j rows on; int64 [B, S, n_vq] both, 1024 where nothing comes in."""
    codes = np.full_like(stacks, 1024)
    for layer in range(min(stacks.shape[2], stacks.shape[1])):
        codes[:, layer:, layer] = stacks[:, : stacks.shape[1] - layer, layer]
    return codes


def _padded(rows: list[Rows]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Text ids, channel and stacks of each row."""
    size, steps = len(rows), max(len(row.text_ids) for row in rows)
    text_ids = np.zeros((size, steps, rows[0].text_ids.shape[1]), np.int64)
    channel = np.full((size, steps), -1, np.int64)
    stacks = np.full((size, steps, rows[0].codes.shape[1]), 1024, np.int64)
    for place, row in enumerate(rows):
        first = row.prefix - 1
        text_ids[place, : len(row.text_ids)] = row.text_ids
        channel[place, first : first + len(row.channel)] = row.channel
        stacks[place, first : len(row.codes) - 1] = row.codes[row.prefix :]
    return text_ids, channel, stacks


def _batch(
    text_ids: NDArray[np.int64], channel: NDArray[np.int64], stacks: NDArray[np.int64], codes: NDArray[np.int64]
) -> Batch:
    history = np.full_like(codes, 1024)
    history[:, 1:] = codes[:, :-1]
    return Batch(*(torch.from_numpy(array) for array in (text_ids, history, channel, stacks, codes)))


def spoil(history: Tensor, generator: torch.Generator, usual_depth: int) -> Tensor:
    """History as imperfect as at generation: some codes wrong, some frames gone, most utterances cut to a depth.

    Half of them are cut to the usual depth, a fifth are whole.
    """
    size, steps, n_vq = history.shape
    heard = history != 1024
    rate = torch.rand(size, 1, 1, generator=generator) * 0.15
    wrong = torch.rand(history.shape, generator=generator) < rate
    noise = torch.randint(0, 1024, history.shape, generator=generator)
    spoiled = torch.where(wrong & heard, noise, history)
    gone = torch.rand(size, steps, 1, generator=generator) < 0.12
    depth = torch.randint(1, n_vq + 1, (size, 1, 1), generator=generator)
    draw = torch.rand(size, 1, 1, generator=generator)
    settle(depth, draw, usual_depth, n_vq)
    return torch.where(gone | (torch.arange(n_vq) >= depth), 1024, spoiled)
