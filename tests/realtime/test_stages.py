"""Where the time of an utterance goes, as its session tells."""

import asyncio

from scripted_worker import FRAME_S, ScriptedWorker

from voicestack.realtime.session import Session
from voicestack.realtime.stages import Stages
from voicestack.realtime.voice import Voice, VoiceConfig

FAST = VoiceConfig(lead_s=(50.0, 60.0), queue_s=100.0)


async def speak(session: Session, *pieces: str) -> Stages:
    """One utterance, each piece pushed when the one before has been heard."""
    audio = session.audio()
    for piece in pieces[:-1]:
        await session.push_text(piece)
        for _ in piece:
            await anext(audio)
        await asyncio.sleep(0.02)
    await session.push_text(pieces[-1])
    await session.flush()
    async for _ in audio:
        pass
    return session.stages


def test_the_moments_of_an_utterance_come_in_order() -> None:
    """From its first text to its first audible sample; the next utterance has moments of its own."""

    async def body() -> None:
        async with Voice.load(open_worker=ScriptedWorker, config=FAST) as voice, voice.session() as session:
            assert session.stages.opened_s is None
            first = await speak(session, "hello")
            moments = (first.opened_s, first.first_step_s, first.first_frame_s, first.first_chunk_s)
            assert None not in moments
            assert list(moments) == sorted(moment or 0.0 for moment in moments)
            assert (first.first_taken_s or 0.0) >= (first.first_chunk_s or 0.0)
            assert first.audible_s == first.first_chunk_s
            second = await speak(session, "again")
            assert second is not first
            assert (second.opened_s or 0.0) > (first.first_taken_s or 0.0)

    asyncio.run(body())


def test_silence_at_the_start_is_part_of_what_a_listener_waits() -> None:
    """The first audible sample is where it lies on the player's time, however early its chunk was handed out."""

    async def body() -> None:
        async with Voice.load(open_worker=ScriptedWorker, config=FAST) as voice, voice.session() as session:
            stages = await speak(session, "   hello")
            assert (stages.audible_s or 0.0) - (stages.first_chunk_s or 0.0) >= 3 * FRAME_S - 1e-6

    asyncio.run(body())


def test_the_time_without_text_is_counted() -> None:
    """Only from when all of it was spoken until more came."""

    async def body() -> None:
        async with Voice.load(open_worker=ScriptedWorker, config=FAST) as voice, voice.session() as session:
            assert (await speak(session, "hello")).starved_s == 0
            stages = await speak(session, "a", "b")
            assert stages.starved_s > 0
            assert stages.starved_until_s > (stages.first_chunk_s or 0.0)

    asyncio.run(body())
