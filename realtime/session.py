"""One client's conversation: text in as it is written, sound out as it is made, one utterance after the other."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import Self

from voicestack.runtime import Chunk, InputError, StateError

from .lifecycle import Lifecycle, State
from .orders import UtteranceSpec
from .outlet import Ending, Outlet
from .playout import Heard, Playout
from .scheduler import Scheduler
from .stages import Stages

MAX_TEXT = 100_000
"""Characters one utterance may have: about two hours of speech."""


class Session:
    """A conversation, made by `Voice.session`; all calls on the event loop of its voice.

    An utterance begins with the first text after the last one, ends with `flush`, and is read with `audio`. What is
    said of it afterwards (`heard`, `stages`) stays until the next begins.

    Attributes:
        stages: where the time of the utterance went until it was heard.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        spec: UtteranceSpec,
        *,
        sample_rate_hz: int,
        lead_s: tuple[float, float],
        queue_s: float,
        clock: Callable[[], float],
        on_open: Callable[["Session"], None],
        on_close: Callable[["Session"], None],
    ) -> None:
        self.sample_rate_hz = sample_rate_hz
        self.stages = Stages()
        self._scheduler, self._spec, self._clock = scheduler, spec, clock
        self._low_s, self._high_s = lead_s
        self._queue_s = queue_s
        self._on_open, self._on_close = on_open, on_close
        self._life = Lifecycle()
        self._key = -1
        self._utterances = 0
        self._characters = 0
        self._outlet: Outlet | None = None
        self._playout = Playout()
        self._begun = asyncio.Event()
        self._reading = False
        self._unread = False
        self._entered = False

    @property
    def depth(self) -> int | None:
        """How many layers it asked for; None for as many as the voice does."""
        return self._spec.depth

    @property
    def state(self) -> State:
        """Where the session is."""
        return self._life.state

    @property
    def ending(self) -> Ending | None:
        """How the last utterance ended; None while one is being spoken, and before the first."""
        return None if self._outlet is None else self._outlet.ending

    @property
    def starved_out(self) -> bool:
        """Whether text was waited for too long, and what there is is being spoken; what comes now begins the next."""
        return self._outlet is not None and self._outlet.starved and self._outlet.ending is None

    async def __aenter__(self) -> Self:
        """Raises CapacityError, with a hint when to come again, when there is no room for one more session."""
        self._life.require("open")
        self._on_open(self)
        self._entered = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def push_text(self, text: str) -> None:
        """Say more; text may come token by token. InputError for what is no text, StateError at the wrong time."""
        self._life.require("push_text")
        if not self._entered:
            raise StateError("push_text() needs a session that was let in; use it by `async with`")
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise InputError(f"text must be a string, got {type(text).__name__}")
        outlet = self._outlet
        if outlet is not None and outlet.starved and outlet.ending is None:
            await outlet.ended()
            self._life.require("push_text")
            if outlet.ending is Ending.INTERRUPTED:
                return  # It was said before the interruption, and nothing stale follows one.
        # What failed is told to who reads it; until then nothing new begins that would hide it.
        if self._outlet is not None and self._outlet.error is not None and (self._unread or not self._outlet.over):
            raise self._outlet.error
        begins = self._outlet is None or self._outlet.ending is not None
        characters = len(text) + (0 if begins else self._characters)
        if characters > MAX_TEXT:
            raise InputError(f"an utterance may have {MAX_TEXT} characters, this would be {characters}; flush() before")
        self._characters = characters
        if not text:
            return
        self._life.text_came()
        if begins:
            self._begin()
        self._scheduler.push(self._key, text)

    def set_depth(self, depth: int) -> None:
        """Have so many layers of each frame heard, from the next frame on and in the utterances to come.

        Unlike the depth a session is opened with it may be any number; as many are made as that takes. InputError for
        a number the voice has not, or for a voice that cannot change it.
        """
        self._life.require("set_depth")
        made = self._scheduler.deep_enough(depth)
        self._spec = replace(self._spec, depth=made, played_depth=depth)
        self._scheduler.set_depth(self._key, made, depth)

    async def flush(self) -> None:
        """Say that the text of the utterance is complete; it is then spoken to its end."""
        self._life.require("flush")
        if self.state in (State.SPEAKING, State.STARVED):
            self._life.text_ended()
            self._scheduler.finish(self._key)

    async def audio(self) -> AsyncGenerator[Chunk]:
        """The sound of the utterance that is being spoken, or of the next, chunk by chunk to its end.

        It ends early, without an error, when the utterance is interrupted or the session closed; with the error, when
        the utterance fails. Who stops reading before the end gives the utterance up.
        """
        self._life.require("audio")
        if self._reading:
            raise InputError("audio() is being read already; one listener a session")
        self._reading = True
        try:
            while self._outlet is None or (self._outlet.over and not self._unread):
                if self.state is State.CLOSED:
                    return
                self._begun.clear()
                await self._begun.wait()
            self._unread = False
            # Closed with this generator, so that a listener that leaves is missed at once.
            async with aclosing(self._taken(self._outlet, self._key, self._playout, self.stages)) as taken:
                async for chunk in taken:
                    yield chunk
        finally:
            self._reading = False

    async def interrupt(self, *, finish_word: bool = False) -> Heard:
        """Stop speaking, at once or behind the word that sounds now; returns what was heard.

        Afterwards no sound of it is handed out, but for the rest of that word; what its listener holds beyond
        `played_s` is the listener's to drop.
        """
        self._life.require("interrupt")
        outlet, now_s = self._outlet, self._clock()
        heard = self._playout.heard(now_s)
        self._unread = False
        if outlet is None or (outlet.over and heard.played_s >= self._playout.taken_s):
            self._life.interrupted()
            return heard
        if finish_word:
            coming = outlet.coming_words()
            end_s = self._playout.word_end_s(now_s, coming) or self._playout.taken_s + outlet.queued_s
            heard = self._playout.until(end_s, coming)
            outlet.cut(end_s)
        else:
            outlet.drop()
        self._scheduler.heard(self._key, heard.played_s)
        # What its listener still holds is not played any more.
        self._playout.report(heard.played_s)
        self._scheduler.end(self._key, Ending.INTERRUPTED)
        outlet.end(Ending.INTERRUPTED)
        self._life.interrupted()
        return heard

    def heard(self) -> Heard:
        """What has been heard of the utterance by now, or of the last one."""
        return self._playout.heard(self._clock())

    def report_played(self, played_s: float) -> None:
        """Tell how many seconds of the utterance have come out of the loudspeaker, if that is known.

        Otherwise each chunk is taken to be played as soon as it was taken and the one before has ended.
        """
        self._life.require("report_played")
        self._playout.report(played_s)

    async def aclose(self) -> None:
        """End the session; once more does no harm."""
        if self.state is State.CLOSED:
            return
        self._life.closed()
        self._scheduler.end(self._key, Ending.CLOSED)
        if self._spec.conversation is not None and self._utterances:
            self._scheduler.end_conversation(self._spec.conversation)
        if self._outlet is not None:
            self._outlet.end(Ending.CLOSED)
            self._outlet.drop()
        self._begun.set()
        self._on_close(self)

    def _begin(self) -> None:
        self._outlet = Outlet(self.sample_rate_hz, self._queue_s)
        self._playout = Playout()
        self.stages = Stages()
        self._key = self._scheduler.begin(
            self._outlet,
            self._spec.numbered(self._utterances),
            self.stages,
            high_s=self._high_s,
            low_s=self._low_s,
            on_starved=self._life.text_ran_out,
        )
        self._utterances += 1
        self._unread = True
        self._begun.set()

    async def _taken(self, outlet: Outlet, key: int, playout: Playout, stages: Stages) -> AsyncGenerator[Chunk]:
        """The chunks of one utterance; the session is idle again when the last was taken."""
        try:
            while (chunk := await outlet.take()) is not None:
                now_s = self._clock()
                stages.taken(now_s)
                playout.take(len(chunk.pcm) / self.sample_rate_hz, chunk.words, now_s)
                self._scheduler.taken(key)
                yield chunk
        finally:
            # Whoever leaves early wants no more of it; what was heard by then is what a conversation remembers.
            if not outlet.over:
                self._scheduler.heard(key, playout.played_s(self._clock()))
            self._scheduler.end(key, Ending.ABANDONED)
            outlet.drop()
            if key == self._key:
                self._life.ended()
