"""The Wyoming server as Home Assistant's own client library sees it."""

import asyncio
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import numpy as np
import pytest
from async_tests import run
from scripted_worker import FRAME, RATE, ScriptedWorker

with warnings.catch_warnings():
    # It imports audioop, of which Python 3.11 says that it will go.
    warnings.simplefilter("ignore", DeprecationWarning)
    pytest.importorskip("wyoming.audio")

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncTcpClient
from wyoming.error import Error
from wyoming.event import Event, Eventable
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from wyoming.tts import (
    Synthesize,
    SynthesizeChunk,
    SynthesizeStart,
    SynthesizeStop,
    SynthesizeStopped,
    SynthesizeVoice,
)

from voicestack.realtime.serve.service import Service
from voicestack.realtime.serve.wyoming_edge import WyomingEdge
from voicestack.realtime.voice import Voice

pytestmark = pytest.mark.clients


@asynccontextmanager
async def client_of(voice: Voice) -> AsyncIterator[AsyncTcpClient]:
    async with voice:
        edge = WyomingEdge(Service(voice, "joe"), port=0)
        serving = asyncio.create_task(edge.run())
        await edge.listening.wait()
        try:
            async with AsyncTcpClient("127.0.0.1", edge.port) as client:
                yield client
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


def scripted() -> Voice:
    return Voice.load(open_worker=ScriptedWorker)


async def write(client: AsyncTcpClient, *events: Eventable) -> None:
    for event in events:
        await client.write_event(event.event())


async def until(client: AsyncTcpClient, last: type[Eventable]) -> list[Event]:
    """The events up to the last that is waited for."""
    events = []
    while (event := await client.read_event()) is not None:
        events.append(event)
        if last.is_type(event.type):
            return events
    raise AssertionError(f"closed after {[event.type for event in events]}")


def sound(events: list[Event]) -> bytes:
    return b"".join(AudioChunk.from_event(event).audio for event in events if AudioChunk.is_type(event.type))


@run
async def test_it_finds_the_voice() -> None:
    """With all that the library expects of one."""
    async with client_of(scripted()) as client:
        await write(client, Describe(), Ping("there?"))
        (program,) = Info.from_event((await until(client, Info))[0]).tts
        assert program.supports_synthesize_streaming
        assert [(voice.name, voice.languages) for voice in program.voices] == [("joe", ["en"])]
        assert Pong.from_event((await until(client, Pong))[0]).text == "there?"


@run
async def test_it_hears_a_text() -> None:
    """All of it, between a start and a stop."""
    async with client_of(scripted()) as client:
        await write(client, Synthesize("hello there", SynthesizeVoice("joe")))
        events = await until(client, AudioStop)
        start = AudioStart.from_event(events[0])
        assert (start.rate, start.width, start.channels) == (RATE, 2, 1)
        assert len(sound(events)) == 2 * len("hello there") * FRAME


@run
async def test_it_hears_a_text_that_is_still_written() -> None:
    """As Home Assistant writes it: in pieces that end anywhere, with the whole text beside them, which is not said."""
    async with client_of(scripted()) as client:
        await write(client, SynthesizeStart(SynthesizeVoice("joe")), SynthesizeChunk("hel"), SynthesizeChunk("lo th"))
        first = await until(client, AudioChunk)
        await write(client, SynthesizeChunk("ere"), Synthesize("hello there"), SynthesizeStop())
        events = first + await until(client, SynthesizeStopped)
        assert [event.type for event in events if not AudioChunk.is_type(event.type)] == [
            "audio-start",
            "audio-stop",
            "synthesize-stopped",
        ]
        assert len(sound(events)) == 2 * len("hello there") * FRAME


@run
async def test_it_understands_a_refusal() -> None:
    """As the error that the library knows."""
    async with client_of(scripted()) as client:
        await write(client, Synthesize("x" * 5000))
        assert "characters" in Error.from_event((await until(client, Error))[0]).text


@pytest.mark.asr
@pytest.mark.slow
def test_what_arrives_is_understood() -> None:
    """The voice that ships speaks a text that comes in pieces, and a recogniser writes it down."""
    from hearing import TEXT, understood

    async def body() -> bytes:
        async with client_of(Voice.load()) as client:
            pieces = [SynthesizeChunk(TEXT[at : at + 7]) for at in range(0, len(TEXT), 7)]
            await write(client, SynthesizeStart(), *pieces, Synthesize(TEXT), SynthesizeStop())
            return sound(await until(client, SynthesizeStopped))

    assert understood(np.frombuffer(asyncio.run(body()), "<i2").astype(np.float32) / np.float32(32768)) > 0.7
