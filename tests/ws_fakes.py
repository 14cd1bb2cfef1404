"""A WebSocket that is all memory, a server that speaks without models, and a client of each that waits for messages."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from scripted_worker import ScriptedWorker

from voicestack.realtime.scheduler import Limits as SchedulerLimits
from voicestack.realtime.serve.edge import Request, WireClosedError
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.service import Service
from voicestack.realtime.serve.ws_shell import routes
from voicestack.realtime.voice import Voice, VoiceConfig

VENDORS = {
    "native": "/ws",
    "cartesia": "/tts/websocket",
    "deepgram": "/v1/speak",
    "elevenlabs": "/v1/text-to-speech/{voice}/stream-input",
    "elevenlabs-multi": "/v1/text-to-speech/{voice}/multi-stream-input",
}


@asynccontextmanager
async def served(
    worker: ScriptedWorker | None = None,
    limits: ServeLimits | None = None,
    starved: SchedulerLimits | None = None,
    **config: Any,
) -> AsyncIterator[Service]:
    """A voice that speaks as fast as it can, so that no test waits for real time; `config` changes that."""
    worker = worker or ScriptedWorker()
    fast: dict[str, Any] = {"lead_s": (50.0, 60.0), "queue_s": 100.0, "limits": starved or SchedulerLimits()}
    async with Voice.load(open_worker=lambda: worker, config=VoiceConfig(**(fast | config))) as voice:
        yield Service(voice, "scripted", limits or ServeLimits())


class FakeWire:
    """A client at the other end of no socket. `stuck` is one that does not read, and is cut off."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.sent: list[str | bytes] = []
        self.closed: tuple[int, str] | None = None
        self._stuck = stuck
        self._said: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._news = asyncio.Event()
        self.read = 0

    async def receive(self) -> str | bytes | None:
        if self.all_read:
            self._news.set()
        message = await self._said.get()
        self.read += message is not None
        return message

    async def send(self, message: str | bytes) -> None:
        await asyncio.sleep(0)
        if self._stuck and len(self.sent) > 1:
            raise WireClosedError("the reader is too slow")
        self.sent.append(message)
        self._news.set()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed = self.closed or (code, reason)
        self._news.set()

    def say(self, *messages: dict[str, Any] | str | bytes) -> None:
        """Messages of the client, dictionaries as JSON."""
        for message in messages:
            self._said.put_nowait(json.dumps(message) if isinstance(message, dict) else message)

    def hang_up(self) -> None:
        """The client is gone."""
        self._said.put_nowait(None)

    @property
    def all_read(self) -> bool:
        """Whether the server has taken all messages of the client."""
        return self._said.empty()

    @property
    def told(self) -> list[dict[str, Any]]:
        """The JSON messages of the server so far."""
        return [json.loads(message) for message in self.sent if isinstance(message, str)]

    @property
    def sound(self) -> bytes:
        """Its binary messages so far."""
        return b"".join(message for message in self.sent if isinstance(message, bytes))

    async def until(self, seen: Callable[[], bool]) -> None:
        """Wait until something is so."""
        while not seen():
            self._news.clear()
            await self._news.wait()

    async def told_of(self, **fields: Any) -> dict[str, Any]:
        """Wait for a message with such fields."""

        def found() -> list[dict[str, Any]]:
            return [told for told in self.told if fields.items() <= told.items()]

        await self.until(lambda: bool(found()) or self.closed is not None)
        if not found():
            raise AssertionError(f"no message with {fields}, closed with {self.closed} after {self.told[-3:]}")
        return found()[0]


@asynccontextmanager
async def connected(
    service: Service, dialect: str, wire: FakeWire | None = None, **query: str
) -> AsyncIterator[FakeWire]:
    """A client of a dialect; it hangs up at the end, and the server must then be through with it."""
    wire = wire or FakeWire()
    (route,) = [route for route in routes(service) if route.path == VENDORS[dialect]]
    request = Request("GET", route.path, query, path_values={"voice": "any"})

    async def serve() -> None:
        await route.converse(request, wire)

    serving = asyncio.create_task(serve())
    try:
        yield wire
    finally:
        wire.hang_up()
        await serving
