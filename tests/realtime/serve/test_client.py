import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from scripted_worker import FRAME, RATE, ScriptedWorker, sound_of

pytest.importorskip("aiohttp")
pytest.importorskip("websockets")
pytest.importorskip("soxr")
pytest.importorskip("av")
pytest.importorskip("aiortc")

from serving import run, served, until
from websockets.asyncio.server import ServerConnection, serve
from websockets.typing import Subprotocol

from voicestack.realtime.client import ConnectionLostError, RemoteSession, connect
from voicestack.realtime.outlet import Ending
from voicestack.realtime.serve.guard import Policy
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.runtime import CapacityError, InputError, StateError, VoicestackError

FAST: dict[str, Any] = {"lead_s": (50.0, 60.0), "queue_s": 100.0}
TOKEN = "a-token-of-the-tests"


def expected(key: int, text: str) -> np.ndarray:
    return np.repeat(np.array([sound_of(key, f, c) for f, c in enumerate(text)], np.float32), FRAME)


async def sound(session: RemoteSession) -> np.ndarray:
    parts = [chunk.pcm async for chunk in session.audio()]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


@run
async def test_a_session_is_used_as_one_of_a_voice_in_this_process() -> None:
    """Text in pieces, one utterance after the other, words and all."""
    async with served(**FAST) as server, connect(server.url) as session:
        assert session.sample_rate_hz == RATE
        await session.push_text("hello ")
        await session.push_text("there")
        await session.flush()
        chunks = [chunk async for chunk in session.audio()]
        np.testing.assert_allclose(np.concatenate([c.pcm for c in chunks]), expected(0, "hello there"), atol=1e-4)
        assert [word.text for chunk in chunks for word in chunk.words] == ["hello", "there"]
        assert b"".join(c.data for c in chunks) == np.rint(expected(0, "hello there") * 32767).astype("<i2").tobytes()
        assert session.last is not None
        assert (session.last.ending, session.last.error) == (Ending.FINISHED, None)
        await session.push_text("again")
        await session.flush()
        np.testing.assert_allclose(await sound(session), expected(1, "again"), atol=1e-4)


@run
async def test_text_may_be_longer_than_a_message_and_utterances_wait_their_turn() -> None:
    """What was said ahead is heard in order."""
    limits = ServeLimits(text_chars=10)
    async with served(limits=limits, **FAST) as server, connect(server.url, unpaced=True) as session:
        for text in ("one " * 20, "two", "three"):
            await session.push_text(text)
            await session.flush()
        for key, text in enumerate(("one " * 20, "two", "three")):
            np.testing.assert_allclose(await sound(session), expected(key, text), atol=1e-4)


@run
async def test_interrupt_returns_what_was_heard_and_nothing_stale_follows() -> None:
    """The listener's `audio` ends; the next utterance begins with its own sound."""
    async with served(lead_s=(0.2, 0.4)) as server, connect(server.url) as session:
        await session.push_text("one two three four five six seven eight nine ten " * 3)
        await session.flush()
        listener = asyncio.create_task(sound(session))
        await until(lambda: session.heard().played_s > 0.3)
        heard = await session.interrupt()
        await listener
        assert 0.3 <= heard.played_s < 5
        assert heard.words[0].text == "one"
        assert session.heard() == heard, "what was dropped is not heard later"
        await session.push_text("next")
        await session.flush()
        np.testing.assert_allclose(await sound(session), expected(1, "next"), atol=1e-4)


@run
async def test_who_stops_listening_gives_the_utterance_up() -> None:
    """The server speaks no further, and the session goes on with the next."""
    worker = ScriptedWorker()
    async with served(worker, lead_s=(0.2, 0.4)) as server, connect(server.url) as session:
        await session.push_text("word " * 200)
        await session.flush()
        stream = session.audio()
        await anext(stream)
        await stream.aclose()  # type: ignore[attr-defined]
        await until(lambda: not worker.open)
        await session.push_text("next")
        await session.flush()
        np.testing.assert_allclose(await sound(session), expected(1, "next"), atol=1e-4)


@run
async def test_marks_come_with_the_sound_they_stand_before() -> None:
    """Or with the report of the utterance at its end."""
    async with served(**FAST) as server, connect(server.url) as session:
        await session.push_text("one ")
        await session.mark("here")
        await session.push_text("two")
        await session.mark("end")
        await session.flush()
        marks = [(chunk.marks, chunk.start_s) async for chunk in session.audio() if chunk.marks]
        assert [names for names, _ in marks] == [("here",)]
        assert session.last is not None
        assert session.last.marks == ("end",)


@run
async def test_a_full_server_raises_capacity_error_with_a_hint() -> None:
    """On entering, as a voice does."""
    async with served(max_sessions=1, **FAST) as server, connect(server.url):
        with pytest.raises(CapacityError, match="try again in") as refused:
            async with connect(server.url):
                pass
        assert refused.value.retry_after_s is not None
        assert refused.value.retry_after_s >= 1


@run
async def test_what_the_server_refuses_is_an_input_error() -> None:
    """A depth at the door; a depth and too much text by the next call; the session goes on."""
    async with served(limits=ServeLimits(buffered_chars=30), **FAST) as server:
        with pytest.raises(InputError, match="depth must be one of"):
            async with connect(server.url, depth=7):
                pass
        async with connect(server.url) as session:
            await session.set_depth(-3)
            with pytest.raises(InputError, match="-3"):
                await sound(session)
            await session.push_text("x" * 31)
            with pytest.raises(InputError, match="limit of 30"):
                await sound(session)
            await session.push_text("fine")
            await session.flush()
            np.testing.assert_allclose(await sound(session), expected(0, "fine"), atol=1e-4)


@run
async def test_an_utterance_that_fails_raises_and_the_next_speaks() -> None:
    """With the server's reason."""

    def fault(key: int, frame: int) -> None:
        if key == 0 and frame == 3:
            raise RuntimeError("broken on purpose")

    async with served(ScriptedWorker(fault=fault), **FAST) as server, connect(server.url) as session:
        await session.push_text("broken")
        await session.flush()
        with pytest.raises(VoicestackError, match="the server failed"):
            await sound(session)
        await session.push_text("whole")
        await session.flush()
        np.testing.assert_allclose(await sound(session), expected(1, "whole"), atol=1e-4)


@run
async def test_tokens_and_addresses_that_are_wrong_are_told() -> None:
    """A wrong token is an InputError, no server a ConnectionLostError, with what to do."""
    async with served(policy=Policy(token=TOKEN), **FAST) as server:
        for token in (None, "another-token-of-16"):
            with pytest.raises(InputError, match="without the right token"):
                async with connect(server.url, token=token):
                    pass
        async with connect(server.url, token=TOKEN) as session:
            assert session.hello["voice"]
        with pytest.raises(ConnectionLostError, match="refused the connection"):
            async with connect(server.url + "/nothing/here", token=TOKEN):
                pass
    with pytest.raises(ConnectionLostError, match="voicestack serve"):
        async with connect(server.url):
            pass
    for url in ("localhost:80", "ftp://x", "http://", "http://a:b", "http://a:0"):
        with pytest.raises(InputError):
            connect(url)


@run
async def test_a_connection_that_is_lost_is_one_clear_error_everywhere() -> None:
    """For who listens, who interrupts, who writes; the server's reason is in it."""
    async with served(limits=ServeLimits(total_s=0.3), **FAST) as server, connect(server.url) as session:
        await session.push_text("hello")
        with pytest.raises(ConnectionLostError, match=r"may last 0\.3 s"):
            await sound(session)
        for call in (session.push_text("x"), session.interrupt(), sound(session)):
            with pytest.raises(ConnectionLostError):
                await call


@run
async def test_a_session_that_is_closed_or_was_never_open_says_so() -> None:
    """StateError, as of any session."""
    async with served(**FAST) as server:
        session = connect(server.url)
        with pytest.raises(StateError, match="not connected"):
            await session.push_text("x")
        async with session:
            pass
        await session.aclose()
        with pytest.raises(StateError, match="closed"):
            await session.push_text("x")
        with pytest.raises(InputError, match="must be a string"):
            await session.push_text(3)  # type: ignore[arg-type]


@asynccontextmanager
async def impostor(*answers: str | bytes) -> AsyncIterator[str]:
    """A server that says what it likes, then closes."""

    async def talk(connection: ServerConnection) -> None:
        await connection.recv()
        for answer in answers:
            await connection.send(answer)

    async with serve(talk, "127.0.0.1", 0, subprotocols=[Subprotocol("voicestack.v1")]) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


HELLO = json.dumps({"type": "hello", "sample_rate": 8000, "limits": {"text_chars": 9}})


@pytest.mark.parametrize(
    "answers",
    [(), ("{}",), ("[]",), ("no json",), (b"\xff",), (json.dumps({"type": "hello", "sample_rate": "fast"}),)],
)
def test_what_greets_otherwise_is_no_server_of_ours(answers: tuple[str | bytes, ...]) -> None:
    """ConnectionLostError, not something from deep inside."""

    @run
    async def body() -> None:
        async with impostor(*answers) as url:
            with pytest.raises(ConnectionLostError):
                async with connect(url):
                    pass

    body()


@pytest.mark.parametrize(
    "answer",
    ["[]", "x", b"\xff", '{"type": "audio"}', '{"type": "speech.ended", "utterance": 0}', '{"type": "interrupted"}'],
)
def test_a_server_that_talks_nonsense_is_one_error(answer: str | bytes) -> None:
    """Also in the middle of an utterance."""

    @run
    async def body() -> None:
        async with impostor(HELLO, answer) as url, connect(url) as session:
            with pytest.raises(ConnectionLostError):
                await sound(session)

    body()


@run
async def test_what_was_refused_does_not_keep_anybody_from_interrupting() -> None:
    """A barge-in is one; the next call that asks for something is told."""
    async with served(**FAST) as server, connect(server.url) as session:
        await session.push_text("some words")
        await session.set_depth(99)
        await until(lambda: session._sound._refused is not None)
        await session.interrupt()
        with pytest.raises(InputError, match="depth"):
            await session.push_text("more")
