"""One client of anything that is used as a session is: the voice in this process, or one behind a server."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from voicestack.runtime import Chunk

from ..stages import Stages
from .target import Hear, Sound

SEED_STEP = 1_000_003
"""Between the seeds of two sessions, more than any session will use."""


class Speaking(Protocol):
    """What is used of a session."""

    @property
    def sample_rate_hz(self) -> int:
        """Samples in a second of its sound."""
        ...

    async def push_text(self, text: str) -> None:
        """Say more."""
        ...

    async def flush(self) -> None:
        """The text is complete."""
        ...

    def audio(self) -> AsyncIterator[Chunk]:
        """The sound of an utterance, to its end."""
        ...

    async def interrupt(self) -> object:
        """Stop speaking."""
        ...


class SessionConversation:
    """Reply after reply through one session."""

    def __init__(self, session: Speaking) -> None:
        self._session = session
        self._writing: asyncio.Task[None] | None = None

    @property
    def stages(self) -> Stages | None:
        """Unknown, where they are inside a server."""
        return None

    @property
    def underruns(self) -> None:
        """Nobody plays it; whoever measures counts by when it comes."""
        return

    async def speak(self, text: AsyncIterator[str], hear: Hear) -> None:
        """Push text and read sound at the same time."""
        async with asyncio.TaskGroup() as group:
            self._writing = group.create_task(self._write(text), name="voicestack-bench-writer")
            async for chunk in self._session.audio():
                hear(self._sound(chunk))
            # Text pushed behind the end would begin another reply.
            self._writing.cancel()

    async def interrupt(self) -> None:
        """Stop the writer, too, as whoever interrupts an assistant does."""
        if self._writing is not None:
            self._writing.cancel()
        await self._session.interrupt()

    def _sound(self, chunk: Chunk) -> Sound:
        return Sound(chunk.pcm, self._session.sample_rate_hz, chunk.depths)

    async def _write(self, text: AsyncIterator[str]) -> None:
        async for piece in text:
            await self._session.push_text(piece)
        await self._session.flush()
