"""What the generators learn from: the words, their onsets, and the codes of the frozen codec."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from .audio import VALIDATION_SHARDS, require_shards
from .codec import analyse, load_analysis
from .data import read_ends, read_pcm, read_scripts
from .paths import WorkFolder, whole_file
from .serialise import FRAME_S, Rows, end_cue, serialise, timed_tokens
from .speech import RAISED_MARKS

_VALIDATION_UTTERANCES = 48
_WHOLE_SHARDS, _POOL_SHARDS = 4, 12
"""A batch is drawn from so many shards, and from what is asked or exclaimed in so many: that is a fifth of what is
said, and how it ends a small part of that."""

_WITH_LENGTH_SHARE = 0.35
"""Of the utterances at the usual rate."""


@dataclass(frozen=True, slots=True)
class Example:
    """An utterance without its sound: what serialisation needs. codes: int16 [frames, n_vq]."""

    words: list[tuple[str, tuple[str, ...], str]]
    onsets_s: list[float]
    length_scale: float
    codes: NDArray[np.int16]

    @property
    def is_raised(self) -> bool:
        """Whether it ends with a question or an exclamation mark."""
        return self.words[-1][2] in RAISED_MARKS


class Examples:
    """Examples of the finished shards of one kind, encoded once per shard and kept beside the checkpoints."""

    def __init__(self, folder: WorkFolder, kind: str = "shard") -> None:
        self._folder, self._kind = folder, kind
        self._encoder, self._quantiser = load_analysis(folder)
        self._shards: dict[str, list[Example]] = {}

    @property
    def codebooks(self) -> Tensor:
        """The codebooks the codes are of, float32 [n_vq, 1024, latent]."""
        return self._quantiser.codebooks

    def facts(self) -> dict[str, float]:
        """How many hours of speech these are, and what lasts how many frames at the usual rate, for the bundle.

        That is a text token, where a mark counts as one, a word as half its phones, the end as one; and the tail, from
        the cue of the end to the end.
        """
        examples = [example for shard in self._shards.values() for example in shard]
        usual = [example for example in examples if example.length_scale == 1.0]
        tokens = sum(-(-len(phones) // 2) + bool(mark) for e in usual for _, phones, mark in e.words)
        return {
            "hours": round(_frames(examples) * FRAME_S / 3600, 2),
            "frames_per_token": round(_frames(usual) / (tokens + len(usual)), 3),
            "tail_frames": round(sum(len(e.codes) - end_cue(e.words, e.onsets_s) for e in usual) / len(usual), 3),
        }

    def refresh(self) -> None:
        """Take in shards that were finished since the last call."""
        for path in self._folder.shard_files(self._kind):
            if path.stem in self._shards:
                continue
            self._shards[path.stem] = [
                Example(script.words, script.onsets_s, script.length_scale, codes)
                for script, codes in zip(read_scripts(path), self._encoded(path), strict=True)
            ]
        require_shards(self._folder, len(self._shards) - VALIDATION_SHARDS)

    @cached_property
    def _codes(self) -> Path:
        """The folder of this codec's codes."""
        books = hashlib.sha256(self._quantiser.codebooks.half().numpy().tobytes()).hexdigest()[:12]
        return self._folder.stage(f"codes/{books}")

    def _encoded(self, shard: Path) -> list[NDArray[np.int16]]:
        """The codes of a shard's utterances, kept once they were made: of this codec, whatever others were tried.

        Those of a shard that was made anew, and so has other lengths, are made anew; else no sound is read.
        """
        kept, frame = self._codes / f"{shard.stem}.npz", self._encoder.config.frame_samples
        ends = np.cumsum(-(-np.diff(read_ends(shard), prepend=0) // frame))
        if kept.exists():
            with np.load(kept) as arrays:
                if np.array_equal(arrays["ends"], ends):
                    return np.split(arrays["codes"], ends[:-1])
        codes = [self.encode(pcm) for pcm in read_pcm(shard)]
        with whole_file(kept) as aside:
            np.savez(aside, codes=np.concatenate(codes), ends=ends)
        return codes

    def encode(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Codes int16 [frames, n_vq] of int16 [samples], zero-padded to whole frames."""
        codes = analyse(self._encoder, self._quantiser, pcm.astype(np.float32) / 32768.0)
        return codes.numpy().astype(np.int16)

    def validation(self) -> list[Example]:
        """Utterances of the first shard, never trained on."""
        return next(iter(self._shards.values()))[:_VALIDATION_UTTERANCES]

    def known(self) -> list[Example]:
        """As many that are trained on, of the first shard that is."""
        return list(self._shards.values())[VALIDATION_SHARDS][:_VALIDATION_UTTERANCES]

    def batch(self, draws: np.random.Generator, rows: int) -> list[Example]:
        """Examples of similar length, about `rows` frames together."""
        names = list(self._shards)[VALIDATION_SHARDS:]
        pool: list[Example] = []
        for place, name in enumerate(draws.permutation(names)[:_POOL_SHARDS]):
            pool += [example for example in self._shards[name] if place < _WHOLE_SHARDS or example.is_raised]
        pool.sort(key=lambda example: len(example.codes))
        start = int(draws.integers(len(pool)))
        chosen, total = [], 0
        for example in pool[start:] + pool[:start][::-1]:
            if total >= rows:
                break
            chosen.append(example)
            total += len(example.codes)
        return chosen


def _frames(examples: list[Example]) -> int:
    return sum(len(example.codes) for example in examples)


def written(
    examples: list[Example], draws: np.random.Generator, *, foretold: bool = False, flush: int = 0
) -> list[Rows]:
    """The rows of each example; a random part of those at the usual rate carries its length, and all others do.

    So what is said without a length is said at the usual rate: no other is ever drawn by chance. `foretold`: whether
    the first row tells the mark that closes the utterance.
    """
    rows: list[Rows] = []
    for example in examples:
        end_s = len(example.codes) * FRAME_S
        tokens, starts_s = timed_tokens(example.words, example.onsets_s, end_s, draws)
        with_length = example.length_scale != 1.0 or bool(draws.random() < _WITH_LENGTH_SHARE)
        codes = example.codes.astype(np.int64)
        mark = example.words[-1][2] if foretold else ""
        rows.append(serialise(tokens, starts_s, codes, with_length=with_length, foretold_mark=mark, flush=flush))
    return rows
