import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest
from async_tests import run
from scripted_worker import FRAME, FRAME_S, RATE, ScriptedWorker
from session_help import FAST, expected, sound, state_of, voice_of

from voicestack.realtime.lifecycle import State
from voicestack.realtime.outlet import Ending
from voicestack.realtime.scheduler import Limits
from voicestack.realtime.session import MAX_TEXT, Session
from voicestack.runtime import Chunk, InputError, StateError


async def first_chunk(session: Session) -> tuple[Chunk, AsyncIterator[Chunk]]:
    stream = session.audio()
    return await anext(stream), stream


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
