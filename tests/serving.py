"""A whole server in the test's own process, over the engine without models, and a client that speaks to it."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import aiohttp
import async_tests
from scripted_worker import ScriptedWorker

from voicestack.realtime.serve.app import App
from voicestack.realtime.serve.guard import Policy
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.logs import KeyValueFormatter
from voicestack.realtime.serve.settings import Settings
from voicestack.realtime.voice import Voice, VoiceConfig


@dataclass
class Served:
    """A server that is ready, and a client of it."""

    app: App
    voice: Voice
    client: aiohttp.ClientSession
    url: str

    async def speak(self, text: str = "hello", **fields: Any) -> tuple[int, bytes, Any]:
        """Ask for speech; status, body and headers of the answer."""
        body = {"model": "tts-1", "voice": "alloy", "input": text, "response_format": "pcm", **fields}
        async with self.client.post(f"{self.url}/v1/audio/speech", json=body) as answer:
            return answer.status, await answer.read(), answer.headers


@asynccontextmanager
async def served(
    worker: ScriptedWorker | None = None,
    *,
    voice: Voice | None = None,
    policy: Policy | None = None,
    limits: ServeLimits | None = None,
    headers: dict[str, str] | None = None,
    **config: Any,
) -> AsyncIterator[Served]:
    """Run a server while inside, of a voice without models unless one is given; afterwards nothing of it is left."""
    speaker = worker or ScriptedWorker()
    voice = voice or Voice.load(open_worker=lambda: speaker, config=VoiceConfig(**config))
    app = App(Settings(port=0, policy=policy or Policy()), voice, limits)
    running = asyncio.create_task(app.run(), name="server")
    ready = asyncio.create_task(app.ready.wait(), name="ready")
    await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    if running.done():
        await running
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(headers=headers, connector=connector) as client:
        try:
            yield Served(app, voice, client, f"http://127.0.0.1:{app.port}")
        finally:
            app.stop()
            await running


# A connection that was aborted is gone some turns of the loop later.
run = partial(async_tests.run, settle_s=0.01)


async def until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)


class Lines(logging.Handler):
    """What the server logs, as lines."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(KeyValueFormatter())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep it."""
        self.lines.append(self.format(record))

    def of(self, event: str) -> list[str]:
        """The lines of an event."""
        return [line for line in self.lines if f" event={event}" in line]


@contextmanager
def logged() -> Iterator[Lines]:
    """Whatever is logged while inside."""
    logger, lines = logging.getLogger("voicestack"), Lines()
    level = logger.level
    logger.addHandler(lines)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(lines)
        logger.setLevel(level)
