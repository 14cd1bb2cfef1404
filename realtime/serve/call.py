"""One call: a conversation whose sound is heard packet by packet, and whose events come when they are heard."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Protocol

from voicestack.runtime import CapacityError, InputError, VoicestackError

from ..lifecycle import State
from .bucket import Bucket
from .call_messages import Command, Depth, Flush, Interrupt, Ping, Text, User, event, read_command
from .call_speech import CallSpeech
from .edge import WireClosedError
from .logs import log
from .opus_track import CallPlayout, MediaClock, PacketEncoder
from .service import Service
from .talk import Ended, Interrupted, Opened, Sound, Talk, TalkEvent
from .terms import announced, code_of

PROTOCOL = "voicestack.call.v1"
_PULSE_S = 0.2
_PING_S = 2.0
_SPEECH_S = 0.1
"""Text that was awaited cannot be speech any sooner."""


class Assistant(Protocol):
    """Who answers in one call, and remembers it."""

    def answer(self, said: str, heard: str) -> AsyncIterator[str]:
        """What to say to what a person said, piece by piece; closed when the person cuts in.

        heard: what they had heard of the answer before, all of it or up to where they cut in.
        """
        ...


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
            is_excused=self._text_was_missing,
            on_started=lambda utterance: self._speech.started(utterance),
        )
        self.connection = connect(self.playout.packet, self._clock, ice_servers)
        self.answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._admitted = asyncio.Event()
        self._speech = CallSpeech(self.playout, self._tell, self._send, self._clock)
        self._replying: asyncio.Task[None] | None = None
        self._answers: set[int] = set()
        self._bucket = Bucket(self._limits.messages_per_s, self._limits.message_burst, self._clock)
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
                self._tell(
                    "bye", reason="total", message=f"a call may last {self._limits.total_s:g} seconds; call again"
                )
            for task in done:
                task.result()
        except WireClosedError:
            pass
        except TimeoutError as error:
            if not self.answered.done():
                self.answered.set_exception(CapacityError(str(error)))
        except (CapacityError, InputError) as error:
            if not self.answered.done():
                self.answered.set_exception(error)
        except asyncio.CancelledError:
            self._tell("bye", reason="shutdown", message="the server is shutting down; call again later")
            raise
        finally:
            if not self.answered.done():
                self.answered.cancel()
            await self._end([*tasks, *([self._replying] if self._replying else [])])

    def _text_was_missing(self) -> bool:
        """Whether silence now is the writer's fault."""
        session = self._talk.session
        return session.state is State.STARVED or self._clock() - session.stages.starved_until_s < _SPEECH_S

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
            "hello",
            protocol=PROTOCOL,
            voice=self._service.voice_name,
            depth=voice.depth,
            n_vq=voice.stack.n_vq,
            codebook_size=voice.stack.codebook_size,
            delayed=voice.stack.delayed,
            adjustable=voice.stack.adjustable,
            assistant=self._assistant is not None,
            limits=announced(self._limits),
        )

    def _tell(self, kind: str, **fields: object) -> None:
        self._send(event(kind, **fields))

    def _send(self, message: str) -> None:
        """Send an event; a peer that is gone is missed by `_listen`."""
        with suppress(WireClosedError):
            self.connection.send(message)

    def _complain(self, error: VoicestackError) -> None:
        self._tell("error", code=code_of(error), message=str(error))

    # What comes in.

    async def _listen(self) -> None:
        while (message := await self.connection.receive()) is not None:
            self._heard_of_s = self._clock()
            try:
                await self._bucket.wait()
                command = read_command(message, max_bytes=self._limits.message_bytes, max_chars=self._limits.text_chars)
                await self._obey(command)
            except VoicestackError as error:
                if isinstance(error, WireClosedError):
                    raise
                self._complain(error)

    async def _obey(self, command: Command) -> None:
        match command:
            case Ping():
                self._tell("pong")
                return
            case Text(text, flush, ref):
                utterance = self._talk.push(text)
                if flush:
                    self._talk.flush()
                if ref:
                    self._tell("accepted", utterance=utterance, ref=ref)
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
        position = self._speech.interrupt(finish_word=finish_word)
        self._talk.report_played(position.utterance, position.played_s)
        await self._talk.interrupt(finish_word=finish_word)

    async def _ask(self, text: str) -> None:
        """A person speaks: the assistant falls silent, and then answers."""
        if self._assistant is None:
            raise InputError("no assistant answers here; send text to be spoken")
        if self._talk.busy or self.playout.playing:
            await self._interrupt(finish_word=False)
        self._stop_replying()
        # Of an answer that had not begun to sound nothing was heard, whatever sounded last.
        position = self.playout.position
        heard = " ".join(word.text for word in position.words) if position.utterance in self._answers else ""
        self._answers = set()
        answer = self._assistant.answer(text, heard)
        self._replying = asyncio.create_task(self._reply(answer), name="voicestack-call-assistant")

    async def _reply(self, answer: AsyncIterator[str]) -> None:
        try:
            async for piece in answer:
                utterance = self._talk.push(piece)
                self._answers.add(utterance)
                self._tell("reply", utterance=utterance, text=piece)
            self._talk.flush()
        except VoicestackError as error:
            self._complain(error)
        except Exception as error:
            log("assistant_failed", level=logging.ERROR, error=error)
            self._tell("error", code="failed", message="the assistant failed; ask again")
            self._talk.flush()

    def _stop_replying(self) -> None:
        if self._replying is not None:
            self._replying.cancel()

    # What goes out.

    async def _emit(self, news: TalkEvent) -> None:
        match news:
            case Opened():
                self._admitted.set()
            case Sound():
                await self._speech.sound(news, self._talk.session.stages)
            case Ended():
                self._speech.ended(news)
            case Interrupted():
                self._speech.interrupted(news)

    async def _pulse(self) -> None:
        """While there is sound, tell where it is; when nothing has been heard of the peer for too long, end."""
        pinged_s = self._clock()
        while True:
            await asyncio.sleep(_PULSE_S)
            now_s, position = self._clock(), self.playout.position
            if now_s - self._heard_of_s > self._limits.gone_s:
                return
            if self.playout.playing or self._talk.busy:
                # What is spoken, or waits to be, is no silence of the peer.
                self._commanded_s = now_s
            if self.playout.playing:
                self._talk.report_played(position.utterance, position.played_s)
                self._speech.report()
            elif now_s - self._commanded_s > self._limits.idle_s:
                told = f"nothing was said for {self._limits.idle_s:g} seconds; call again"
                self._tell("bye", reason="idle", message=told)
                return
            if now_s - pinged_s >= _PING_S:
                pinged_s = now_s
                self._tell("ping")
