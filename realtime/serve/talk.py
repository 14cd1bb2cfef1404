"""A conversation on a wire, whatever the wire: commands in any order and at any time, events out one after the other.

A `Session` is strict about its states; clients are not. They say the next reply while the last is being spoken, flush
twice, interrupt what has ended. A talk queues utterances, and its `emit` is called by one task only, so that nothing
stale can follow what says that an utterance is over.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from voicestack.runtime import Chunk, InputError, SamplingParams, StateError, VoicestackError

from ..lifecycle import State
from ..outlet import Ending
from ..playout import Heard
from ..session import MAX_TEXT, Session
from ..stages import Stages
from .logs import log
from .service import Service


@dataclass(frozen=True, slots=True)
class Opened:
    """There is room: the conversation begins."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A piece of an utterance, the first of which is number 0."""

    utterance: int
    chunk: Chunk


@dataclass(frozen=True, slots=True)
class Ended:
    """Nothing will follow of an utterance; exactly one for each. error: why it failed.

    complete: whether all that was said of it has been dealt with, which is what a flush waits for; what came too late
    for one that starved or failed begins the next.
    """

    utterance: int
    ending: Ending
    stages: Stages
    error: str | None = None
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The answer to `interrupt`: what was played of the last utterance that was begun, -1 for none.

    Those that waited were dropped, and have no end.
    """

    utterance: int
    heard: Heard


TalkEvent = Opened | Sound | Ended | Interrupted
Emit = Callable[[TalkEvent], Awaitable[None]]

_MOST_WAITING = 1000
"""Utterances said ahead: even empty ones take memory."""


@dataclass(slots=True)
class _Pending:
    """An utterance that is being said or waits for its turn. said, spoken: characters, the latter by its words."""

    number: int
    pieces: deque[str] = field(default_factory=deque)
    said: int = 0
    spoken: int = 0
    complete: bool = False
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def has_words(self) -> bool:
        """Whether there is something to be spoken, as far as can be told without reading it."""
        return any(map(str.strip, self.pieces))


class Talk:
    """One conversation: `run` it in a task, and call the other methods from others on the same loop.

    `emit` is awaited for each event, which is how a slow reader slows its own speech down; what it raises ends the
    conversation. Without `realtime` sound comes as fast as it is taken, for clients that keep it.
    """

    def __init__(
        self,
        service: Service,
        emit: Emit,
        *,
        sampling: SamplingParams | None = None,
        depth: int | None = None,
        realtime: bool = True,
    ) -> None:
        """Raises InputError for a depth the voice has not."""
        self._limits = service.limits
        self._emit = emit
        self._session = service.voice.session(sampling=sampling, depth=depth, realtime=realtime)
        self._utterances: deque[_Pending] = deque()
        self._speaking: _Pending | None = None
        self._numbers = 0
        self._last = -1
        self._interrupted: list[Interrupted] = []
        self._news = asyncio.Event()
        self._closing = False

    @property
    def session(self) -> Session:
        """What it speaks through, for its rate and for what was heard."""
        return self._session

    @property
    def busy(self) -> bool:
        """Whether something is being spoken, or waits to be; blanks that no word has followed yet do not."""
        return self._speaking is not None or any(each.complete or each.has_words for each in self._utterances)

    def push(self, text: str) -> int:
        """Say more of the utterance that is not complete, or begin the next; returns its number.

        InputError when that is more, or one more, than may wait to be spoken.
        """
        if self._closing:
            raise StateError("the conversation is being closed; open a new one for more text")
        waiting = sum(max(0, pending.said - pending.spoken) for pending in self._all())
        if waiting + len(text) > self._limits.buffered_chars:
            raise InputError(
                f"{waiting} characters wait to be spoken, {len(text)} more would be over the limit of "
                f"{self._limits.buffered_chars}; wait until some have been spoken"
            )
        pending = self._open_one()
        if pending.said + len(text) > MAX_TEXT:
            raise InputError(f"an utterance may have {MAX_TEXT} characters; flush before you say more")
        if text:
            pending.pieces.append(text)
            pending.said += len(text)
            self._tell(pending)
        return pending.number

    def flush(self) -> int:
        """Say that the utterance is complete; returns its number. One without text ends at once.

        InputError when that is one more than may wait to be spoken.
        """
        pending = self._open_one()
        pending.complete = True
        self._tell(pending)
        return pending.number

    async def interrupt(self, *, finish_word: bool = False) -> None:
        """Stop speaking, and forget what waits; `Interrupted` is emitted when nothing more of it will be."""
        self._utterances.clear()
        if self._speaking is not None:
            self._speaking.complete = True
            self._speaking.pieces.clear()
            self._speaking.said = self._speaking.spoken
        self._interrupted.append(Interrupted(self._last, await self._session.interrupt(finish_word=finish_word)))
        self._news.set()

    def set_depth(self, depth: int) -> None:
        """Have so many layers heard from the next frame on; InputError for a number the voice has not."""
        self._session.set_depth(depth)

    def report_played(self, utterance: int, played_s: float) -> None:
        """Tell how many seconds of an utterance were played; of one that is not the last spoken it is of no use."""
        if utterance == self._last and self._session.state is not State.CLOSED:
            self._session.report_played(played_s)

    def close(self) -> None:
        """Let `run` return when all that was said is spoken."""
        self._closing = True
        for pending in self._all():
            pending.complete = True
            pending.news.set()
        self._news.set()

    async def run(self) -> None:
        """Speak until closed. Raises CapacityError, at once, when there is no room."""
        async with self._session:
            await self._emit(Opened())
            while await self._next():
                if self._speaking is not None:
                    await self._speak(self._speaking)
                    self._speaking = None
                await self._acknowledge()

    def _all(self) -> list[_Pending]:
        return [*([self._speaking] if self._speaking else []), *self._utterances]

    def _open_one(self) -> _Pending:
        """The utterance that is not complete yet, or a new one."""
        pending = self._all()
        if pending and not pending[-1].complete:
            return pending[-1]
        if len(self._utterances) >= _MOST_WAITING:
            raise InputError(f"{_MOST_WAITING} utterances wait to be spoken, which is the limit; wait for some to end")
        self._utterances.append(_Pending(self._numbers))
        self._numbers += 1
        return self._utterances[-1]

    def _tell(self, pending: _Pending) -> None:
        pending.news.set()
        self._news.set()

    async def _next(self) -> bool:
        """Wait for an utterance that has text or is complete, or for something to acknowledge; false at the end."""
        while True:
            if self._interrupted:
                return True
            if self._utterances and (self._utterances[0].complete or self._utterances[0].has_words):
                self._speaking = self._utterances.popleft()
                return True
            if self._closing:
                return False
            self._news.clear()
            await self._news.wait()

    async def _acknowledge(self) -> None:
        while self._interrupted:
            await self._emit(self._interrupted.pop(0))

    async def _speak(self, pending: _Pending) -> None:
        session, error = self._session, None
        if not pending.has_words:
            await self._emit(Ended(pending.number, Ending.FINISHED, Stages()))
            return
        self._last = pending.number
        # Before anything is awaited, so that there is something to interrupt as soon as it is said to be speaking.
        await self._push(pending)
        writer = asyncio.create_task(self._write(pending), name="voicestack-talk-writer")
        try:
            async with aclosing(session.audio()) as audio:
                while True:
                    try:
                        chunk = await anext(audio)
                    except StopAsyncIteration:
                        break
                    except Exception as failure:
                        error = failure
                        break
                    pending.spoken += sum(len(word.text) + 1 for word in chunk.words)
                    await self._emit(Sound(pending.number, chunk))
        finally:
            writer.cancel()
            # Unlike awaiting it, this lets a cancellation of the conversation itself through.
            await asyncio.wait({writer})
        if not writer.cancelled():
            writer.result()  # raises what it failed with
        ending = Ending.FAILED if error is not None else session.ending or Ending.FINISHED
        complete = self._take_back(pending)
        reason = None if error is None else _told(error)
        await self._emit(Ended(pending.number, ending, session.stages, reason, complete))

    async def _write(self, pending: _Pending) -> None:
        """Hand text on as it comes, until the utterance is complete, or over."""
        while self._session.ending is None:
            await self._push(pending)
            if pending.complete:
                await self._session.flush()
                return
            pending.news.clear()
            await pending.news.wait()

    async def _push(self, pending: _Pending) -> None:
        while pending.pieces and not self._session.starved_out:
            await self._session.push_text(pending.pieces.popleft())

    def _take_back(self, pending: _Pending) -> bool:
        """What was said too late for an utterance that is over begins the next; whether it was complete without."""
        late, complete = deque(pending.pieces), pending.complete
        pending.complete = True
        pending.pieces.clear()
        if late:
            self._utterances.appendleft(_Pending(self._numbers, late, sum(map(len, late)), complete=complete))
            self._numbers += 1
        return complete and not late


def _told(error: Exception) -> str:
    """What a client is told of a failure: of one that is not meant for it, no more than that there was one."""
    if isinstance(error, VoicestackError):
        return str(error)
    log("speech_failed", level=logging.ERROR, error=error)
    return "the server failed at this utterance; its log tells more"
