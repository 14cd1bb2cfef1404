import asyncio
import base64
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scripted_worker import FRAME, RATE, ScriptedWorker, sound_of

pytest.importorskip("soxr", reason="sound on the wire needs the `serve` extra")

from async_tests import run
from ws_fakes import FakeWire, connected, served

from voicestack.realtime.serve.dialects.cartesia import Cartesia
from voicestack.realtime.serve.dialects.dialect import Setting
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.ws_shell import Connection

START: dict[str, object] = {"type": "start"}
LONG = "one two three four five six seven eight nine ten "


def pcm_of(key: int, text: str) -> bytes:
    """What the scripted engine makes of a text, as samples of 16 bits."""
    values = np.array([sound_of(key, frame, character) for frame, character in enumerate(text)], np.float32)
    return np.rint(np.repeat(values, FRAME) * 32767).astype("<i2").tobytes()


async def eventually(true: Callable[[], bool]) -> None:
    for _ in range(1000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never became so")


def cartesia(context: str, text: str, **others: object) -> dict[str, object]:
    form = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": RATE}
    return {"context_id": context, "transcript": text, "output_format": form, "continue": False} | others


def sound_in(wire: FakeWire, context: str) -> bytes:
    """The sound of one context of Cartesia's or ElevenLabs'."""
    parts = [t for t in wire.told if context in (t.get("context_id"), t.get("contextId"))]
    return b"".join(base64.b64decode(told.get("data") or told.get("audio") or "") for told in parts)


@run
async def test_the_native_protocol_speaks_while_text_comes() -> None:
    """Every utterance is started, sounds and ends once; its binary messages are what was spoken."""
    async with served() as service, connected(service, "native") as wire:
        wire.say(START, {"type": "text", "text": "hel"})
        hello = await wire.told_of(type="hello")
        assert (hello["protocol"], hello["voice"], hello["sample_rate"]) == ("voicestack.v1", "scripted", RATE)
        assert hello["limits"]["text_chars"] == 4096
        await wire.told_of(type="audio")
        wire.say({"type": "text", "text": "lo"}, {"type": "flush"})
        ended = await wire.told_of(type="speech.ended", utterance=0)
        assert ended["ending"] == "finished"
        assert ended["audio_s"] == pytest.approx(5 * FRAME / RATE)
        assert wire.sound == pcm_of(0, "hello")
        kinds = [told["type"] for told in wire.told]
        assert kinds[:3] == ["hello", "speech.started", "words"]
        assert set(kinds[3:-1]) == {"audio"}


@run
async def test_a_binary_message_follows_the_event_that_says_where_it_belongs() -> None:
    """Also where two connections are served at once; what the event counts is what follows."""
    async with served() as service, connected(service, "native") as wire, connected(service, "native") as other:
        for client in (wire, other):
            client.say(START, {"type": "text", "text": LONG}, {"type": "flush"})
        for client in (wire, other):
            await client.told_of(type="speech.ended")
            at_s = 0.0
            for event, following in zip(client.sent, [*client.sent[1:], ""], strict=True):
                told = json.loads(event) if isinstance(event, str) else {}
                assert isinstance(following, bytes) == (told.get("type") == "audio")
                if isinstance(following, bytes):
                    assert (told["start_s"], told["messages"]) == (pytest.approx(at_s), 1)
                    at_s += len(following) / 2 / RATE


@run
async def test_interrupting_leaves_nothing_stale_behind() -> None:
    """What was played is told, and all that follows is of the next utterance."""
    async with served(lead_s=(0.2, 0.4)) as service, connected(service, "native") as wire:
        wire.say(START, {"type": "text", "text": LONG * 3}, {"type": "flush"})
        await wire.until(lambda: len(wire.sound) > 6 * FRAME)
        wire.say({"type": "interrupt"}, {"type": "text", "text": "next"}, {"type": "flush"})
        told = await wire.told_of(type="interrupted")
        assert told["utterance"] == 0
        assert 0 <= told["played_ms"] < 5000
        await wire.told_of(type="speech.ended", utterance=1)
        at = wire.sent.index(
            next(m for m in wire.sent if isinstance(m, str) and '"interrupted"' in m and "played" in m)
        )
        assert b"".join(m for m in wire.sent[at:] if isinstance(m, bytes)) == pcm_of(1, "next")


@run
async def test_an_interruption_behind_the_word_and_reports_of_what_was_played() -> None:
    """The reports decide what was heard; reports of other utterances are of no use."""
    async with served() as service, connected(service, "native") as wire:
        wire.say(START, {"type": "text", "text": "one two three"}, {"type": "flush"})
        await wire.told_of(type="speech.ended")
        wire.say({"type": "played", "utterance": 7, "seconds": 90}, {"type": "played", "utterance": 0, "seconds": 0.4})
        wire.say({"type": "interrupt", "finish_word": True})
        told = await wire.told_of(type="interrupted")
        assert told["played_ms"] == pytest.approx(640)
        assert [word["text"] for word in told["words"]] == ["one", "two"]


@run
async def test_marks_are_reached_where_the_text_was() -> None:
    """Before the word behind them, inside a word behind it, at the latest at the end."""
    async with served() as service, connected(service, "native") as wire:
        wire.say(START, {"type": "mark", "name": "zero"}, {"type": "text", "text": "one tw"})
        wire.say({"type": "mark", "name": "two"}, {"type": "text", "text": "o three"}, {"type": "mark", "name": "end"})
        wire.say({"type": "flush"})
        await wire.told_of(type="speech.ended")
        marks = [(told["name"], told["start_s"]) for told in wire.told if told["type"] == "mark"]
        assert marks == [("zero", 0.0), ("two", pytest.approx(0.64)), ("end", pytest.approx(13 * 0.08))]


@run
async def test_depth_changes_while_it_speaks() -> None:
    """From the next frame on; a depth there is not is an error, and the speech goes on."""
    worker = ScriptedWorker()
    async with served(worker) as service, connected(service, "native") as wire:
        wire.say(START | {"depth": 32}, {"type": "text", "text": "abc"})
        await wire.until(lambda: len(wire.sound) == 6 * FRAME)
        wire.say({"type": "depth", "depth": 8}, {"type": "depth", "depth": -1}, {"type": "text", "text": "def"})
        wire.say({"type": "flush"})
        await wire.told_of(type="speech.ended")
        assert worker.begun[0].depths == [32, 32, 32, 8, 8, 8]
        assert (await wire.told_of(type="error"))["code"] == "input"


@run
async def test_a_server_that_is_full_says_so_and_when_to_come_again() -> None:
    """In the dialect's words first, then by the closing code 1013; who has a place keeps it."""
    async with served(max_sessions=1) as service, connected(service, "native") as wire:
        wire.say(START)
        await wire.told_of(type="hello")
        async with connected(service, "native") as late:
            late.say(START)
            told = await late.told_of(type="error", code="capacity")
            assert told["retry_after_s"] >= 1
            await late.until(lambda: late.closed is not None)
            assert late.closed is not None
            assert late.closed[0] == 1013
            assert "try again in" in late.closed[1]
        async with connected(service, "deepgram") as late:
            late.say({"type": "Speak", "text": "hello"})
            assert (await late.told_of(type="Error"))["code"] == "TRY_AGAIN"
            await late.until(lambda: late.closed is not None)
        async with connected(service, "cartesia") as late:
            late.say(cartesia("a", "hello"))
            assert (await late.told_of(type="error"))["status_code"] == 429
            assert late.closed is None
        wire.say({"type": "text", "text": "still here"}, {"type": "flush"})
        await wire.told_of(type="speech.ended", ending="finished")


@run
async def test_contexts_do_not_touch_each_other() -> None:
    """One fails, one is cancelled, one is asked wrongly: the fourth is whole."""

    def fault(key: int, frame: int) -> None:
        if key == 1 and frame == 3:
            raise RuntimeError("broken on purpose")

    async with served(ScriptedWorker(fault=fault)) as service, connected(service, "cartesia") as wire:
        wire.say(cartesia("whole", "all of ", **{"continue": True}), cartesia("fails", "broken"))
        wire.say(cartesia("cancelled", LONG, **{"continue": True}))
        await wire.told_of(context_id="fails", type="done")
        wire.say(cartesia("wrong", "x", output_format={"container": "mp3"}), "no json", {"context_id": 3})
        wire.say({"context_id": "cancelled", "cancel": True}, cartesia("whole", "it"))
        await wire.told_of(context_id="whole", type="done")
        assert sound_in(wire, "whole") == pcm_of(0, "all of it")
        errors = [told["context_id"] for told in wire.told if told["type"] == "error"]
        assert sorted(errors, key=str) == [None, None, "fails", "wrong"]
        assert all("context_id" in told for told in wire.told)


@run
async def test_a_reader_that_is_too_slow_is_cut_off_alone() -> None:
    """Its conversation ends at once; the others speak on."""
    worker = ScriptedWorker()
    async with served(worker) as service, connected(service, "native") as wire:
        wire.say(START, {"type": "text", "text": "abc"})
        async with connected(service, "native", FakeWire(stuck=True)) as stuck:
            stuck.say(START, {"type": "text", "text": LONG})
            await stuck.until(lambda: stuck.closed is not None)
        assert service.voice.sessions == 1
        wire.say({"type": "text", "text": "def"}, {"type": "flush"})
        await wire.told_of(type="speech.ended", ending="finished")
        assert wire.sound in (pcm_of(0, "abcdef"), pcm_of(1, "abcdef"))


@pytest.mark.parametrize("dialect", ["native", "cartesia", "deepgram", "elevenlabs", "elevenlabs-multi"])
def test_a_client_that_vanishes_takes_its_conversations_with_it(dialect: str) -> None:
    """Whatever the dialect: no session, no task is left."""
    messages: dict[str, list[dict[str, Any]]] = {
        "native": [START, {"type": "text", "text": LONG}],
        "cartesia": [cartesia("a", LONG), cartesia("b", LONG)],
        "deepgram": [{"type": "Speak", "text": LONG}],
        "elevenlabs": [{"text": LONG}],
        "elevenlabs-multi": [{"text": LONG, "context_id": "a"}, {"text": LONG, "context_id": "b"}],
    }
    said = messages[dialect]

    @run
    async def body() -> None:
        worker = ScriptedWorker()
        async with served(worker, lead_s=(0.2, 0.4)) as service:
            async with connected(service, dialect, output_format="pcm_8000") as wire:
                wire.say(*said)
                await wire.until(lambda: service.voice.sessions > 0 and len(wire.sent) > 3)
            assert service.voice.sessions == 0
            await eventually(lambda: not worker.open)

    body()


@run
async def test_idle_connections_and_contexts_are_closed() -> None:
    """Nothing said at first, nothing said any more, too long in all; each with its reason, by 1008."""
    limits = ServeLimits(first_s=0.05, idle_s=0.2, total_s=0.6)
    async with served(limits=limits) as service:
        async with connected(service, "native") as wire:
            await wire.told_of(type="error", code="policy")
            await wire.until(lambda: wire.closed is not None)
            assert wire.closed == (1008, "nothing was said in the first 0.05 s")
        async with connected(service, "native") as wire:
            wire.say(START)
            await wire.until(lambda: wire.closed is not None)
            assert wire.closed is not None
            assert wire.closed[1].startswith("nothing was said for 0.2 s")
        async with connected(service, "native") as wire:
            wire.say(START)
            while wire.closed is None:
                wire.say({"type": "text", "text": ""})
                await asyncio.sleep(0.05)
            assert wire.closed[1].startswith("a connection may last 0.6 s")


@run
async def test_a_context_that_is_idle_gives_its_place_back() -> None:
    """The connection stays, and the next text takes a place again."""
    async with served(max_sessions=1) as service:
        async with connected(service, "elevenlabs-multi", output_format="pcm_8000", inactivity_timeout="1") as wire:
            wire.say({"text": "hello", "context_id": "a", "flush": True})
            await wire.told_of(contextId="a", isFinal=True)
            assert service.voice.sessions == 0
            assert sound_in(wire, "a") == pcm_of(0, "hello")
            wire.say({"text": "again", "context_id": "b"}, {"context_id": "b", "close_context": True})
            await wire.told_of(contextId="b", isFinal=True)
            assert sound_in(wire, "b") == pcm_of(1, "again")


@run
async def test_limits_of_text_messages_and_contexts_are_told_and_end_nothing() -> None:
    """A message that is too long for the wire is the exception: it closes by 1009."""
    limits = ServeLimits(text_chars=20, buffered_chars=30, message_bytes=400, contexts=2)
    async with served(limits=limits) as service, connected(service, "cartesia") as wire:
        more = {"continue": True}
        wire.say(cartesia("a", "x" * 21), cartesia("a", "x" * 20, **more), cartesia("a", "y" * 11, **more))
        wire.say(cartesia("b", "b", **more), cartesia("c", "c", **more), cartesia("a", "z"))
        await wire.told_of(context_id="a", type="done")
        assert sound_in(wire, "a") == pcm_of(0, "x" * 20 + "z")
        errors = [told["message"] for told in wire.told if told["type"] == "error"]
        assert ["20 characters of text" in errors[0], "limit of 30" in errors[1], "2 contexts" in errors[2]] == [
            True
        ] * 3
        wire.say("x" * 401)
        await wire.until(lambda: wire.closed is not None)
        assert wire.closed is not None
        assert wire.closed[0] == 1009


@run
async def test_utterances_that_wait_are_limited_also_when_they_are_empty() -> None:
    """Who only flushes gets errors, and the memory of none."""
    limits = ServeLimits(messages_per_s=1e6, message_burst=100_000)
    async with served(limits=limits, lead_s=(0.2, 0.4)) as service, connected(service, "native") as wire:
        wire.say(START, {"type": "text", "text": LONG * 9}, *([{"type": "flush"}] * 1500))
        told = await wire.told_of(type="error")
        assert "1000 utterances wait" in told["message"]
        wire.say({"type": "interrupt"}, {"type": "text", "text": "next"}, {"type": "flush"})
        await wire.told_of(type="interrupted")
        await wire.until(lambda: wire.told[-1]["type"] == "speech.ended")
        assert wire.told[-1]["ending"] == "finished"


@run
async def test_more_messages_than_may_come_are_read_later_and_not_lost() -> None:
    """The bucket slows its client down; it cuts nobody off."""
    limits = ServeLimits(messages_per_s=1000, message_burst=5)
    async with served(limits=limits) as service, connected(service, "native") as wire:
        wire.say(START, *({"type": "text", "text": letter} for letter in LONG), {"type": "flush"})
        await wire.told_of(type="speech.ended")
        assert wire.sound == pcm_of(0, LONG)


@run
async def test_a_client_may_vanish_at_any_moment() -> None:
    """However far its conversation is, it ends: no cancellation is swallowed on the way."""
    async with served() as service:
        for ticks in range(0, 160):
            async with asyncio.timeout(5), connected(service, "native") as wire:
                wire.say(START, {"type": "text", "text": "ab"}, {"type": "flush"}, {"type": "text", "text": "c"})
                for _ in range(ticks):
                    await asyncio.sleep(0)
            assert service.voice.sessions == 0


@run
async def test_a_context_that_never_says_a_word_gives_its_place_back() -> None:
    """Also one that is opened long after its connection."""
    async with served() as service:
        wire, dialect = FakeWire(), Cartesia(Setting("x", 8000))
        dialect.context_idle_s = 0.2
        running = asyncio.create_task(Connection(service, dialect, wire).run())
        wire.say({"context_id": "a", "transcript": " ", "continue": True})
        async with asyncio.timeout(5):
            await eventually(lambda: service.voice.sessions == 1)
            await service.voice.drain()
        wire.hang_up()
        await running


@pytest.mark.parametrize("rate_hz", [8000, 44_100])
def test_sound_begins_where_the_sound_before_it_ended(rate_hz: int) -> None:
    """Also at a rate whose conversion holds samples back."""

    @run
    async def body() -> None:
        async with served() as service, connected(service, "native") as wire:
            wire.say({**START, "sample_rate": rate_hz}, {"type": "text", "text": LONG}, {"type": "flush"})
            await wire.told_of(type="speech.ended")
            at_s = 0.0
            for event, following in zip(wire.sent, [*wire.sent[1:], ""], strict=True):
                if isinstance(following, bytes):
                    assert json.loads(event)["start_s"] == pytest.approx(at_s, abs=1e-4)
                    at_s += len(following) / 2 / rate_hz

    body()
