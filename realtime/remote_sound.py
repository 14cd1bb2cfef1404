"""What has come from a server and was not taken yet."""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicestack.runtime import Chunk, VoicestackError, WordTiming

from .outlet import Ending
from .playout import Heard

_MOST_S = 600.0
"""Sound that is kept for a listener; beyond, no more is read, and the server is held up."""


@dataclass(frozen=True, slots=True)
class RemoteChunk(Chunk):
    """A piece of an utterance; data: the same as 16-bit samples, as it came. marks: those that are reached in it."""

    utterance: int = 0
    data: bytes = b""
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UtteranceReport:
    """How an utterance ended.

    ttfb_ms, ttfa_ms: from its text to its first sound, and its first that can be heard, at the server. error: why it
    failed. marks: those that were reached with its end.
    """

    utterance: int
    ending: Ending
    audio_s: float
    ttfb_ms: float | None
    ttfa_ms: float | None
    error: str | None
    marks: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Mapping[str, Any], marks: tuple[str, ...]) -> "UtteranceReport":
        """From the event that tells it."""
        error = told.get("error")
        return cls(
            int(told["utterance"]),
            Ending(told["ending"]),
            float(told["audio_s"]),
            told.get("ttfb_ms"),
            told.get("ttfa_ms"),
            None if error is None else str(error),
            marks,
        )


class Gap:
    """The utterance was interrupted here."""


Piece = RemoteChunk | UtteranceReport | Gap | VoicestackError


class RemoteSound:
    """A queue from the reader of the connection to the listener.

    Attributes:
        words, marks: those that belong to the sound that comes next.
    """

    def __init__(self) -> None:
        self.words: tuple[WordTiming, ...] = ()
        self.marks: tuple[str, ...] = ()
        self._refused: VoicestackError | None = None
        self._pieces: deque[tuple[Piece, float]] = deque()
        self._queued_s = 0.0
        self._dropping = 0
        self._error: VoicestackError | None = None
        self._news, self._room = asyncio.Event(), asyncio.Event()

    async def put(self, utterance: int, start_s: float, data: bytes, rate_hz: int) -> None:
        """A piece of sound has come; waits while there is too much."""
        words, marks, self.words, self.marks = self.words, self.marks, (), ()
        if self._dropping:
            return
        pcm = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32767)
        seconds = len(pcm) / rate_hz
        self._pieces.append((RemoteChunk(pcm, start_s, words, utterance=utterance, data=data, marks=marks), seconds))
        self._queued_s += seconds
        self._news.set()
        while self._queued_s > _MOST_S and self._error is None:
            self._room.clear()
            await self._room.wait()

    def ended(self, told: Mapping[str, Any]) -> UtteranceReport:
        """Nothing more will come of an utterance."""
        report = UtteranceReport.of(told, self.marks)
        self.words, self.marks = (), ()
        if not self._dropping:
            self._pieces.append((report, 0.0))
            self._news.set()
        return report

    def drop(self, *, listening: bool) -> None:
        """Forget what was not taken, and all that comes until the server has heard of it."""
        self._pieces.clear()
        self._queued_s = 0.0
        self._dropping += 1
        self._room.set()
        if listening:
            self._pieces.append((Gap(), 0.0))
            self._news.set()

    def interrupted(self) -> None:
        """The server has heard of it: what comes now is new."""
        self._dropping = max(0, self._dropping - 1)

    def refuse(self, error: VoicestackError) -> None:
        """Something that was asked for cannot be done; the next who asks is told."""
        self._refused = error
        self._news.set()

    def refused(self) -> VoicestackError | None:
        """What that was, told once."""
        refused, self._refused = self._refused, None
        return refused

    def fail(self, error: VoicestackError) -> None:
        """Nothing will come any more."""
        self._error = error
        self._room.set()
        self._news.set()

    async def take(self) -> Piece:
        """The next piece; when nothing will come any more the error that says why."""
        while not self._pieces:
            if (refused := self.refused()) is not None:
                return refused
            if self._error is not None:
                return self._error
            self._news.clear()
            await self._news.wait()
        piece, seconds = self._pieces.popleft()
        self._queued_s = max(0.0, self._queued_s - seconds)
        self._room.set()
        return piece


@dataclass(frozen=True, slots=True)
class Interruption:
    """One that the server has not answered yet."""

    answer: asyncio.Future[Heard]
    finish_word: bool

    def heard(self, heard: Heard, sound: RemoteSound) -> None:
        """The server has answered it."""
        if not self.finish_word:
            sound.interrupted()
        if not self.answer.done():
            self.answer.set_result(heard)
