"""Devices over a broker in memory."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

pytest.importorskip("soxr", reason="sound on the wire needs the `serve` extra")

from async_tests import run
from mqtt_fakes import Device, FakeBroker, devices
from scripted_worker import FRAME, RATE, ScriptedWorker

from voicestack.realtime.scheduler import Limits
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.service import Service
from voicestack.realtime.voice import Voice, VoiceConfig

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"


@asynccontextmanager
async def served(
    limits: ServeLimits | None = None, worker: ScriptedWorker | None = None, *, fast: bool = True, sessions: int = 64
) -> AsyncIterator[FakeBroker]:
    """Fast as if listeners were far behind, so that nothing waits for real time to pass; else paced."""
    worker = worker or ScriptedWorker()
    lead_s, queue_s = ((50.0, 60.0), 100.0) if fast else ((0.2, 0.4), 1.0)
    config = VoiceConfig(lead_s=lead_s, queue_s=queue_s, limits=Limits(), max_sessions=sessions)
    async with (
        Voice.load(open_worker=lambda: worker, config=config) as voice,
        devices(Service(voice, "scripted", limits or ServeLimits())) as broker,
    ):
        yield broker


def samples(device: Device, utterance: int) -> int:
    return sum(len(publication.payload) for publication in device.audio(utterance)) // 2


@run
async def test_a_device_hears_what_it_says() -> None:
    """Text in pieces is one utterance: opened, its words and its sound, whole and in order, and one end."""
    async with served() as broker:
        device = Device(broker)
        for piece in ("hello ", "the", "re"):
            device.text(piece)
        device.control("flush")
        ended = await device.hears("ended")
        sound = device.audio(0)
        assert [event["n"] for event in device.events] == list(range(len(device.events)))
        assert device.events[0]["type"] == "opened"
        assert [word["text"] for event in device.of("words") for word in event["words"]] == ["hello", "there"]
        assert samples(device, 0) == len("hello there") * FRAME
        assert [int(dict(each.properties)["sequence"]) for each in sound] == list(range(len(sound)))
        assert ended["messages"] == len(sound)
        assert ended["ending"] == "finished"


@run
async def test_sound_may_be_lost_and_events_may_not() -> None:
    """Sound has QoS 0, expires, and says what it is; events have QoS 1; neither is kept by the broker."""
    async with served() as broker:
        device = Device(broker)
        device.say("hello")
        await device.hears("ended")
        assert {(each.qos, each.retain, each.expiry_s) for each in device.audio()} == {(0, False, 2)}
        assert device.audio()[0].content_type == f"audio/L16;rate={RATE};endianness=little-endian"
        kept = [each for each in broker.published if each.retain]
        assert [(each.topic, each.payload) for each in kept] == [("voicestack/status", b"online")]
        assert all(each.qos == 1 for each in broker.published if each.topic.endswith("/event"))


@pytest.mark.parametrize("chunk_ms", [20, 40, 80])
def test_a_device_chooses_its_sound(chunk_ms: int) -> None:
    """With `open` it asks for a rate and a length, and no message is longer."""

    @run
    async def choose() -> None:
        async with served() as broker:
            device = Device(broker)
            device.control("open", sample_rate=16_000, chunk_ms=chunk_ms, depth=8)
            opened = await device.hears("opened")
            assert (opened["sample_rate"], opened["chunk_ms"], opened["format"]) == (16_000, chunk_ms, "pcm_s16le")
            device.say("hello")
            await device.hears("ended")
            sizes = [len(each.payload) for each in device.audio()]
            assert set(sizes[:-1]) == {32 * chunk_ms}
            assert sizes[-1] <= 32 * chunk_ms
            assert sum(sizes) / 2 == pytest.approx(5 * FRAME * 16_000 / RATE, abs=20)

    choose()


@run
async def test_a_device_may_have_opus() -> None:
    """A message is one packet of 20 ms."""
    pytest.importorskip("av")
    async with served() as broker:
        device = Device(broker)
        device.control("open", format="opus")
        device.say("hello")
        assert (await device.hears("ended"))["messages"] == 5 * 4
        assert {each.content_type for each in device.audio()} == {"audio/opus"}
        assert all(0 < len(each.payload) < 400 for each in device.audio())


@run
async def test_an_interruption_ends_what_is_spoken_and_what_waits() -> None:
    """Both have one end, the answer tells what was played, and nothing of them is heard behind it."""
    async with served(fast=False) as broker:
        device = Device(broker)
        device.say(LONG)
        device.say("and this waits")
        await device.hears_sound(3)
        device.control("interrupt")
        told = await device.hears("interrupted")
        kinds = [event["type"] for event in device.events if event["type"] in ("ended", "interrupted")]
        assert kinds == ["ended", "ended", "interrupted"]
        assert [(event["utterance"], event["ending"]) for event in device.of("ended")] == [
            (0, "interrupted"),
            (1, "interrupted"),
        ]
        assert (told["by"], told["utterance"]) == ("client", 0)
        assert 0 <= told["played_ms"] < len(LONG) * 80
        count = len(device.audio())
        device.say("go on")
        await device.hears("ended", 3)
        assert device.audio(2)
        assert len(device.audio()) == count + len(device.audio(2))


@run
async def test_two_devices_do_not_hear_each_other() -> None:
    """Each gets its own words, while the other is interrupted."""
    async with served() as broker:
        kitchen, hall = Device(broker, "kitchen"), Device(broker, "hall")
        kitchen.text("apples and pears")
        hall.say("hello there")
        await hall.hears("ended")
        kitchen.control("interrupt")
        await kitchen.hears("interrupted")
        assert [word["text"] for event in hall.of("words") for word in event["words"]] == ["hello", "there"]
        assert samples(hall, 0) == len("hello there") * FRAME
        assert not hall.of("interrupted")


@run
async def test_a_broker_that_is_killed_costs_one_utterance_and_no_event() -> None:
    """It is interrupted, has one end, told after the restart, and the session goes on."""
    async with served(fast=False) as broker:
        device = Device(broker)
        device.say(LONG)
        device.say("this waits")
        await device.hears_sound(3)
        broker.kill()
        await asyncio.sleep(0.1)
        before = len(broker.published)
        broker.restart()
        await broker.connected(2)
        await device.hears("interrupted")
        after = [json.loads(each.payload) for each in broker.published[before:] if each.topic.endswith("/event")]
        assert [(event["type"], event["utterance"]) for event in after if event["type"] != "words"] == [
            ("ended", 0),
            ("ended", 1),
            ("interrupted", 0),
        ]
        assert after[-1]["by"] == "broker"
        device.say("hello")
        assert (await device.hears("ended", 3))["ending"] == "finished"
        assert samples(device, 2) == 5 * FRAME
        numbers = [event["n"] for event in device.events]
        assert numbers == list(range(len(numbers)))


@run
async def test_a_broker_that_was_away_between_utterances_costs_nothing() -> None:
    """What was not being spoken is not interrupted, and a device that opens again is told how the last one ended."""
    async with served() as broker:
        device = Device(broker)
        device.say("hello")
        await device.hears("ended")
        broker.kill()
        broker.restart()
        await broker.connected(2)
        device.control("open")
        assert (await device.hears("opened", 2))["last"] == {"utterance": 0, "ending": "finished"}
        device.say("again")
        await device.hears("ended", 2)
        assert not device.of("interrupted")


@run
async def test_an_event_whose_confirmation_is_lost_comes_again_under_its_number() -> None:
    """So that its reader can tell the two from one another."""
    async with served() as broker:
        losses = iter([True])
        broker.loses_confirmation = lambda each: b'"ended"' in each.payload and next(losses, False)
        device = Device(broker)
        device.say("hello")
        await device.hears("ended")
        broker.restart()
        await device.hears("ended", 2)
        first, second = device.of("ended")
        assert first == second
        assert broker.connections == 2


@run
async def test_a_broker_that_stalls_slows_the_speech_down() -> None:
    """What waits for it is bounded by a session's queue, whatever there is to say."""
    worker = ScriptedWorker()
    async with served(worker=worker, fast=False) as broker:
        device = Device(broker)
        device.say("x" * 4000)
        await device.hears_sound(3)
        broker.takes.clear()
        heard = len(device.audio())
        await asyncio.sleep(0.4)
        (spoken,) = worker.open.values()
        assert spoken.made < heard + 40
        broker.takes.set()
        await device.hears_sound(heard + 1)


@run
async def test_who_finds_no_room_is_told_when_to_come_again() -> None:
    """The utterance ends, the session is closed, and its name is free again."""
    async with served(sessions=1) as broker:
        kitchen, hall = Device(broker, "kitchen"), Device(broker, "hall")
        kitchen.text("hello")
        await kitchen.hears("opened")
        hall.say("hello")
        closed = await hall.hears("closed")
        assert closed["reason"] == "full"
        assert hall.of("error")[0]["retry_after_s"] > 0
        assert [event["ending"] for event in hall.of("ended")] == ["closed"]
        kitchen.control("close")
        assert (await kitchen.hears("closed"))["reason"] == "asked"
        hall.say("hello")
        await hall.hears("opened")


@run
async def test_a_session_that_is_not_used_is_closed() -> None:
    """After a while without a message, but not while it speaks."""
    async with served(ServeLimits(idle_s=0.2), fast=False) as broker:
        device = Device(broker)
        device.say("one two three four five")
        assert (await device.hears("closed"))["reason"] == "idle"
        assert device.of("ended")[0]["ending"] == "finished"


@run
async def test_a_session_does_not_last_for_ever() -> None:
    """What is being spoken when its time is over has an end."""
    async with served(ServeLimits(total_s=0.3, idle_s=0.4), fast=False) as broker:
        device = Device(broker)
        device.say(LONG)
        assert (await device.hears("closed"))["reason"] == "total"
        assert [event["ending"] for event in device.of("ended")] == ["closed"]


@run
async def test_a_broker_may_die_while_a_session_closes() -> None:
    """A session that was broken off in the middle of its speech is not interrupted once more, and closes afterwards."""
    async with served(ServeLimits(total_s=0.3, idle_s=0.4), fast=False) as broker:
        device = Device(broker)
        device.say(LONG)
        await device.hears_sound(3)
        broker.takes.clear()
        await asyncio.sleep(0.5)
        broker.kill()
        broker.takes.set()
        broker.restart()
        await device.hears("closed")
        assert [event["ending"] for event in device.of("ended")] == ["closed"]


@run
async def test_what_comes_while_a_session_closes_begins_the_next() -> None:
    """No text is lost between `close` and `closed`."""
    async with served() as broker:
        device = Device(broker)
        device.say("hello")
        await device.hears("ended")
        broker.takes.clear()
        device.control("close")
        await asyncio.sleep(0.05)
        device.say("again")
        await asyncio.sleep(0.05)
        broker.takes.set()
        await device.hears("ended", 2)
        assert len(device.of("opened")) == 2


@run
async def test_the_server_says_goodbye() -> None:
    """Devices are told, each utterance ends, and the status says that nobody is there."""
    async with served(fast=False) as broker:
        device = Device(broker)
        device.say(LONG)
        await device.hears_sound()
    assert device.of("closed")[0]["reason"] == "shutdown"
    assert len(device.of("ended")) == 1
    assert (broker.published[-1].payload, broker.published[-1].retain) == (b"offline", True)


@run
async def test_who_comes_as_the_server_leaves_is_told_so() -> None:
    """A session that had no time to begin is closed like the others, and none begins behind them."""
    async with served() as broker:
        early, late = Device(broker, "early"), Device(broker, "late")
        early.say("hello")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        late.say("hello")
    for device in (early, late):
        assert len(device.of("closed")) == bool(device.events)


@run
async def test_what_a_broker_kept_is_not_said() -> None:
    """A retained text would be spoken again after every restart."""
    async with served() as broker:
        broker.send("voicestack/kitchen/text", "boo", retained=True)
        device = Device(broker)
        device.say("hello")
        await device.hears("ended")
        assert samples(device, 0) == 5 * FRAME


@run
async def test_who_sends_too_much_is_told_once() -> None:
    """Messages over the bound are dropped, and others are served meanwhile."""
    async with served(ServeLimits(messages_per_s=0.001, message_burst=10)) as broker:
        device, other = Device(broker), Device(broker, "hall")
        for _ in range(50):
            device.text("a")
        other.say("hello")
        await other.hears("ended")
        assert ["too many" in event["message"] for event in device.of("error")] == [True]


@run
async def test_what_is_wrong_is_answered() -> None:
    """An error says what and how to mend it, and the session goes on."""
    async with served() as broker:
        device = Device(broker)
        device.control("flush")
        assert "no session is open" in (await device.hears("error"))["message"]
        device.control("open", depth=3)
        assert "depth" in (await device.hears("error", 2))["message"]
        device.text("hello")
        device.text(b"\xff")
        assert "UTF-8" in (await device.hears("error", 3))["message"]
        device.text("x" * 5000)
        assert "characters" in (await device.hears("error", 4))["message"]
        device.control("open", chunk_ms=20)
        assert "another form" in (await device.hears("error", 5))["message"]
        device.control("flush")
        await device.hears("ended")
        assert samples(device, 0) == 5 * FRAME
