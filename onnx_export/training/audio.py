"""Speech of the finished shards in memory, and random crops of it."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voicestack.runtime.errors import InputError

from .data import read_pcm
from .paths import WorkFolder

VALIDATION_SHARDS = 1
_MOST_SHARDS = 200
"""Some 22 hours, and 4 GB: a codec needs to have heard every sound, not every sentence."""


def require_shards(folder: WorkFolder, count: int) -> None:
    """InputError when there are too few shards to learn from."""
    if count < 1:
        raise InputError(
            f"{folder.shards} holds too few shards to learn from, the first of which is never learned; make some with "
            "the stage `data`"
        )


def unseen_speech(folder: WorkFolder, count: int, frame_samples: int) -> list[Tensor]:
    """Utterances of the first shard, never learned from, in whole frames; float32 [samples] each."""
    utterances = (pcm[: pcm.size // frame_samples * frame_samples] for pcm in read_pcm(folder.shard_files()[0])[:count])
    return [torch.from_numpy(pcm / np.float32(32768)) for pcm in utterances]


class AudioPool:
    """int16 utterances of the first finished shards, but for those kept for validation."""

    def __init__(self, folder: WorkFolder) -> None:
        self._folder = folder
        self._shards: set[str] = set()
        self.utterances: list[NDArray[np.int16]] = []
        self.refresh()

    def refresh(self) -> None:
        """Take in shards that were finished since the last call."""
        for path in self._folder.shard_files()[VALIDATION_SHARDS:][:_MOST_SHARDS]:
            if path.stem not in self._shards:
                self.utterances += read_pcm(path)
                self._shards.add(path.stem)
        require_shards(self._folder, len(self._shards))
        sizes = np.array([utterance.size for utterance in self.utterances], np.float64)
        self._shares = sizes / sizes.sum()

    def crops(self, count: int, samples: int, generator: np.random.Generator) -> Tensor:
        """Count crops of `samples` samples, zero-padded where the utterance ends: float32 [count, samples]."""
        batch = np.zeros((count, samples), np.float32)
        for row, pick in enumerate(generator.choice(len(self._shares), count, p=self._shares)):
            utterance = self.utterances[pick]
            start = int(generator.integers(max(1, utterance.size - samples // 2)))
            piece = utterance[start : start + samples]
            batch[row, : piece.size] = piece
        return torch.from_numpy(batch / 32768.0)
