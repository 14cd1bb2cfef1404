"""A voice whose worker is scripted, and what is heard of its sessions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from scripted_worker import FRAME, ScriptedWorker, sound_of

from voicestack.realtime.lifecycle import State
from voicestack.realtime.session import Session
from voicestack.realtime.voice import Voice, VoiceConfig
from voicestack.runtime import Chunk

FAST = {"lead_s": (50.0, 60.0), "queue_s": 100.0}
"""As if a listener were far behind, so that nothing waits for real time to pass."""


@asynccontextmanager
async def voice_of(worker: ScriptedWorker, **config: object) -> AsyncIterator[Voice]:
    async with Voice.load(open_worker=lambda: worker, config=VoiceConfig(**config)) as voice:  # type: ignore[arg-type]
        yield voice


def state_of(session: Session) -> State:
    """Its state, which a checker must not take for what it was before."""
    return session.state


def expected(key: int, text: str) -> np.ndarray:
    return np.repeat(np.array([sound_of(key, f, c) for f, c in enumerate(text)], np.float32), FRAME)


async def sound(session: Session) -> np.ndarray:
    parts = [chunk.pcm async for chunk in session.audio()]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


async def first_chunk(session: Session) -> tuple[Chunk, AsyncIterator[Chunk]]:
    stream = session.audio()
    return await anext(stream), stream


async def ended(session: Session) -> None:
    """Wait for the end of its utterance, which nobody reads."""
    for _ in range(1000):
        if session.ending is not None:
            return
        await asyncio.sleep(0.005)


async def closed_soon(worker: ScriptedWorker) -> bool:
    for _ in range(100):
        if not worker.open:
            return True
        await asyncio.sleep(0.005)
    return False
