"""A voicestack server as what is measured, whatever the wire: one that is begun for it, or one that is named."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, Self

from .server_process import ServerProcess, read_totals
from .target import Facts


class ServerTarget:
    """Begins the server, or finds it at `url`; how to talk to it is for those who open conversations."""

    def __init__(
        self,
        server: ServerProcess | None,
        url: str | None,
        token: str | None,
        *,
        transport: str,
        depth: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.facts = Facts(url or "voicestack serve", transport, depth=depth)
        self._server, self._token, self._clock = server, token, clock
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

    def totals(self) -> Mapping[str, float]:
        """The counters of the server, where it is ours to ask."""
        return {} if self._server is None else read_totals(self._url)

    def capacity(self) -> None:
        """Unknown: it is another process."""
        return
