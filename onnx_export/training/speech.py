"""What a teacher is asked to say and what it gives back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 24_000


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """One word for a teacher: its phones and the prosody mark that follows it (or an empty string)."""

    text: str
    phones: tuple[str, ...]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio and, for every phone and mark in order, where it begins.

    pcm: int16 [samples] at 24 kHz. onsets_s: one float per phone and mark, word by word.
    """

    pcm: NDArray[np.int16]
    onsets_s: list[float]


class Teacher(Protocol):
    """A voice that speaks from our own phones and knows when it said each."""

    def speak(self, words: Sequence[SpokenWord], *, length_scale: float = 1.0) -> Speech:
        """Speak the words; longer `length_scale` is slower."""
        ...
