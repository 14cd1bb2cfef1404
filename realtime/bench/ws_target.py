"""Sessions of a voicestack server over its own WebSocket protocol, by the client that ships with voicestack."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

from ..client import connect
from .server_process import ServerProcess
from .server_target import ServerTarget
from .session_conversation import SEED_STEP, SessionConversation


class WsTarget(ServerTarget):
    """Connects to a server; each session speaks with seeds of its own."""

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
        super().__init__(server, url, token, transport="ws", depth=depth, clock=clock)
        self._seed = seed

    @asynccontextmanager
    async def open(self, number: int) -> AsyncGenerator[SessionConversation]:
        """A connected session; CapacityError when the server has no room."""
        seed, depth = self._seed + number * SEED_STEP, self.facts.depth
        async with connect(self._url, token=self._token, depth=depth, seed=seed, clock=self._clock) as session:
            self.facts.voice = session.hello.get("voice")
            yield SessionConversation(session)
