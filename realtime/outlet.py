"""The sound of one utterance on its way from the scheduler to its listener: a bounded queue that can be cut off."""

import asyncio
from collections import deque
from dataclasses import replace
from enum import StrEnum

from voicestack.runtime import Chunk, WordTiming

from .fade import faded


class Ending(StrEnum):
    """How an utterance came to its end; every utterance has exactly one."""

    FINISHED = "finished"
    INTERRUPTED = "interrupted"
    STARVED = "starved"
    ABANDONED = "abandoned"
    FAILED = "failed"
    CLOSED = "closed"


class Outlet:
    """Chunks of one utterance, in order. `limit_s` of sound is a full queue: then no more is made until it is taken.

    starved: text was waited for too long, and what there is of it is spoken to its end; no more is taken.
    """

    __slots__ = ("_arrived", "_chunks", "ending", "error", "full_since_s", "limit_s", "queued_s", "rate", "starved")

    def __init__(self, sample_rate_hz: int, limit_s: float) -> None:
        self.limit_s = limit_s
        self.queued_s = 0.0
        self.ending: Ending | None = None
        self.error: Exception | None = None
        self.full_since_s: float | None = None
        self.starved = False
        self.rate = sample_rate_hz
        self._chunks: deque[Chunk] = deque()
        self._arrived = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether the listener has enough to take."""
        return self.queued_s >= self.limit_s

    @property
    def over(self) -> bool:
        """Whether the listener has taken all there will be."""
        return self.ending is not None and not self._chunks

    def put(self, chunk: Chunk) -> None:
        """Add a chunk; one that comes after the end is dropped."""
        if self.ending is None:
            self._chunks.append(chunk)
            self.queued_s += len(chunk.pcm) / self.rate
            self._arrived.set()

    def end(self, ending: Ending, error: Exception | None = None) -> bool:
        """Say that no chunk will follow; false when that had been said. What was not taken can still be."""
        if self.ending is not None:
            return False
        self.ending, self.error = ending, error
        self._arrived.set()
        return True

    async def ended(self) -> None:
        """Wait until no chunk will follow."""
        while self.ending is None:
            self._arrived.clear()
            await self._arrived.wait()

    def drop(self) -> None:
        """Forget what was not taken."""
        self._chunks.clear()
        self.queued_s = 0.0

    def cut(self, end_s: float) -> None:
        """Keep only what lies before a second of the utterance, faded out there, or where what was made breaks off."""
        kept = deque[Chunk]()
        for left, chunk in zip(range(len(self._chunks) - 1, -1, -1), self._chunks, strict=True):
            samples = round((end_s - chunk.start_s) * self.rate)
            if samples > 0:
                words = tuple(word for word in chunk.words if word.start_s < end_s)
                breaks_off = samples < len(chunk.pcm) or (not left and self.ending is None)
                pcm = faded(chunk.pcm[:samples], self.rate) if breaks_off else chunk.pcm
                kept.append(replace(chunk, pcm=pcm, words=words))
        self._chunks = kept
        self.queued_s = sum(len(chunk.pcm) for chunk in kept) / self.rate

    def coming_words(self) -> list[WordTiming]:
        """The words of the chunks not taken yet."""
        return [word for chunk in self._chunks for word in chunk.words]

    async def take(self) -> Chunk | None:
        """The next chunk, waited for; None at the end. Raises the error an utterance failed with, once all is taken."""
        while not self._chunks:
            if self.ending is not None:
                if self.error is not None:
                    raise self.error
                return None
            self._arrived.clear()
            await self._arrived.wait()
        chunk = self._chunks.popleft()
        self.queued_s = max(0.0, self.queued_s - len(chunk.pcm) / self.rate)
        return chunk
