"""What a session does about its listener: who cuts in, leaves, takes nothing, or says how far it is."""

import asyncio

import numpy as np
import pytest
from async_tests import run
from scripted_worker import FRAME, FRAME_S, RATE, ScriptedWorker
from session_help import FAST, closed_soon, ended, expected, first_chunk, sound, state_of, voice_of

from voicestack.realtime.lifecycle import State
from voicestack.realtime.outlet import Ending
from voicestack.realtime.scheduler import Limits
from voicestack.runtime import Chunk, StateError


@run
async def test_interrupt_tells_what_was_played_and_nothing_stale_follows() -> None:
    """`audio` ends at once, only what was taken counts as heard, and the next utterance begins with its own sound."""
    worker = ScriptedWorker()
    async with voice_of(worker, lead_s=(0.2, 0.4)) as voice, voice.session() as session:
        await session.push_text("one two three four five six seven eight nine ten")
        await session.flush()
        taken: list[Chunk] = []

        async def listen() -> None:
            async for chunk in session.audio():
                taken.append(chunk)

        listener = asyncio.create_task(listen())
        await asyncio.sleep(0.5)
        heard = await session.interrupt()
        count = len(taken)
        await listener
        assert len(taken) == count
        assert state_of(session) is State.INTERRUPTED
        # How far it is after half a second depends on the machine; what was heard of it does not.
        told = [word.text for chunk in taken for word in chunk.words if word.start_s < heard.played_s]
        assert heard.text == " ".join(told)
        assert 0 < heard.played_s < sum(len(chunk.pcm) for chunk in taken) / RATE
        await session.push_text("new")
        await session.flush()
        np.testing.assert_array_equal(await sound(session), expected(1, "new"))
        assert await closed_soon(worker)


@run
async def test_a_soft_interrupt_finishes_the_word() -> None:
    """The sound goes on to the end of the word that is being said, and no further than that or what was taken."""
    async with voice_of(ScriptedWorker(), lead_s=(0.7, 0.9)) as voice, voice.session() as session:
        await session.push_text("one twothree four five six")
        await session.flush()
        parts: list[np.ndarray] = []

        async def listen() -> None:
            async for chunk in session.audio():
                parts.append(chunk.pcm)

        listener = asyncio.create_task(listen())
        await asyncio.sleep(0.5)
        taken = sum(map(len, parts))
        heard = await session.interrupt(finish_word=True)
        await listener
        words = "one twothree four five six".split()
        assert [word.text for word in heard.words] == words[: len(heard.words)]
        if len(heard.words) < len(words):
            # Behind the last word that is heard comes nothing but the space before the next.
            end_s = len(" ".join(words[: len(heard.words)]) + " ") * FRAME_S
            assert heard.played_s == pytest.approx(end_s)
            assert sum(map(len, parts)) == pytest.approx(max(taken, end_s * RATE))
        assert state_of(session) is State.INTERRUPTED


@run
async def test_a_listener_may_report_how_far_it_is() -> None:
    """What a transport knows of its loudspeaker counts for more than the clock."""
    async with voice_of(ScriptedWorker(), **FAST) as voice, voice.session() as session:
        await session.push_text("one two three")
        await session.flush()
        _, stream = await first_chunk(session)
        async for _ in stream:
            if session.heard().played_s >= 0 and len(session.heard().words) == 0:
                continue
        session.report_played(5 * FRAME_S)
        assert session.heard().text == "one two"
        assert (await session.interrupt()).played_ms == pytest.approx(5 * FRAME_S * 1000)


@run
async def test_a_listener_that_leaves_gives_its_utterance_up() -> None:
    """A reader that is cancelled, or breaks off, stops the work within a round."""
    worker = ScriptedWorker()
    async with voice_of(worker, lead_s=(0.2, 0.4)) as voice, voice.session() as session:
        await session.push_text("a very long text " * 50)
        reader = asyncio.create_task(sound(session))
        await asyncio.sleep(0.1)
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        assert await closed_soon(worker)
        assert state_of(session) is State.IDLE
        made = worker.begun[0].made
        await asyncio.sleep(0.1)
        assert worker.begun[0].made == made < 40


@run
async def test_a_listener_that_takes_nothing_stops_its_own_stream_only() -> None:
    """Work goes no further than the queue is long, and when patience is over the utterance is abandoned."""
    worker = ScriptedWorker()
    limits = Limits(full_s=0.3)
    async with voice_of(worker, lead_s=(50.0, 60.0), queue_s=1.0, limits=limits) as voice:
        async with voice.session() as slow, voice.session() as other:
            await slow.push_text("x" * 1000)
            await other.push_text("y" * 60)
            await other.flush()
            assert len(await sound(other)) == 60 * FRAME
            await asyncio.sleep(0.1)
            assert worker.begun[0].made * FRAME_S < 1.5
            await asyncio.sleep(0.4)
            assert 0 not in worker.open


@run
async def test_a_barge_in_counts_while_the_end_is_still_being_played() -> None:
    """All was taken and little was heard: the interruption freezes that, and the next reply may begin."""
    async with voice_of(ScriptedWorker(), **FAST) as voice, voice.session() as session:
        await session.push_text("one two three four five six")
        await session.flush()
        _, stream = await first_chunk(session)
        while session.ending is None or session._outlet is None or not session._outlet.over:
            await anext(stream)
        heard = await session.interrupt()
        assert state_of(session) is State.INTERRUPTED
        await asyncio.sleep(0.05)
        assert session.heard() == heard
        await session.push_text("new")
        await session.flush()
        assert [chunk async for chunk in stream] == []
        np.testing.assert_array_equal(await sound(session), expected(1, "new"))


@run
async def test_a_listener_that_takes_a_little_and_stops_is_abandoned_too() -> None:
    """Patience with a full queue does not end with a chunk that leaves it full."""
    limits = Limits(full_s=0.2)
    async with voice_of(ScriptedWorker(), lead_s=(50.0, 60.0), queue_s=1.0, limits=limits) as voice:
        async with voice.session() as session:
            await session.push_text("x" * 1000)
            await session.flush()
            _, stream = await first_chunk(session)
            await asyncio.sleep(0.1)
            await anext(stream)
            await ended(session)
            assert session.ending is Ending.ABANDONED


@pytest.mark.parametrize("leaves", [False, True])
def test_text_that_waits_for_a_starved_utterance_is_not_said_behind_what_ends_it(leaves: bool) -> None:
    """Neither after an interruption, nor in a session that is closed meanwhile."""

    @run
    async def body() -> None:
        async with voice_of(ScriptedWorker(), **FAST) as voice, voice.session() as session:
            await session.push_text("abc")
            assert session._outlet is not None
            session._outlet.starved = True
            pushing = asyncio.create_task(session.push_text("stale"))
            await asyncio.sleep(0)
            await (session.aclose() if leaves else session.interrupt())
            if leaves:
                with pytest.raises(StateError):
                    await pushing
            else:
                await pushing
            assert session.state is (State.CLOSED if leaves else State.INTERRUPTED)

    body()
