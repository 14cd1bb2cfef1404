import asyncio
import base64
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_worker import RATE, ScriptedWorker

pytest.importorskip("soxr", reason="sound on the wire needs the `serve` extra")

import fuzz_ws
from async_tests import run
from ws_fakes import FakeWire, connected, served

from voicestack.realtime.outlet import Ending
from voicestack.realtime.playout import Heard
from voicestack.realtime.scheduler import Limits as SchedulerLimits
from voicestack.realtime.serve.dialects.cartesia import Cartesia
from voicestack.realtime.serve.dialects.deepgram import Deepgram
from voicestack.realtime.serve.dialects.dialect import Dialect, Setting
from voicestack.realtime.serve.dialects.elevenlabs import ElevenLabs
from voicestack.realtime.serve.dialects.fields import Fields
from voicestack.realtime.serve.dialects.native import Native
from voicestack.realtime.serve.dialects.steps import Finish, Leave, Open, Send, Step
from voicestack.realtime.serve.talk import Ended, Interrupted, Opened, Sound
from voicestack.realtime.stages import Stages
from voicestack.runtime import CapacityError, Chunk, InputError, VoicestackError, WordTiming

FORM = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": RATE}


def kinds(wire: FakeWire) -> list[str]:
    """What was told, in order, without repetitions one after the other."""
    names = [told["type"] for told in wire.told]
    return [name for name, before in zip(names, ["", *names], strict=False) if name != before]


@run
async def test_cartesia_tells_words_flushes_and_the_end_on_the_clock_of_the_context() -> None:
    """flush_done is that of a flush, times go on behind it, and `done` is the last."""
    async with served() as service, connected(service, "cartesia") as wire:
        said = {"context_id": "a", "output_format": FORM, "add_timestamps": True}
        wire.say(said | {"transcript": "one two", "continue": True, "flush": True})
        wire.say(said | {"transcript": "six", "continue": True}, said | {"transcript": " ", "continue": False})
        await wire.told_of(type="done", context_id="a")
        assert kinds(wire)[-1] == "done"
        assert [told["flush_id"] for told in wire.told if told["type"] == "flush_done"] == [1]
        timed = [told["word_timestamps"] for told in wire.told if told["type"] == "timestamps"]
        starts = {word: start for times in timed for word, start in zip(times["words"], times["start"], strict=True)}
        assert starts == {"one": 0.0, "two": pytest.approx(0.32), "six": pytest.approx(0.56)}
        assert all(s <= e for times in timed for s, e in zip(times["start"], times["end"], strict=True))
        assert {told["flush_id"] for told in wire.told if told["type"] == "chunk"} == {1, 2}


@run
async def test_cartesia_sends_nothing_more_of_what_was_cancelled() -> None:
    """Not even `done`, which clients take for that of another context; the name is free again."""
    worker = ScriptedWorker()
    async with served(worker, lead_s=(0.2, 0.4)) as service, connected(service, "cartesia") as wire:
        wire.say({"context_id": "a", "output_format": FORM, "transcript": "word " * 50, "continue": True})
        await wire.told_of(type="chunk")
        wire.say({"context_id": "a", "cancel": True}, {"context_id": "never was", "cancel": True})
        while service.voice.sessions:  # noqa: ASYNC110  # nothing tells of it
            await asyncio.sleep(0.005)
        count = len(wire.sent)
        wire.say({"context_id": "b", "output_format": FORM, "transcript": "bee", "continue": False})
        await wire.told_of(type="done", context_id="b")
        assert {told["context_id"] for told in wire.told[count:]} == {"b"}
        wire.say({"context_id": "a", "output_format": FORM, "transcript": "again", "continue": False})
        await wire.told_of(type="done", context_id="a")


@run
async def test_sentences_of_a_client_that_gathers_them_itself_are_kept_apart() -> None:
    """Cartesia's max_buffer_delay_ms=0 and ElevenLabs' auto_mode say that each text is whole."""
    worker = ScriptedWorker()
    async with served(worker) as service:
        async with connected(service, "cartesia") as wire:
            said = {"context_id": "a", "output_format": FORM, "max_buffer_delay_ms": 0}
            wire.say(said | {"transcript": "One.", "continue": True}, said | {"transcript": "Two.", "continue": True})
            wire.say(said | {"transcript": "", "continue": False})
            await wire.told_of(type="done")
        async with connected(service, "elevenlabs-multi", output_format="pcm_8000", auto_mode="true") as wire:
            wire.say({"text": " ", "context_id": "b"}, {"text": "One.", "context_id": "b"})
            wire.say({"text": "Two.", "context_id": "b"}, {"context_id": "b", "close_context": True})
            await wire.told_of(isFinal=True)
        assert [spoken.text for spoken in worker.begun.values()] == ["One. Two. ", "One. Two. "]


@run
async def test_elevenlabs_contexts_open_speak_and_close() -> None:
    """With keepalives of all kinds, flushes without text, camel-case names, and isFinal as the last of each."""
    async with served() as service, connected(service, "elevenlabs-multi", output_format="pcm_8000") as wire:
        wire.say({"text": ""}, {"text": " ", "context_id": "a", "voice_settings": {"stability": 0.5}})
        wire.say({"text": "one two", "context_id": "a"}, {"context_id": "a", "flush": True})
        wire.say({"text": "", "context_id": "a"}, {"text": "six ", "context_id": "b"})
        wire.say({"context_id": "a", "close_context": True}, {"close_socket": True})
        await wire.until(lambda: wire.closed is not None)
        assert wire.closed == (1000, "")
        finals = [told["contextId"] for told in wire.told if told["isFinal"]]
        assert sorted(finals) == ["a", "b"]
        spans = [told["alignment"] for told in wire.told if told.get("alignment") and told["contextId"] == "a"]
        assert "".join(char for span in spans for char in span["chars"]).split() == ["one", "two"]
        # Clients add up how long the messages are, each of which begins at 0.
        total = sum(span["charStartTimesMs"][-1] + span["charDurationsMs"][-1] for span in spans)
        assert total == pytest.approx(7 * 80)


@run
async def test_elevenlabs_single_context_ends_with_the_empty_text() -> None:
    """Then all is spoken, isFinal told, and the connection closed; other names for the same times."""
    async with served() as service, connected(service, "elevenlabs", output_format="pcm_8000") as wire:
        wire.say({"text": " ", "try_trigger_generation": True}, {"text": "one two "}, {"text": ""})
        await wire.until(lambda: wire.closed is not None)
        assert wire.closed == (1000, "")
        assert wire.told[-1] == {"audio": None, "isFinal": True}
        assert "charsDurationsMs" in wire.told[0]["alignment"]
        sound = b"".join(base64.b64decode(told["audio"] or "") for told in wire.told)
        assert len(sound) == 2 * RATE * 8 * 80 // 1000


@run
async def test_deepgram_flushes_clears_and_closes() -> None:
    """Its sequence numbers rise; Close lets all be spoken."""
    async with served() as service, connected(service, "deepgram", sample_rate="8000") as wire:
        wire.say({"type": "Flush"}, {"type": "Speak", "text": "one"}, {"type": "Flush"})
        await wire.told_of(type="Flushed", sequence_id=1)
        assert kinds(wire)[0] == "Metadata"
        assert len(wire.sound) == 2 * RATE * 3 * 80 // 1000
        wire.say({"type": "Speak", "text": "word " * 100}, {"type": "Clear"})
        await wire.told_of(type="Cleared", sequence_id=2)
        before = len(wire.sound)
        wire.say({"type": "Speak", "text": "x" * 5000}, {"type": "Hum"}, {"type": "Speak", "text": "six"})
        wire.say({"type": "Close"})
        await wire.until(lambda: wire.closed is not None)
        assert wire.closed == (1000, "")
        assert len(wire.sound) - before == 2 * RATE * 3 * 80 // 1000
        assert {"Warning", "Error"} <= set(kinds(wire))


@pytest.mark.parametrize(
    ("dialect", "query"),
    [
        ("deepgram", {"encoding": "mp3"}),
        ("deepgram", {"sample_rate": "fast"}),
        ("deepgram", {"container": "wav"}),
        ("elevenlabs", {"output_format": "pcm_"}),
        ("elevenlabs-multi", {"output_format": "wav_24000"}),
        ("elevenlabs-multi", {"output_format": "pcm_24000", "inactivity_timeout": "0"}),
    ],
)
def test_a_query_that_cannot_be_served_is_told_and_closes(dialect: str, query: dict[str, str]) -> None:
    """In the dialect's words first, then by 1008."""

    @run
    async def body() -> None:
        async with served() as service, connected(service, dialect, None, **query) as wire:
            await wire.until(lambda: wire.closed is not None)
            assert wire.closed is not None
            assert wire.closed[0] == 1008
            assert wire.told

    body()


@pytest.mark.parametrize(("encoding", "width"), [("linear16", 2), ("mulaw", 1), ("alaw", 1)])
@pytest.mark.parametrize("rate_hz", [8000, 22_050, 48_000])
def test_deepgram_sound_has_the_length_it_should(encoding: str, width: int, rate_hz: int) -> None:
    """In every encoding and at every rate, to the sample that resampling rounds."""

    @run
    async def body() -> None:
        async with served() as service:
            async with connected(service, "deepgram", encoding=encoding, sample_rate=str(rate_hz)) as wire:
                wire.say({"type": "Speak", "text": "hello there"}, {"type": "Flush"})
                await wire.told_of(type="Flushed")
                assert abs(len(wire.sound) / width - rate_hz * 11 * 0.08) <= 2

    body()


SETTING = Setting("joe", RATE)
MAKERS: dict[str, Callable[[Setting], Dialect]] = {
    "native": Native,
    "cartesia": Cartesia,
    "deepgram": Deepgram,
    "elevenlabs": partial(ElevenLabs, many=False),
    "elevenlabs-multi": partial(ElevenLabs, many=True),
}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(fuzz_ws.WORDS),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(fuzz_ws.KEYS), inner, max_size=5),
    max_leaves=8,
)
CHUNKS = st.builds(
    lambda frames, words: Chunk(
        np.zeros(frames * 80, np.float32), 0.5, tuple(WordTiming(word, 0.5 + at / 100) for at, word in enumerate(words))
    ),
    st.integers(0, 3),
    st.lists(st.text(), max_size=3),
)
UTTERANCES = st.integers(-1, 3)
EVENTS = st.one_of(
    st.just(Opened()),
    st.builds(Sound, UTTERANCES, CHUNKS),
    st.builds(
        Ended, UTTERANCES, st.sampled_from(Ending), st.builds(Stages), st.none() | st.just("broken"), st.booleans()
    ),
    st.builds(Interrupted, UTTERANCES, st.just(Heard(0.5, (WordTiming("one", 0.0),)))),
)
ERRORS = st.sampled_from([None, CapacityError("full", 1.0), InputError("no"), VoicestackError("broken")])


@pytest.mark.parametrize("name", MAKERS)
@given(data=st.data())
@settings(max_examples=60)
def test_a_dialect_answers_anything_with_steps_that_make_sense(name: str, data: st.DataObject) -> None:
    """Whatever comes in whatever order: nothing is raised, messages are JSON, and only open contexts are commanded."""
    query = data.draw(
        st.sampled_from([{}, {"output_format": "pcm_16000"}, {"output_format": "ulaw_8000", "seed": "1"}])
    )
    dialect = MAKERS[name](Setting("joe", RATE, query={"output_format": "pcm_8000"} | query))
    contexts: set[str] = set()
    check(dialect.greet(), contexts)
    left = False
    for _ in range(data.draw(st.integers(0, 25))):
        kind = data.draw(st.integers(0, 5))
        if left:
            break
        if kind == 0:
            steps = dialect.receive(data.draw(st.binary(max_size=20) | st.text(max_size=20)))
        elif kind == 1:
            steps = dialect.receive(json.dumps(data.draw(VALUES)))
        elif kind < 4:
            sensible = dict(data.draw(st.sampled_from(fuzz_ws.SENSIBLE[name])))
            others = data.draw(st.dictionaries(st.sampled_from(fuzz_ws.KEYS), VALUES, max_size=2))
            steps = dialect.receive(json.dumps(sensible | others))
        elif not contexts:
            continue
        elif kind == 4:
            steps = dialect.tell(data.draw(st.sampled_from(sorted(contexts))), data.draw(EVENTS))
        else:
            context = data.draw(st.sampled_from(sorted(contexts)))
            contexts.remove(context)
            steps = dialect.over(context, data.draw(ERRORS))
        check(steps, contexts)
        left = any(isinstance(step, Leave) for step in steps)


def check(steps: list[Step], contexts: set[str]) -> None:
    """Follow what is open, and look at every message."""
    for step in steps:
        if isinstance(step, Send):
            assert isinstance(step.message, bytes) or isinstance(json.loads(step.message), dict)
        elif isinstance(step, Leave):
            assert len(step.reason.encode()) <= 123
        elif isinstance(step, Open):
            assert step.context not in contexts
            contexts.add(step.context)
        else:
            assert step.context in contexts


@pytest.mark.parametrize("name", ["cartesia", "deepgram", "elevenlabs", "elevenlabs-multi", "native"])
@given(text=st.text(st.sampled_from("ab \n"), min_size=1, max_size=30), data=st.data())
@settings(max_examples=15)
def test_any_chunking_of_a_text_is_spoken_whole(name: str, text: str, data: st.DataObject) -> None:
    """In order, by every dialect, however it is cut."""
    cuts = sorted(data.draw(st.sets(st.integers(1, max(1, len(text) - 1)), max_size=6)))
    parts = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True) if text[a:b]]
    worker = ScriptedWorker()

    @run
    async def body() -> None:
        async with served(worker) as service, connected(service, name, output_format="pcm_8000") as wire:
            wire.say(*spoken_by(name, parts))
            await wire.until(lambda: is_through(name, wire))

    body()
    said = "".join(spoken.text for spoken in worker.begun.values())
    # What is blank at the beginning opens no conversation in some dialects.
    assert said.lstrip() == text.lstrip() or not text.strip()


def spoken_by(name: str, parts: list[str], context: str = "a") -> list[dict[str, Any]]:
    """A whole conversation in a dialect."""
    if name == "cartesia":
        said = [{"context_id": context, "output_format": FORM, "transcript": part, "continue": True} for part in parts]
        return [*said, {"context_id": context, "output_format": FORM, "transcript": "", "continue": False}]
    if name == "deepgram":
        return [*({"type": "Speak", "text": part} for part in parts), {"type": "Flush"}]
    if name == "elevenlabs":
        return [*({"text": part} for part in parts), {"text": ""}]
    if name == "elevenlabs-multi":
        said = [{"text": part, "context_id": context} for part in parts]
        return [{"text": " ", "context_id": context}, *said, {"context_id": context, "close_context": True}]
    return [{"type": "start"}, *({"type": "text", "text": part} for part in parts), {"type": "flush"}]


def is_through(name: str, wire: FakeWire) -> bool:
    """Whether the last message of that conversation has come."""
    return any(is_last(name, told) for told in wire.told)


def is_last(name: str, told: dict[str, Any]) -> bool:
    """Whether a message is the last of a conversation."""
    kinds = {"cartesia": "done", "deepgram": "Flushed", "native": "speech.ended"}
    return bool(told["type"] == kinds[name] if name in kinds else told.get("isFinal"))


@run
async def test_a_thousand_malformed_messages_harm_nobody() -> None:
    """`python tests/fuzz_ws.py` sends more of them."""
    done = await fuzz_ws.attack(1000, seed=5)
    assert done["malformed"] >= 1000


@pytest.mark.parametrize("message", [b"{}", "", "[]", "[" * 100_000, '{"a":NaN}', "9" * 5000, "nul"])
def test_what_is_no_json_object_is_an_input_error(message: str | bytes) -> None:
    """However it is broken."""
    with pytest.raises(InputError, match="a message must be"):
        Fields.parse(message)


def test_fields_are_what_they_should_be_or_named() -> None:
    """With the place they stand in; null is missing, halves of surrogate pairs are replaced."""
    fields = Fields.parse(
        '{"a": {"b": 1.5, "t": "\\\\ud800x"}, "n": null, "big": 1e400, "yes": true}'.replace("\\\\", "\\")
    )
    assert fields.part("a").number("b") == 1.5
    assert fields.part("a").text("t") == "\ufffdx"
    assert (fields.text("n", "usual"), fields.flag("yes"), fields.whole("none")) == ("usual", True, None)
    with pytest.raises(InputError, match=r"a\.b must be a whole number"):
        fields.part("a").whole("b")
    with pytest.raises(InputError, match="big must be a number"):
        fields.number("big")
    with pytest.raises(InputError, match="yes must be a string"):
        fields.text("yes")


def test_finish_follows_flush_in_a_last_message() -> None:
    """A context that was opened is closed by what completes it."""
    steps = Cartesia(SETTING).receive(json.dumps({"transcript": "hello", "context_id": "a", "output_format": FORM}))
    assert [type(step).__name__ for step in steps] == ["Open", "Push", "Flush", "Finish"]
    assert steps[-1] == Finish("a")


@run
async def test_native_sound_as_opus_packets() -> None:
    """Each a message of its own, 20 ms of sound, told before how many; an interruption leaves no half packet behind."""
    av = pytest.importorskip("av", reason="Opus needs the `serve` extra")
    async with served() as service, connected(service, "native") as wire:
        wire.say({"type": "start", "format": "opus"}, {"type": "text", "text": "hello there"}, {"type": "flush"})
        await wire.told_of(type="speech.ended")
        packets = [message for message in wire.sent if isinstance(message, bytes)]
        assert (await wire.told_of(type="hello"))["sample_rate"] == 8000
        assert len(packets) == sum(told["messages"] for told in wire.told if told["type"] == "audio") == 11 * 4
        decoder = av.CodecContext.create("libopus", "r")
        decoder.sample_rate, decoder.layout = 48_000, "mono"
        samples = sum(frame.samples for packet in packets for frame in decoder.decode(av.Packet(packet)))
        assert abs(samples / 48_000 - 11 * 0.08) < 0.03
        wire.say({"type": "text", "text": "x"}, {"type": "interrupt"}, {"type": "start", "format": "flac"})
        await wire.told_of(type="error")


@run
async def test_elevenlabs_sends_mp3_to_who_does_not_say_otherwise() -> None:
    """As its model does."""
    pytest.importorskip("av", reason="mp3 needs the `serve` extra")
    async with served() as service, connected(service, "elevenlabs") as wire:
        wire.say({"text": "hello there "}, {"text": ""})
        await wire.until(lambda: wire.closed is not None)
        data = b"".join(base64.b64decode(told["audio"] or "") for told in wire.told)
        assert data[0] == 0xFF
        assert data[1] & 0xE0 == 0xE0
        assert len(data) > 1000


@given(data=st.data())
@settings(max_examples=25)
def test_contexts_that_are_written_in_any_order_are_each_spoken_whole(data: st.DataObject) -> None:
    """However their pieces are cut and mixed, in Cartesia's dialect and ElevenLabs'."""
    name = data.draw(st.sampled_from(["cartesia", "elevenlabs-multi"]))
    texts = data.draw(st.lists(st.text(st.sampled_from("ab "), min_size=1, max_size=12), min_size=2, max_size=4))
    texts = [f"x{text}" for text in texts]
    waiting = [spoken_by(name, list(text), context=f"c{at}") for at, text in enumerate(texts)]
    said: list[dict[str, Any]] = []
    while any(waiting):
        said.append(data.draw(st.sampled_from([messages for messages in waiting if messages])).pop(0))
    worker = ScriptedWorker()

    @run
    async def body() -> None:
        async with served(worker) as service, connected(service, name, output_format="pcm_8000") as wire:
            wire.say(*said)
            await wire.until(lambda: sum(is_last(name, told) for told in wire.told) == len(texts))
            for at, text in enumerate(texts):
                parts = [t for t in wire.told if f"c{at}" in (t.get("context_id"), t.get("contextId"))]
                sound = b"".join(base64.b64decode(t.get("data") or t.get("audio") or "") for t in parts)
                assert len(sound) == 2 * len(text) * RATE * 80 // 1000

    body()
    assert sorted(spoken.text for spoken in worker.begun.values()) == sorted(texts)


@run
async def test_a_writer_that_pauses_for_too_long_goes_on_with_another_utterance() -> None:
    """Times of a context go on; in the native protocol the pause ends an utterance as `starved`."""
    async with served(starved=SchedulerLimits(starved_s=0.1)) as service:
        async with connected(service, "cartesia") as wire:
            more = {"context_id": "a", "output_format": FORM, "add_timestamps": True, "continue": True}
            wire.say(more | {"transcript": "one"})
            await asyncio.sleep(0.5)
            wire.say(more | {"transcript": "six", "continue": False})
            await wire.told_of(type="done")
            starts = [start for t in wire.told if "word_timestamps" in t for start in t["word_timestamps"]["start"]]
            assert starts == [0.0, pytest.approx(0.24)]
        async with connected(service, "native") as wire:
            wire.say({"type": "start"}, {"type": "text", "text": "one"})
            assert (await wire.told_of(type="speech.ended"))["ending"] == "starved"
            wire.say({"type": "text", "text": "six"}, {"type": "mark", "name": "end"}, {"type": "flush"})
            assert (await wire.told_of(type="speech.ended", utterance=1))["ending"] == "finished"
            assert (await wire.told_of(type="mark"))["utterance"] == 1


def test_the_first_sound_that_can_be_heard_is_not_before_the_first() -> None:
    """A listener that takes it late hears it late: the silence it begins with comes on top."""
    native = Native(Setting("scripted", RATE))
    native.receive('{"type": "start"}')
    stages = Stages(opened_s=1.0, first_chunk_s=1.1, first_taken_s=1.5, audible_s=1.15)
    (told,) = native.tell("session", Ended(0, Ending.FINISHED, stages))
    assert isinstance(told, Send)
    measured = json.loads(told.message)
    assert (measured["ttfb_ms"], measured["ttfa_ms"]) == (500.0, 550.0)
