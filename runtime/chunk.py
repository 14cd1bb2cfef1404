"""What a speaker gives out: pieces of sound, and the words that begin in them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .doubt import Doubt
from .step_result import Event


@dataclass(frozen=True, slots=True)
class WordTiming:
    """A word as spelled in the text, and the second of the utterance in which it begins to sound."""

    text: str
    start_s: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an utterance.

    pcm: float32 [samples] at the voice's sample rate; [samples, channels] of a published voice with several channels.
    start_s: where it begins. words: those that begin in it.
    event: SPOKEN as a rule; PARKED when the sentence cannot go on until more text comes, told once each time, with no
    samples if there are none to give out; ENDED at the end of a sentence; CAPPED when the voice ran away and was cut
    off, after which it goes on afresh with the words that were not heard. depths: how many layers each frame in it was
    played with; codes: those frames, int64 [frames, n_vq], layers that were not played being the voice's null code.
    doubts: words that may not have been heard as they should, which ended in this chunk or up to two seconds before;
    a voice without a listener only doubts a word in which it was CAPPED.
    """

    pcm: NDArray[np.float32]
    start_s: float
    words: tuple[WordTiming, ...]
    event: Event = Event.SPOKEN
    depths: tuple[int, ...] = ()
    codes: NDArray[np.int64] | None = None
    doubts: tuple[Doubt, ...] = ()
