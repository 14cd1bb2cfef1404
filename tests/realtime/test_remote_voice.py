"""What `say --url` sends to a server."""

import asyncio
from collections.abc import Iterator

import pytest

pytest.importorskip("websockets")

from async_tests import run

from voicestack.realtime.client import RemoteSession
from voicestack.realtime.remote_voice import _Writer
from voicestack.realtime.text_pipe import TextPipe


@run
async def test_a_pipe_is_read_no_faster_than_it_is_said() -> None:
    """A writer that never ends waits, and fills no memory."""
    read = 0

    class Endless(TextPipe):
        def __iter__(self) -> Iterator[str]:
            nonlocal read
            while True:
                read += 1
                yield "word " * 1000

    class Silent(RemoteSession):
        def __init__(self) -> None:
            self.hello = {"limits": {"buffered_chars": 16_000}}
            self.pushed = 0

        async def push_text(self, text: str) -> None:
            self.pushed += len(text)

        async def flush(self) -> None:
            pass

    session = Silent()
    writing = asyncio.create_task(_Writer(session, Endless(-1)).write())
    await asyncio.sleep(0.2)
    writing.cancel()
    await asyncio.wait({writing})
    assert session.pushed == 16_000
    assert read <= 10
