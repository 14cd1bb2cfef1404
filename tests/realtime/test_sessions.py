import asyncio

import numpy as np
import pytest
from async_tests import run
from scripted_worker import ScriptedWorker
from session_help import FAST, closed_soon, ended, expected, sound, state_of, voice_of

from voicestack.realtime.lifecycle import State
from voicestack.realtime.outlet import Ending
from voicestack.realtime.scheduler import Limits
from voicestack.realtime.session import MAX_TEXT
from voicestack.runtime import InputError, StateError


@run
async def test_text_in_pieces_comes_out_as_one_utterance_to_its_end() -> None:
    """What is pushed piece by piece is heard once, in order, and `audio` ends behind `flush`."""
    async with voice_of(ScriptedWorker(), **FAST) as voice, voice.session() as session:
        assert state_of(session) is State.IDLE
        for piece in ("hello ", "the", "re"):
            await session.push_text(piece)
        assert state_of(session) is State.SPEAKING
        await session.flush()
        assert state_of(session) is State.DRAINING
        np.testing.assert_array_equal(await sound(session), expected(0, "hello there"))
        assert state_of(session) is State.IDLE


@run
async def test_a_session_speaks_many_utterances() -> None:
    """Each is read by its own `audio`, whether the reader or the text comes first."""
    async with voice_of(ScriptedWorker(), **FAST) as voice, voice.session() as session:
        for key, text in enumerate(("one", "two two", "three")):
            reader = asyncio.create_task(sound(session))
            await asyncio.sleep(0)
            await session.push_text(text)
            await session.flush()
            np.testing.assert_array_equal(await reader, expected(key, text))


@run
async def test_starved_text_parks_and_goes_on_without_a_seam() -> None:
    """A writer that pauses leaves the session starved; what follows joins what was said."""
    async with voice_of(ScriptedWorker(), **FAST) as voice, voice.session() as session:
        await session.push_text("abc")
        reader = asyncio.create_task(sound(session))
        await asyncio.sleep(0.05)
        assert state_of(session) is State.STARVED
        await session.push_text("def")
        await session.flush()
        np.testing.assert_array_equal(await reader, expected(0, "abcdef"))


@run
async def test_a_writer_that_never_comes_back_ends_its_utterance_only() -> None:
    """After the patience for text is over `audio` ends, and the next text begins a new utterance."""
    worker = ScriptedWorker()
    async with voice_of(worker, **FAST, limits=Limits(starved_s=0.1)) as voice, voice.session() as session:
        await session.push_text("abc")
        np.testing.assert_array_equal(await sound(session), expected(0, "abc"))
        assert state_of(session) is State.IDLE
        assert session.ending is Ending.STARVED
        assert not worker.open or await closed_soon(worker)
        await session.push_text("de")
        await session.flush()
        np.testing.assert_array_equal(await sound(session), expected(1, "de"))


@run
async def test_a_failure_nobody_has_read_is_told_before_anything_new_begins() -> None:
    """Text for an utterance that failed unheard raises its error; once that was read, or broken off, it goes on."""

    def fault(key: int, frame: int) -> None:
        if key == 0:
            raise RuntimeError("the graph broke off")

    async with voice_of(ScriptedWorker(fault=fault), **FAST) as voice, voice.session() as session:
        await session.push_text("abc ")
        await ended(session)
        with pytest.raises(RuntimeError, match="broke off"):
            await session.push_text("de")
        with pytest.raises(RuntimeError, match="broke off"):
            await sound(session)
        await session.push_text("fg")
        await session.flush()
        np.testing.assert_array_equal(await sound(session), expected(1, "fg"))


@run
async def test_every_call_in_a_wrong_state_names_the_state_and_the_call() -> None:
    """Text while draining and anything after close is refused by name; closing twice does no harm."""
    async with voice_of(ScriptedWorker(), lead_s=(0.2, 0.4)) as voice:
        async with voice.session() as session:
            await session.flush()
            assert (await session.interrupt()).played_s == 0
            await session.push_text("a long enough text")
            await session.flush()
            with pytest.raises(StateError, match=r"push_text\(\).*draining"):
                await session.push_text("more")
            reader = asyncio.create_task(sound(session))
            await asyncio.sleep(0.02)
            with pytest.raises(InputError, match="read already"):
                await anext(session.audio())
            await session.aclose()
            await reader
            for call in (session.push_text("x"), session.flush(), session.interrupt(), anext(session.audio())):
                with pytest.raises(StateError, match="closed"):
                    await call
            with pytest.raises(StateError, match="closed"):
                session.report_played(1)
        assert voice.sessions == 0


@run
async def test_text_that_cannot_be_is_refused_at_once() -> None:
    """A megabyte, and what is no string, are InputErrors that leave the utterance as it was."""
    async with voice_of(ScriptedWorker(), **FAST) as voice, voice.session() as session:
        await session.push_text("ok")
        with pytest.raises(InputError, match=str(MAX_TEXT)):
            await session.push_text("x" * 1_000_000)
        with pytest.raises(InputError, match="bytes"):
            await session.push_text(b"no")  # type: ignore[arg-type]
        await session.flush()
        np.testing.assert_array_equal(await sound(session), expected(0, "ok"))
        with pytest.raises(InputError, match="depth"):
            voice.session(depth=7)


@run
async def test_what_the_body_raises_comes_out_as_it_is() -> None:
    """No exception group around an error that is not ours."""

    async def body() -> None:
        async with voice_of(ScriptedWorker(), **FAST) as voice, voice.session() as session:
            await session.push_text("abc")
            raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await body()


@run
async def test_an_utterance_that_ends_before_it_is_read_is_still_told() -> None:
    """One that failed at its first frame raises when it is read at last; then the session goes on."""
    faults = [True]

    def fault(key: int, frame: int) -> None:
        if faults:
            raise RuntimeError("boom")

    async with voice_of(ScriptedWorker(fault=fault), **FAST) as voice, voice.session() as session:
        await session.push_text("abc")
        await session.flush()
        await ended(session)
        faults.clear()
        with pytest.raises(RuntimeError, match="boom"):
            await sound(session)
        await session.push_text("de")
        await session.flush()
        np.testing.assert_array_equal(await sound(session), expected(1, "de"))


@run
async def test_a_session_is_used_inside_async_with_and_once() -> None:
    """One that was not let in says nothing, one that was closed is not let in again."""
    async with voice_of(ScriptedWorker(), **FAST) as voice:
        with pytest.raises(StateError, match="async with"):
            await voice.session().push_text("abc")
        session = voice.session()
        async with session:
            pass
        with pytest.raises(StateError, match="closed"):
            await session.__aenter__()
        assert voice.sessions == 0
