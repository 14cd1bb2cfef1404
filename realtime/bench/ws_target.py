"""Sessions of a voicestack server over its own WebSocket protocol, by the client that ships with voicestack."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Self

from ..client import RemoteSession, connect
from ..stages import Stages
from .server_process import ServerProcess, read_totals
from .target import Facts, Hear, Sound

_SEED_STEP = 1_000_003
"""Between the seeds of two sessions, more than any session will use."""


class WsTarget:
    """Connects to a server, which is begun for that when none is named."""

    def __init__(
        self,
        server: ServerProcess | None,
        url: str | None,
        token: str | None = None,
        *,
        depth: int | None = None,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.facts = Facts(url or "voicestack serve", "ws", depth=depth)
        self._server, self._token, self._depth, self._seed, self._clock = server, token, depth, seed, clock
        self._url = url or ""
        self._around: AbstractAsyncContextManager[Any] = server or nullcontext()

    async def __aenter__(self) -> Self:
        await self._around.__aenter__()
        if self._server is not None:
            self._url = self._server.url
            self.facts.cold["ready_s"] = self._server.ready_s
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._around.__aexit__(None, None, None)

    @asynccontextmanager
    async def open(self, number: int) -> AsyncGenerator["WsConversation"]:
        """A connected session; CapacityError when the server has no room."""
        seed = self._seed + number * _SEED_STEP
        async with connect(self._url, token=self._token, depth=self._depth, seed=seed, clock=self._clock) as session:
            self.facts.voice = session.hello.get("voice")
            yield WsConversation(session)

    def totals(self) -> Mapping[str, float]:
        """The counters of the server, where it is ours to ask."""
        return {} if self._server is None else read_totals(self._url)

    def capacity(self) -> None:
        """Unknown: it is another process."""
        return


class WsConversation:
    """One client."""

    def __init__(self, session: RemoteSession) -> None:
        self._session = session
        self._writing: asyncio.Task[None] | None = None

    @property
    def stages(self) -> Stages | None:
        """Unknown: they are inside the server."""
        return None

    @property
    def underruns(self) -> None:
        """Nobody plays it; whoever measures counts by when it comes."""
        return

    async def speak(self, text: AsyncIterator[str], hear: Hear) -> None:
        """Send text as it is written, and listen."""
        session = self._session
        async with asyncio.TaskGroup() as group:
            self._writing = group.create_task(self._write(text), name="voicestack-bench-writer")
            async for chunk in session.audio():
                hear(Sound(chunk.pcm, session.sample_rate_hz, chunk.depths))
            self._writing.cancel()

    async def interrupt(self) -> None:
        """Stop the writer, too, as whoever interrupts an assistant does."""
        if self._writing is not None:
            self._writing.cancel()
        await self._session.interrupt()

    async def _write(self, text: AsyncIterator[str]) -> None:
        async for piece in text:
            await self._session.push_text(piece)
        await self._session.flush()
