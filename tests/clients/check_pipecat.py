"""Pipecat's services for Cartesia, ElevenLabs and Deepgram in a pipeline: a reply, and one that is interrupted."""

import asyncio
from collections.abc import Callable

from common import KEY, LONG, RATE_HZ, TEXT, WS, Ear, demand
from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSAudioRawFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.runner import PipelineRunner
from pipecat.pipeline.task import PipelineParams, PipelineTask
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.cartesia.tts import CartesiaTTSService
from pipecat.services.deepgram.tts import DeepgramTTSService
from pipecat.services.elevenlabs.tts import ElevenLabsTTSService
from pipecat.services.tts_service import TTSService

logger.remove()


def cartesia() -> TTSService:
    return CartesiaTTSService(api_key=KEY, url=f"{WS}/tts/websocket", settings=CartesiaTTSService.Settings(voice="any"))


def elevenlabs() -> TTSService:
    return ElevenLabsTTSService(api_key=KEY, url=WS, settings=ElevenLabsTTSService.Settings(voice="any"))


def deepgram() -> TTSService:
    return DeepgramTTSService(api_key=KEY, base_url=WS, settings=DeepgramTTSService.Settings(voice="any"))


class Listener(FrameProcessor):
    """What comes out of the service."""

    def __init__(self, ear: Ear) -> None:
        super().__init__()
        self.ear, self.words, self.errors = ear, list[str](), list[str]()
        self.stopped, self.sounded = asyncio.Event(), asyncio.Event()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame):
            self.ear.hear(frame.audio)
            self.sounded.set()
        elif isinstance(frame, TTSTextFrame):
            self.words.append(frame.text)
        elif isinstance(frame, TTSStoppedFrame):
            self.stopped.set()
        elif isinstance(frame, ErrorFrame):
            self.errors.append(str(frame.error))
        await self.push_frame(frame, direction)


async def reply(task: PipelineTask, text: str) -> None:
    """As a language model writes it."""
    await task.queue_frame(LLMFullResponseStartFrame())
    for word in text.split(" "):
        await task.queue_frame(LLMTextFrame(f"{word} "))
    await task.queue_frame(LLMFullResponseEndFrame())


async def check(name: str, make: Callable[[], TTSService]) -> None:
    ear = Ear(f"pipecat-{name}")
    listener = Listener(ear)
    task = PipelineTask(Pipeline([make(), listener]), params=PipelineParams(audio_out_sample_rate=RATE_HZ))
    running = asyncio.create_task(PipelineRunner(handle_sigint=False).run(task))
    await asyncio.sleep(1.0)
    ear.begin()
    await reply(task, TEXT)
    async with asyncio.timeout(60):
        await listener.stopped.wait()
        await asyncio.sleep(0.5)
    words = list(listener.words)
    listener.ear, listener.words = Ear("interrupted"), []
    listener.sounded.clear()
    await reply(task, LONG)
    async with asyncio.timeout(20):
        await listener.sounded.wait()
    await task.queue_frame(InterruptionFrame())
    await asyncio.sleep(0.5)
    listener.ear, listener.words = Ear("after"), []
    listener.stopped.clear()
    await asyncio.sleep(1.0)
    stale = len(listener.ear.data)
    await reply(task, "And on.")
    async with asyncio.timeout(20):
        await listener.stopped.wait()
    fresh_s = (len(listener.ear.data) - stale) / 2 / RATE_HZ
    await task.queue_frame(EndFrame())
    await asyncio.wait_for(running, 20)
    ear.report(words=len(words), stale_bytes=stale, next_s=round(fresh_s, 2), errors=listener.errors)
    demand(not listener.errors, f"no errors, {listener.errors}")
    demand(stale == 0, f"nothing stale behind an interruption, {stale} bytes")
    demand(0.3 < fresh_s < 3, f"the next reply whole and alone, {fresh_s} s")


async def main() -> None:
    for name, make in {"cartesia": cartesia, "elevenlabs": elevenlabs, "deepgram": deepgram}.items():
        await check(name, make)


asyncio.run(main())
