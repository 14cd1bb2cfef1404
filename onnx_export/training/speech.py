"""What a teacher is asked to say and what it gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 24_000
RAISED_MARKS = ("?", "!")
"""What closes a sentence that is not said as a statement."""
_STRESS = {"0": "", "1": "ˈ", "2": "ˌ"}


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


def as_int16(pcm: NDArray[np.float32]) -> NDArray[np.int16]:
    """Sound of float32 [samples], what is beyond -1 and 1 clipped, as int16."""
    return (np.clip(pcm, -1, 1) * 32767).astype(np.int16)


class Teacher(Protocol):
    """A voice that speaks from our own phones and knows when it said each."""

    def speak(self, words: Sequence[SpokenWord], *, length_scale: float = 1.0) -> Speech:
        """Speak the words; longer `length_scale` is slower."""
        ...


def symbols_of(phone: str, symbols: Mapping[str, str], unstressed: Mapping[str, str]) -> str:
    """One ARPABET phone in a teacher's symbols, stress mark first; what they do not name is its own small letter."""
    base, stress = (phone[:-1], phone[-1]) if phone[-1].isdigit() else (phone, "")
    if stress == "0" and base in unstressed:
        return unstressed[base]
    return _STRESS.get(stress, "") + symbols.get(base, base.lower())
