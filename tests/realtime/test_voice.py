import asyncio
import gc
import sys
import weakref
from contextlib import AsyncExitStack

import numpy as np
import pytest
from async_tests import run
from scripted_worker import FRAME, FRAME_S, ScriptedWorker
from session_help import FAST, expected, sound, state_of, voice_of

import voicestack.realtime
from voicestack.realtime.lifecycle import State
from voicestack.realtime.planner import PlannerConfig
from voicestack.realtime.voice import Voice
from voicestack.runtime import CapacityError, StateError


@run
async def test_one_that_fails_does_not_touch_the_others() -> None:
    """The error comes out of its own `audio` once what was made has been taken; the others sound as without it."""

    def fault(key: int, frame: int) -> None:
        if key == 1 and frame == 5:
            raise RuntimeError("the graph broke off")

    async with voice_of(ScriptedWorker(fault=fault), **FAST) as voice:
        async with voice.session() as a, voice.session() as b, voice.session() as c:
            for session in (a, b, c):
                await session.push_text("some words")
                await session.flush()
            results = await asyncio.gather(*(sound(s) for s in (a, b, c)), return_exceptions=True)
            np.testing.assert_array_equal(results[0], expected(0, "some words"))
            np.testing.assert_array_equal(results[2], expected(2, "some words"))
            assert isinstance(results[1], RuntimeError)
            assert state_of(b) is State.IDLE
            await b.push_text("again")
            await b.flush()
            np.testing.assert_array_equal(await sound(b), expected(3, "again"))


@run
async def test_who_does_not_fit_is_refused_with_a_hint() -> None:
    """Beyond capacity a session is refused at the door, and let in when another has left."""
    async with voice_of(ScriptedWorker(), max_sessions=2, **FAST) as voice:
        async with voice.session():
            async with voice.session():
                with pytest.raises(CapacityError, match="2 sessions are open") as refused:
                    async with voice.session():
                        pass
                assert (refused.value.retry_after_s or 0) > 0
            async with voice.session():
                assert voice.sessions == 2


@run
async def test_a_voice_that_drains_takes_nobody_and_waits_for_the_rest() -> None:
    """Shutdown is graceful: those who speak finish, newcomers are refused."""
    async with voice_of(ScriptedWorker(), **FAST) as voice:
        async with voice.session() as session:
            draining = asyncio.create_task(voice.drain())
            await asyncio.sleep(0)
            with pytest.raises(CapacityError, match="shutting down"):
                async with voice.session():
                    pass
            await session.push_text("bye")
            await session.flush()
            assert len(await sound(session)) == 3 * FRAME
            assert not draining.done()
        await draining


@run
async def test_a_voice_that_is_left_takes_everything_with_it() -> None:
    """Leaving the voice in the middle of speech ends the sessions; one thread did all the work, and it is gone."""
    worker = ScriptedWorker()
    async with voice_of(worker, lead_s=(0.2, 0.4)) as voice:
        session = voice.session()
        await session.__aenter__()
        await session.push_text("a long text that goes on")
        reader = asyncio.create_task(sound(session))
        await asyncio.sleep(0.05)
    await reader
    assert state_of(session) is State.CLOSED
    assert not worker.open
    assert worker.threads == {"voicestack-engine_0"}
    with pytest.raises(StateError, match="not loaded"):
        voice.session()


@run
async def test_voices_that_were_left_leave_nothing_in_memory_and_the_process_as_it_was() -> None:
    """However many overlap; while one of them runs, threads are switched between as it needs."""
    before_s, workers = sys.getswitchinterval(), [ScriptedWorker() for _ in range(3)]
    gone = [weakref.ref(worker) for worker in workers]
    stack = AsyncExitStack()
    first = await stack.enter_async_context(voice_of(workers.pop()))
    async with voice_of(workers.pop()):
        await stack.aclose()
        assert sys.getswitchinterval() < before_s
    async with voice_of(workers.pop()):
        pass
    assert sys.getswitchinterval() == before_s
    with pytest.raises(StateError):
        first.capacity()
    del first, stack
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3


@run
async def test_a_batch_smaller_than_a_call_still_steps_somebody() -> None:
    """A configuration that makes little sense is slow, not stuck."""
    config = PlannerConfig(batch=4)
    async with voice_of(ScriptedWorker(), planner=config, **FAST) as voice, voice.session() as session:
        await session.push_text("x" * 20)
        await session.flush()
        assert len(await sound(session)) == 20 * FRAME


@run
async def test_an_exception_of_the_whole_round_ends_those_in_it_and_no_one_else() -> None:
    """What the worker cannot pin on an utterance fails all of that round; later ones are served."""
    crashes = [True]

    def crash(order: object) -> None:
        if getattr(order, "step", None) and crashes:
            crashes.clear()
            raise MemoryError("out of memory")

    async with voice_of(ScriptedWorker(crash=crash), **FAST) as voice, voice.session() as session:
        await session.push_text("abc")
        await session.flush()
        with pytest.raises(MemoryError):
            await sound(session)
        await session.push_text("de")
        await session.flush()
        np.testing.assert_array_equal(await sound(session), expected(1, "de"))


@run
async def test_a_voice_that_cannot_be_loaded_says_so_and_leaves_nothing() -> None:
    """The error of loading comes out of `async with`."""

    def broken() -> ScriptedWorker:
        raise RuntimeError("no such bundle")

    with pytest.raises(RuntimeError, match="no such bundle"):
        async with Voice.load(open_worker=broken):
            pass


@run
async def test_realtime_sessions_keep_close_to_their_listener() -> None:
    """No more is made ahead than the lead allows; without realtime it is as far as the queue allows."""
    worker = ScriptedWorker()
    async with voice_of(worker, lead_s=(0.3, 0.5), queue_s=30.0) as voice:
        async with voice.session() as paced, voice.session(realtime=False) as fast:
            for session in (paced, fast):
                await session.push_text("x" * 100)
            readers = [asyncio.create_task(sound(session)) for session in (paced, fast)]
            await asyncio.sleep(0.3)
            assert worker.begun[0].made * FRAME_S < 0.3 + 0.5 + 5 * FRAME_S
            assert worker.begun[1].made == 100
            for session in (paced, fast):
                await session.aclose()
            await asyncio.gather(*readers)


def test_every_public_name_is_where_it_is_said_to_be() -> None:
    """What `voicestack.realtime` promises can be imported from it, and nothing else."""
    for name in voicestack.realtime.__all__:
        assert getattr(voicestack.realtime, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = voicestack.realtime.Nothing
