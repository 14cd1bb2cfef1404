"""One call: a conversation whose sound is heard packet by packet, and whose events come when they are heard."""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol

from voicestack.runtime import CapacityError, Chunk, InputError, StateError

from ..lifecycle import State
from ..outlet import Ending
from ..stages import Stages
from .call_messages import (
    Command,
    Depth,
    Flush,
    Interrupt,
    Ping,
    Text,
    User,
    event,
    read_command,
    stacks_event,
    words_event,
)
from .edge import WireClosedError
from .opus_track import CallPlayout, MediaClock, PacketEncoder, Position
from .service import Service
from .talk import Ended, Interrupted, Opened, Sound, Talk, TalkEvent

_log = logging.getLogger(__name__)
_PULSE_S = 0.2
_PING_S = 2.0

Assistant = Callable[[str], AsyncIterator[str]]
"""Answers what a person said, piece by piece."""


class Connection(Protocol):
    """A peer, as a call needs it; see `webrtc_peer.Peer`."""

    clock: MediaClock
    opened: asyncio.Event

    async def answer(self, offer: str) -> str:
        """The answer to its offer."""
        ...

    async def receive(self) -> str | bytes | None:
        """The next message; None when the peer is gone."""
        ...

    def send(self, message: str) -> None:
        """Send a message; WireClosedError when that is impossible."""
        ...

    async def close(self) -> None:
        """Give all it holds back."""
        ...


Connect = Callable[[Callable[[], bytes], Callable[[], float], Sequence[str]], Connection]


class Call:
    """One peer from its offer to its end; `run` it in a task of its own.

    Attributes:
        answered: the answer to its offer, or why there is none.
        playout: what it hears.
        connection: the peer itself.
    """

    def __init__(
        self,
        service: Service,
        connect: Connect,
        encoder: Callable[[int], PacketEncoder],
        *,
        ice_servers: Sequence[str] = (),
        assistant: Assistant | None = None,
    ) -> None:
        self._service, self._limits, self._clock = service, service.limits, service.clock
        self._assistant = assistant
        self._talk = Talk(service, self._emit)
        session = self._talk.session
        self.playout = CallPlayout(
            encoder(session.sample_rate_hz),
            session.sample_rate_hz,
            is_excused=lambda: session.state is State.STARVED,
            on_started=self._started,
        )
        self.connection = connect(self.playout.packet, self._clock, ice_servers)
        self.answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._admitted = asyncio.Event()
        self._stages: dict[int, Stages] = {}
        self._started_s: dict[int, float] = {}
        # What had been heard when each interruption came that was not acknowledged yet; None finishes the word.
        self._interruptions: deque[Position | None] = deque()
        self._replying: asyncio.Task[None] | None = None
        self._tokens, self._refilled_s = float(self._limits.message_burst), self._clock()
        self._commanded_s = self._heard_of_s = self._clock()

    async def run(self, offer: str) -> None:
        """Answer, connect, converse; all it held is free when it returns."""
        tasks = [asyncio.create_task(self._talk.run(), name="voicestack-call-talk")]
        try:
            await self._until(self._admitted, tasks, self._limits.connect_s)
            self.answered.set_result(await self.connection.answer(offer))
            await self._until(self.connection.opened, tasks, self._limits.connect_s)
            self._greet()
            tasks.append(asyncio.create_task(self._listen(), name="voicestack-call-listener"))
            tasks.append(asyncio.create_task(self._pulse(), name="voicestack-call-pulse"))
            done, _ = await asyncio.wait(tasks, timeout=self._limits.total_s, return_when=asyncio.FIRST_COMPLETED)
            if not done:
                self._tell("error", message=f"a call may last {self._limits.total_s:g} seconds; call again")
            for task in done:
                task.result()
        except WireClosedError:
            pass
        except (CapacityError, InputError, TimeoutError) as error:
            if not self.answered.done():
                self.answered.set_exception(error)
        finally:
            if not self.answered.done():
                self.answered.cancel()
            await self._end([*tasks, *([self._replying] if self._replying else [])])

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.connection.close()

    async def _until(self, event: asyncio.Event, tasks: list[asyncio.Task[None]], seconds: float) -> None:
        """Wait for something that must come to pass soon, or raise what kept it from it."""
        waiter = asyncio.create_task(event.wait(), name="voicestack-call-waiter")
        try:
            done, _ = await asyncio.wait([waiter, *tasks], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiter.cancel()
        for task in tasks:
            if task in done:
                task.result()
        if waiter not in done:
            raise TimeoutError(f"no call came about within {seconds:g} s")

    def _greet(self) -> None:
        voice = self._service.voice
        self._tell(
            "ready",
            voice=self._service.voice_name,
            depth=voice.depth,
            frame_ms=80,
            assistant=self._assistant is not None,
            limits={"text_chars": self._limits.text_chars, "idle_s": self._limits.idle_s},
        )

    def _tell(self, kind: str, **fields: object) -> None:
        """Send an event; a peer that is gone is missed by `_listen`."""
        with suppress(WireClosedError):
            self.connection.send(event(kind, **fields))

    # What comes in.

    async def _listen(self) -> None:
        while (message := await self.connection.receive()) is not None:
            self._heard_of_s = self._clock()
            try:
                self._charge()
                command = read_command(message, max_bytes=self._limits.message_bytes, max_chars=self._limits.text_chars)
                await self._obey(command)
            except (InputError, StateError, CapacityError) as error:
                self._tell("error", message=str(error))

    def _charge(self) -> None:
        """Take one from the bucket of messages; who empties it is cut off."""
        now_s, limits = self._clock(), self._limits
        self._tokens = min(limits.message_burst, self._tokens + (now_s - self._refilled_s) * limits.messages_per_s)
        self._refilled_s = now_s
        if self._tokens < 1:
            self._tell("error", message=f"more than {limits.messages_per_s:g} messages a second; call again, slower")
            raise WireClosedError("the peer sends too much")
        self._tokens -= 1

    async def _obey(self, command: Command) -> None:
        match command:
            case Ping():
                self._tell("pong")
                return
            case Text(text, flush):
                self._talk.push(text)
                if flush:
                    self._talk.flush()
            case Flush():
                self._talk.flush()
            case Interrupt(finish_word):
                await self._interrupt(finish_word)
            case Depth(depth):
                self._talk.set_depth(depth)
            case User(text):
                await self._ask(text)
            case _:
                return
        self._commanded_s = self._clock()

    async def _interrupt(self, finish_word: bool) -> None:
        """The peer hears silence first, then the session is told what it had heard."""
        self._stop_replying()
        position = self.playout.position if finish_word else self.playout.clear()
        self._interruptions.append(None if finish_word else position)
        self._talk.report_played(position.utterance, position.played_s)
        await self._talk.interrupt(finish_word=finish_word)

    async def _ask(self, text: str) -> None:
        """A person speaks: the assistant falls silent, and then answers."""
        if self._assistant is None:
            raise InputError("no assistant answers here; send text to be spoken")
        if self._talk.busy or self.playout.playing:
            await self._interrupt(finish_word=False)
        self._stop_replying()
        self._replying = asyncio.create_task(self._reply(self._assistant, text), name="voicestack-call-assistant")

    async def _reply(self, assistant: Assistant, text: str) -> None:
        try:
            async for piece in assistant(text):
                self._tell("reply", utterance=self._talk.push(piece), text=piece)
            self._talk.flush()
        except (InputError, StateError) as error:
            self._tell("error", message=str(error))
        except Exception:
            _log.exception("the assistant failed")
            self._tell("error", message="the assistant failed; ask again")
            self._talk.flush()

    def _stop_replying(self) -> None:
        if self._replying is not None:
            self._replying.cancel()

    # What goes out.

    async def _emit(self, news: TalkEvent) -> None:
        match news:
            case Opened():
                self._admitted.set()
            case Sound(utterance, chunk):
                await self._sound(utterance, chunk)
            case Ended(utterance, ending, _, error):
                self._ended(utterance, ending, error)
            case Interrupted():
                self._interrupted(news)

    @property
    def _falls_silent(self) -> bool:
        """Whether what still comes is of an utterance that was interrupted."""
        return any(position is not None for position in self._interruptions)

    async def _sound(self, utterance: int, chunk: Chunk) -> None:
        if self._falls_silent:
            return
        self._stages.setdefault(utterance, self._talk.session.stages)
        self.playout.put(utterance, chunk)
        for message in (words_event(utterance, chunk), stacks_event(utterance, chunk)):
            if message is not None:
                with suppress(WireClosedError):
                    self.connection.send(message)
        await self.playout.room()

    def _ended(self, utterance: int, ending: Ending, error: str | None) -> None:
        if not self._falls_silent and ending is not Ending.INTERRUPTED:
            self.playout.mark(partial(self._told_end, utterance, ending, error), ends=utterance)

    def _told_end(self, utterance: int, ending: Ending, error: str | None) -> None:
        played_ms = round(self.playout.position.played_s * 1000)
        self._report(utterance)
        self._tell("ended", utterance=utterance, ending=ending, played_ms=played_ms, error=error)
        self._stages.pop(utterance, None)
        self._started_s.pop(utterance, None)

    def _interrupted(self, news: Interrupted) -> None:
        position = self._interruptions.popleft()
        if position is not None:
            self._told_interruption(position)
            return
        playing = self.playout.position.utterance
        self.playout.cut(news.heard.played_s if news.utterance == playing else self.playout.word_end_s())
        self.playout.mark(lambda: self._told_interruption(self.playout.position), ends=playing)

    def _told_interruption(self, position: Position) -> None:
        self._stages.clear()
        self._started_s.clear()
        self._tell(
            "interrupted",
            utterance=position.utterance,
            played_ms=round(position.played_s * 1000),
            text=position.text,
        )

    def _started(self, utterance: int) -> None:
        self._started_s[utterance] = self._clock()
        self._tell("speech.started", utterance=utterance)
        self._report(utterance)

    async def _pulse(self) -> None:
        """While there is sound, tell where it is; when nothing has been heard of the peer for too long, end."""
        pinged_s = self._clock()
        while True:
            await asyncio.sleep(_PULSE_S)
            now_s, position = self._clock(), self.playout.position
            if now_s - self._heard_of_s > self._limits.gone_s:
                return
            if self.playout.playing:
                self._talk.report_played(position.utterance, position.played_s)
                self._report(position.utterance)
            elif now_s - self._commanded_s > self._limits.idle_s and not self._talk.busy:
                self._tell("error", message=f"nothing was said for {self._limits.idle_s:g} seconds; call again")
                return
            if now_s - pinged_s >= _PING_S:
                pinged_s = now_s
                self._tell("ping")

    def _report(self, utterance: int) -> None:
        stages, started_s = self._stages.get(utterance), self._started_s.get(utterance)
        ttfb_ms = ttfa_ms = None
        if stages is not None and started_s is not None and stages.opened_s is not None:
            ttfb_ms = round((started_s - stages.opened_s) * 1000, 1)
            if stages.audible_s is not None and stages.first_chunk_s is not None:
                ttfa_ms = round(ttfb_ms + max(0.0, stages.audible_s - stages.first_chunk_s) * 1000, 1)
        self._tell(
            "stats",
            utterance=utterance,
            played_ms=round(self.playout.position.played_s * 1000),
            lead_s=round(self.playout.lead_s, 3),
            underruns=self.playout.underruns,
            depth=self.playout.depth,
            ttfb_ms=ttfb_ms,
            ttfa_ms=ttfa_ms,
        )
