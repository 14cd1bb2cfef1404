"""What batching is worth: frames a second of one stream against many that are stepped together."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from voicestack.runtime import Advance, Advanced, SamplingParams, StreamSpec, Utterance

_CHUNK_FRAMES = 4
"""Decoded at once, as for a listener who has enough."""
_WARM_STEPS = 12
_TURNS = 3
"""How often the sizes take turns, so that a machine that is busy for a while is busy for all of them."""


class Chorus(Protocol):
    """What an Ensemble does here."""

    def begin(self, spec: StreamSpec) -> Utterance:
        """An utterance without text."""
        ...

    def step(self, chosen: Sequence[tuple[Utterance, int]]) -> list[Advanced]:
        """Advance each by a frame."""
        ...

    def release(self, utterance: Utterance) -> None:
        """Give one up."""
        ...


def frames_per_s(
    chorus: Chorus,
    sizes: Sequence[int],
    replies: Sequence[str],
    *,
    depth: int | None,
    seconds: float,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[int, float]:
    """Frames a second that all streams of a batch make together, by its size; each is measured for `seconds`."""
    text = " ".join(replies)
    found: dict[int, list[float]] = {size: [] for size in sizes}
    for _ in range(_TURNS):
        for size in sizes:
            found[size].append(_turn(chorus, size, text, depth, seconds / _TURNS, clock))
    return {size: statistics.median(values) for size, values in found.items()}


def _turn(chorus: Chorus, size: int, text: str, depth: int | None, seconds: float, clock: Callable[[], float]) -> float:
    streams = [chorus.begin(StreamSpec(SamplingParams(seed=number), depth)) for number in range(size)]
    try:
        for stream in streams:
            stream.push(text)
        for _ in range(_WARM_STEPS):
            _step(chorus, streams, text)
        frames, began_s = 0, clock()
        while clock() - began_s < seconds:
            frames += _step(chorus, streams, text)
        return frames / (clock() - began_s)
    finally:
        for stream in streams:
            chorus.release(stream)


def _step(chorus: Chorus, streams: Sequence[Utterance], text: str) -> int:
    """One step of all; returns how many frames it made. Who has run out of text gets it once more."""
    frames = 0
    for advanced in chorus.step([(stream, _CHUNK_FRAMES) for stream in streams]):
        frames += advanced.frames
        if advanced.advance is Advance.PARKED:
            advanced.utterance.push(" " + text)
        elif advanced.error is not None:
            raise advanced.error
    return frames
