"""Speak through a running `voicestack serve`, as with a voice in this process: the one file that knows websockets.

async with connect("http://127.0.0.1:8765") as session:
    await session.push_text("Hello there.")
    await session.flush()
    async for chunk in session.audio():
        play(chunk.pcm)
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Mapping
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_websocket
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.typing import Subprotocol

from voicestack.runtime import Chunk, InputError, StateError, VoicestackError

from .outlet import Ending
from .playout import Heard, Playout
from .remote_protocol import (
    PROTOCOL,
    ConnectionLostError,
    Wishes,
    address_of,
    closing_of,
    error_of,
    hello_of,
    is_fatal,
    parsed,
    refusal_of,
    words_of,
)
from .remote_sound import Interruption, RemoteChunk, RemoteSound, UtteranceReport

_OPEN_S = 10.0
_CLOSE_S = _GIVE_UP_S = 2.0


def connect(
    url: str,
    *,
    token: str | None = None,
    sample_rate_hz: int | None = None,
    depth: int | None = None,
    seed: int | None = None,
    unpaced: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> "RemoteSession":
    """A session on a server, to be used by `async with`; url: as its page, or its `/ws`. InputError for no URL."""
    return RemoteSession(address_of(url), token, Wishes(sample_rate_hz, depth, seed, unpaced), clock)


class RemoteSession:
    """A conversation with a server's voice; the calls are those of `Session`, and so are the errors.

    Attributes:
        hello: what the server said of itself: server, voice, sample_rate, depth, limits.
        last: what the server said of the last utterance that ended; None before.
    """

    def __init__(self, address: str, token: str | None, wishes: Wishes, clock: Callable[[], float]) -> None:
        self.hello: Mapping[str, Any] = {}
        self.last: UtteranceReport | None = None
        self._address, self._token, self._wishes, self._clock = address, token, wishes, clock
        self._wire: ClientConnection | None = None
        self._reader: asyncio.Task[None] | None = None
        self._sound = RemoteSound()
        self._interruptions: list[Interruption] = []
        self._playout = Playout()
        self._utterance: int | None = None
        self._reading = False
        self._said = False
        self._error: VoicestackError | None = None

    @property
    def sample_rate_hz(self) -> int:
        """Samples in a second of its sound."""
        return int(self.hello["sample_rate"])

    async def __aenter__(self) -> Self:
        """Raises CapacityError, with a hint when to come again, when the server is full.

        ConnectionLostError if there is no server, InputError for a wrong token or a depth the voice has not.
        """
        self._wire = wire = await _opened(self._address, self._token)
        try:
            await wire.send(self._wishes.start())
            self.hello = await self._hear_hello(wire)
        except ConnectionClosed as closed:
            raise _why(closed) from closed
        except (TimeoutError, ValueError) as error:
            await wire.close()
            if isinstance(error, VoicestackError):
                raise
            raise ConnectionLostError(f"{self._address} did not greet as {PROTOCOL}: {error or 'too slow'}") from error
        except BaseException:
            await wire.close()
            raise
        self._reader = asyncio.create_task(self._read(wire), name="voicestack-client-reader")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def push_text(self, text: str) -> None:
        """Say more; text may come token by token, and of any length that the server holds."""
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise InputError(f"text must be a string, got {type(text).__name__}")
        most = int(self.hello["limits"]["text_chars"]) if self.hello else 1
        self._said = self._said or bool(text)
        for start in range(0, len(text), most):
            await self._send(type="text", text=text[start : start + most])

    async def flush(self) -> None:
        """Say that the text of the utterance is complete."""
        if self._said:
            self._said = False
            await self._send(type="flush")

    async def mark(self, name: str) -> None:
        """Put a mark behind the text so far; `audio` gives it with the chunk in which it is reached."""
        self._said = True
        await self._send(type="mark", name=name)

    async def set_depth(self, depth: int) -> None:
        """Have so many layers heard from now on; that the voice has not so many is told by the next call."""
        await self._send(type="depth", depth=depth)

    async def audio(self) -> AsyncIterator[RemoteChunk]:
        """The sound of the utterance that is being spoken, or of the next, to its end; ends early when interrupted.

        Who stops reading before the end gives the utterance up. One that failed raises VoicestackError.
        """
        if self._reading:
            raise InputError("audio() is being read already; one listener a session")
        self._reading = True
        whole = False
        try:
            while not whole:
                piece = await self._sound.take()
                if isinstance(piece, RemoteChunk):
                    self._take(piece)
                    yield piece
                    continue
                whole = True
                if isinstance(piece, VoicestackError):
                    raise piece
                if isinstance(piece, UtteranceReport) and piece.error is not None:
                    raise VoicestackError(piece.error)
        finally:
            self._reading = False
            if not whole:
                await self._give_up()

    async def interrupt(self, *, finish_word: bool = False) -> Heard:
        """Stop speaking, at once or behind the word that sounds now; returns what was heard.

        An `audio` that is being read ends, also one that still waits: what is on its way is not known here.
        """
        playout = self._playout
        if self._utterance is not None:
            await self._tell(type="played", utterance=self._utterance, seconds=playout.played_s(self._clock()))
        waiting = Interruption(asyncio.get_running_loop().create_future(), finish_word)
        self._interruptions.append(waiting)
        self._said = False
        if not finish_word:
            self._sound.drop(listening=self._reading)
        try:
            await self._tell(type="interrupt", finish_word=finish_word)
        except VoicestackError:
            if waiting in self._interruptions:
                self._interruptions.remove(waiting)
            waiting.answer.cancel()
            raise
        heard = await waiting.answer
        # What its listener still holds is not played any more.
        playout.report(heard.played_s)
        return heard

    def heard(self) -> Heard:
        """What has been heard of the utterance by now, or of the last one."""
        return self._playout.heard(self._clock())

    def report_played(self, played_s: float) -> None:
        """Tell how many seconds of the utterance have come out of the loudspeaker; otherwise it is reckoned."""
        self._playout.report(played_s)

    async def aclose(self) -> None:
        """Leave; once more does no harm."""
        self._fail(StateError("the session is closed; open another"))
        if self._wire is not None:
            await self._wire.close()
        if self._reader is not None:
            await asyncio.wait({self._reader})

    async def _send(self, **fields: object) -> None:
        """Send a message; raises instead what of those before was refused."""
        if self._error is None and (refused := self._sound.refused()) is not None:
            raise refused
        await self._tell(**fields)

    async def _tell(self, **fields: object) -> None:
        """Send a message, whatever was refused before."""
        if self._wire is None:
            raise StateError("the session is not connected; use it by `async with connect(...)`")
        if self._error is not None:
            raise self._error
        try:
            await self._wire.send(json.dumps(fields))
        except ConnectionClosed as closed:
            raise self._error or _why(closed) from closed

    def _take(self, chunk: RemoteChunk) -> None:
        if chunk.utterance != self._utterance:
            self._utterance, self._playout = chunk.utterance, Playout()
        self._playout.take(len(chunk.pcm) / self.sample_rate_hz, chunk.words, self._clock())

    async def _give_up(self) -> None:
        try:
            async with asyncio.timeout(_GIVE_UP_S):
                await self.interrupt()
        except (VoicestackError, TimeoutError):
            # There is nothing left to give up.
            return

    async def _hear_hello(self, wire: ClientConnection) -> Mapping[str, Any]:
        async with asyncio.timeout(_OPEN_S):
            return hello_of(parsed(await wire.recv()), self._address)

    async def _read(self, wire: ClientConnection) -> None:
        """Take messages as they come, until the connection ends."""
        try:
            while True:
                told = parsed(await wire.recv())
                data = [await wire.recv(decode=False) for _ in range(int(told.get("messages", 0)))]
                await self._dispatch(told, b"".join(data))
        except ConnectionClosed as closed:
            self._fail(self._error or _why(closed))
        except (ValueError, TypeError, KeyError) as broken:
            self._fail(ConnectionLostError(f"the server said what is no {PROTOCOL}: {broken}"))

    async def _dispatch(self, told: Mapping[str, Any], data: bytes) -> None:
        kind = told.get("type")
        if kind == "interrupted":
            heard = Heard(float(told["played_ms"]) / 1000, words_of(told["words"]))
            if self._interruptions:
                self._interruptions.pop(0).heard(heard, self._sound)
        elif kind == "audio":
            await self._sound.put(int(told["utterance"]), float(told["start_s"]), data, self.sample_rate_hz)
        elif kind == "words":
            self._sound.words += words_of(told["words"])
        elif kind == "mark":
            self._sound.marks += (str(told["name"]),)
        elif kind == "speech.ended":
            self.last = self._sound.ended(told)
            if self.last.ending is Ending.STARVED:
                # There is nothing left that could be flushed.
                self._said = False
        elif kind == "error" and is_fatal(told):
            self._fail(error_of(told))
        elif kind == "error":
            self._sound.refuse(error_of(told))

    def _fail(self, error: VoicestackError) -> None:
        """All that waits hears of it; so does every later call."""
        if self._error is None:
            self._error = error
            self._sound.fail(error)
        for waiting in self._interruptions:
            if not waiting.answer.done():
                waiting.answer.set_exception(self._error)
        self._interruptions.clear()


async def _opened(address: str, token: str | None) -> ClientConnection:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    try:
        return await open_websocket(
            address,
            subprotocols=[Subprotocol(PROTOCOL)],
            additional_headers=headers,
            compression=None,
            open_timeout=_OPEN_S,
            close_timeout=_CLOSE_S,
        )
    except InvalidStatus as refused:
        response = refused.response
        wait = response.headers.get("Retry-After", "")
        raise refusal_of(address, response.status_code, bytes(response.body or b""), wait) from refused
    except (InvalidURI, UnicodeError) as error:
        raise InputError(f"{address!r} is no URL of a server") from error
    except (OSError, InvalidHandshake, TimeoutError, EOFError) as error:
        raise ConnectionLostError(f"no server answers at {address}: {error}; start one by voicestack serve") from error


def _why(closed: ConnectionClosed) -> VoicestackError:
    frame = closed.rcvd
    return closing_of() if frame is None else closing_of(frame.code, frame.reason)


__all__ = ["Chunk", "ConnectionLostError", "Heard", "RemoteChunk", "RemoteSession", "UtteranceReport", "connect"]
