"""From the rows of an answer to frames of codes: the delay pattern undone, and the sound cut out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .delay_state import DelayIds
from .generator_info import Family, GeneratorInfo

IntArray = NDArray[np.int64]
_ROLE_ROWS = 3
"""Rows of `im_start`, the word assistant and a newline, which the published code does not count to an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The sound of one answer: segments of frames [T,n].

    `lead_in` is the share of the first segment's waveform that continues the prompt and is cut off after decoding;
    the published delay code cuts one frame more than the prompt has.
    """

    segments: tuple[IntArray, ...]
    lead_in: float


def start_length(prompt: IntArray, info: GeneratorInfo) -> int:
    """How many rows at the end of a prompt [S,1+n] the published code counts to the answer."""
    text, delay = prompt[:, 0], info.family is Family.DELAY
    mark = info.ids.im_start if delay else info.ids.audio_start
    found = np.flatnonzero(text == mark)
    if mark is None or not len(found):
        raise InputError(f"the prompt has no {'im_start' if delay else 'audio_start'} row; it asks for no answer")
    return len(text) - int(found[-1]) - (_ROLE_ROWS if delay else 1)


def undelayed(rows: IntArray, n_vq: int) -> IntArray:
    """Codes [rows - n + 1, n] of delayed code rows [rows,n]: codebook j of frame t is j rows below its first one."""
    frames = max(0, len(rows) - n_vq + 1)
    return np.stack([rows[j : j + frames, j] for j in range(n_vq)], axis=1)


def split_sound(codes: IntArray, audio_pad: int) -> tuple[IntArray, ...]:
    """The runs of frames [T,n] between frames of nothing but pad."""
    sound = (codes != audio_pad).any(axis=1)
    edges = np.flatnonzero(np.diff(sound.astype(np.int8), prepend=0, append=0))
    return tuple(codes[start:end] for start, end in zip(edges[::2], edges[1::2], strict=True))


def answer(prompt: IntArray, rows: Sequence[IntArray], info: GeneratorInfo) -> Answer:
    """The sound of generated rows [1+n] behind a prompt [S,1+n], the part it continues included."""
    begin = start_length(prompt, info)
    codes = np.concatenate([prompt[len(prompt) - begin :], *(row[None] for row in rows)])[:, 1:]
    if info.family is Family.DELAY:
        codes = undelayed(codes, info.n_vq)
    segments = split_sound(codes, DelayIds.of(info).audio_pad if info.family is Family.DELAY else info.ids.audio_pad)
    return Answer(segments, begin / len(segments[0]) if segments and begin else 0.0)
