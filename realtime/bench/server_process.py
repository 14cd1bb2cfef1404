"""`voicestack serve` as a process of its own, so that what lies between it and a listener is there to be measured."""

import asyncio
import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Self
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

from voicestack.runtime import VoicestackError

from .totals import totals_of

_READY_S, _STOP_S, _POLL_S, _ANSWER_S = 120.0, 15.0, 0.05, 5.0


class ServerProcessError(VoicestackError):
    """The server did not begin to serve; the message ends with the last it said."""


class ServerProcess:
    """A server on the loopback, between entering and leaving `async with`.

    Attributes:
        url: where it answers.
        ready_s: how long it took until it did.
    """

    def __init__(self, arguments: Sequence[str]) -> None:
        """Args: arguments are those of `voicestack serve`, without an address."""
        self.url = ""
        self.ready_s = 0.0
        self._arguments = arguments
        self._process: asyncio.subprocess.Process | None = None
        self._told: asyncio.Task[bytes] | None = None

    async def __aenter__(self) -> Self:
        port = _free_port()
        self.url = f"http://127.0.0.1:{port}"
        command = [sys.executable, "-m", "voicestack.realtime", "serve", "--host", "127.0.0.1", "--port", str(port)]
        began_s = time.monotonic()
        process = self._process = await asyncio.create_subprocess_exec(
            *command, *self._arguments, stderr=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONUNBUFFERED": "1"}
        )
        # Read all the time, or it would one day wait for room to say something.
        self._told = asyncio.create_task(_last_of(process.stderr), name="voicestack-bench-server-log")
        try:
            async with asyncio.timeout(_READY_S):
                while not await asyncio.to_thread(_answers, f"{self.url}/readyz"):
                    if process.returncode is not None:
                        raise ServerProcessError(f"the server ended with {process.returncode}: {await self._last()}")
                    await asyncio.sleep(_POLL_S)
        except BaseException as error:
            await self._stop()
            if isinstance(error, TimeoutError):
                raise ServerProcessError(f"the server was not ready within {_READY_S:g} s") from error
            raise
        self.ready_s = time.monotonic() - began_s
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._stop()

    def totals(self) -> Mapping[str, float]:
        """Its counters, by name and labels."""
        return read_totals(self.url)

    @property
    def pid(self) -> int:
        """Its number among the processes of the machine."""
        if self._process is None:
            raise RuntimeError("the server is used outside `async with`")
        return self._process.pid

    async def _stop(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with suppress(ProcessLookupError):
                process.terminate()
            try:
                async with asyncio.timeout(_STOP_S):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        if self._told is not None:
            await self._told

    async def _last(self) -> str:
        return "" if self._told is None else (await self._told).decode("utf-8", "replace").strip()


def read_totals(url: str) -> dict[str, float]:
    """The counters of a voicestack server at this moment, by name and labels, as its own process knows them."""
    with urlopen(f"{url}/metrics", timeout=_ANSWER_S) as answer:
        text = answer.read().decode("utf-8")
    return totals_of(text_string_to_metric_families(text))


async def _last_of(stream: asyncio.StreamReader | None) -> bytes:
    """Read a stream to its end and keep the last line."""
    last = b""
    while stream is not None and (line := await stream.readline()):
        last = line
    return last


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=_ANSWER_S) as answer:
            return bool(answer.status == 200)
    except (HTTPError, URLError, OSError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
