import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from async_tests import run
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scripted_worker import FRAME, FRAME_S, RATE, ScriptedWorker, sound_of

from voicestack.realtime.serve.call import Assistant, Call
from voicestack.realtime.serve.call_messages import read_command
from voicestack.realtime.serve.edge import WireClosedError
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.opus_track import MediaClock
from voicestack.realtime.serve.service import Service
from voicestack.realtime.voice import Voice, VoiceConfig
from voicestack.runtime import CapacityError, InputError

PACKET_S = 0.02


class Bare:
    """An encoder whose packets are the samples themselves."""

    def __init__(self, sample_rate_hz: int) -> None:
        assert sample_rate_hz == RATE

    def feed(self, pcm: NDArray[np.float32]) -> list[bytes]:
        return [pcm.tobytes()]


class Line:
    """A peer that hears as fast as it likes."""

    def __init__(
        self, next_packet: Callable[[], bytes], clock: Callable[[], float], ice_servers: Sequence[str] = ()
    ) -> None:
        self.clock = MediaClock(clock)
        self.opened = asyncio.Event()
        self.closed = False
        self.events: list[dict[str, Any]] = []
        self._packet = next_packet
        self._said: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._news = asyncio.Event()

    async def answer(self, offer: str) -> str:
        if offer != "offer":
            raise InputError("no offer")
        return "answer"

    async def receive(self) -> str | bytes | None:
        return await self._said.get()

    def send(self, message: str) -> None:
        if self.closed:
            raise WireClosedError("gone")
        self.events.append(json.loads(message))
        self._news.set()

    async def close(self) -> None:
        self.closed = True

    def say(self, kind: str, **fields: object) -> None:
        self._said.put_nowait(json.dumps({"type": kind, **fields}))

    def say_raw(self, message: str | bytes | None) -> None:
        self._said.put_nowait(message)

    async def hear(self, packets: int) -> NDArray[np.float32]:
        parts = []
        for _ in range(packets):
            await asyncio.sleep(0)
            parts.append(np.frombuffer(self._packet(), np.float32))
        return np.concatenate(parts)

    async def hear_until(self, kind: str, count: int = 1) -> NDArray[np.float32]:
        """Listen, at many times the speed of life, until something has been told so often."""
        parts = [np.zeros(0, np.float32)]
        while len(self.told(kind)) < count:
            parts.append(await self.hear(1))
            await asyncio.sleep(0.0005)
        return np.concatenate(parts)

    async def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        while len(self.told(kind)) < count:
            self._news.clear()
            await self._news.wait()
        return self.told(kind)[count - 1]

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]


class Echo:
    """An assistant that says what it was told, and may fail."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.heard: list[str] = []
        self._fault = fault

    async def answer(self, said: str, heard: str) -> AsyncIterator[str]:
        self.heard.append(heard)
        yield f"you said {said} "
        if self._fault is not None:
            raise self._fault
        yield "and more " * 20


@asynccontextmanager
async def served(worker: ScriptedWorker | None = None, sessions: int = 64, **limits: Any) -> AsyncIterator[Service]:
    config = VoiceConfig(lead_s=(50.0, 60.0), queue_s=100.0, max_sessions=sessions)
    async with Voice.load(open_worker=lambda: worker or ScriptedWorker(), config=config) as voice:
        yield Service(voice, "scripted", ServeLimits(**limits))


@asynccontextmanager
async def calling(assistant: Assistant | None = None, **limits: Any) -> AsyncIterator[tuple[Line, Call, Service]]:
    async with served(**limits) as service:
        call = Call(service, Line, Bare, assistant=assistant)
        line = call.connection
        assert isinstance(line, Line)
        running = asyncio.create_task(call.run("offer"))
        assert await call.answered == "answer"
        line.opened.set()
        await line.wait_for("hello")
        try:
            yield line, call, service
        finally:
            line.say_raw(None)
            await running
            assert line.closed
            assert service.voice.sessions == 0


def expected(key: int, text: str) -> NDArray[np.float32]:
    return np.repeat(np.array([sound_of(key, f, c) for f, c in enumerate(text)], np.float32), FRAME)


def loud(sound: NDArray[np.float32]) -> NDArray[np.float32]:
    """Without silence: a test may hear faster than the engine speaks, with gaps where there was nothing yet."""
    kept: NDArray[np.float32] = sound[sound != 0]
    return kept


@run
async def test_what_is_said_is_heard_and_told_when_it_is_heard() -> None:
    """The words come before they sound, the end when the last packet was sent."""
    async with calling() as (line, _, _):
        line.say("text", text="hello there", flush=True, ref="a")
        sound = await line.hear_until("speech.ended")
        np.testing.assert_array_equal(loud(sound), loud(expected(0, "hello there")))
        assert line.told("accepted") == [{"type": "accepted", "utterance": 0, "ref": "a"}]
        assert line.told("speech.started") == [{"type": "speech.started", "utterance": 0}]
        words = [word for told in line.told("words") for word in told["words"]]
        assert words == [{"text": "hello", "start_s": 0.0}, {"text": "there", "start_s": 0.48}]
        (ended,) = line.told("speech.ended")
        assert (ended["utterance"], ended["ending"], ended["audio_s"]) == (0, "finished", 0.88)
        assert ended["ttfb_ms"] >= 0
        assert line.told("stats")[-1]["played_ms"] == 880


@run
async def test_utterances_follow_each_other() -> None:
    """The next may be said while the last is spoken; each begins and ends once, in order."""
    async with calling() as (line, _, _):
        for text in ("one", "two two", "three"):
            line.say("text", text=text, flush=True)
        sound = await line.hear_until("speech.ended", 3)
        whole = np.concatenate([expected(key, text) for key, text in enumerate(("one", "two two", "three"))])
        np.testing.assert_array_equal(loud(sound), loud(whole))
        kinds = [(e["type"], e["utterance"]) for e in line.events if e["type"].startswith("speech.")]
        assert kinds == [(f"speech.{what}", number) for number in range(3) for what in ("started", "ended")]


@run
async def test_an_interruption_is_heard_at_once_and_tells_what_was_heard() -> None:
    """Not a packet of the old utterance follows, the next utterance is heard whole, and its number is new."""
    text = "one two three four five six seven eight nine ten eleven twelve thirteen"
    async with calling() as (line, call, _):
        line.say("text", text=text, flush=True)
        await line.hear_until("speech.started")
        await line.hear(30)
        heard_s = call.playout.position.played_s
        line.say("interrupt")
        line.say("text", text="new words", flush=True)
        sound = await line.hear_until("speech.ended", 2)
        (told,) = line.told("interrupted")
        assert told["utterance"] == 0
        # One more packet may have been sent before the message was read.
        assert round(heard_s * 1000) <= told["played_ms"] <= round(heard_s * 1000) + 40
        count = len(told["words"])
        assert [word["text"] for word in told["words"]] == text.split(" ")[:count]
        endings = [(ended["utterance"], ended["ending"]) for ended in line.told("speech.ended")]
        assert endings == [(0, "interrupted"), (1, "finished")]
        new = loud(expected(1, "new words"))
        np.testing.assert_array_equal(loud(sound)[-len(new) :], new)
        assert len(loud(sound)) - len(new) <= 3 * PACKET_S * RATE
        kinds = [event["type"] for event in line.events]
        assert kinds.index("interrupted") < len(kinds) - 1 - kinds[::-1].index("speech.started")


@run
async def test_an_interruption_while_nothing_is_spoken_is_answered_too() -> None:
    """Its sender may rely on an answer; before the first word it names no utterance."""
    async with calling() as (line, _, _):
        line.say("interrupt")
        told = await line.wait_for("interrupted")
        assert "utterance" not in told
        assert (told["played_ms"], told["words"]) == (0, [])


@run
async def test_a_soft_interruption_is_told_when_the_word_was_heard() -> None:
    """The word that sounds is finished, and nothing after it."""
    async with calling() as (line, _, _):
        line.say("text", text="one twothree four five six seven eight", flush=True)
        while line.told("words")[-1:] == [] or line.told("words")[-1]["words"][-1]["start_s"] < 1.04:
            await line.wait_for("words", len(line.told("words")) + 1)
        await line.hear(25)
        line.say("interrupt", finish_word=True)
        await line.hear_until("interrupted")
        (told,) = line.told("interrupted")
        assert [word["text"] for word in told["words"]] == ["one", "twothree"]
        assert told["played_ms"] == round(len("one twothree ") * FRAME_S * 1000)
        assert not (await line.hear(50)).any()


@run
async def test_what_is_wrong_is_told_and_the_call_goes_on() -> None:
    """Every kind of nonsense is answered by one error."""
    async with calling() as (line, _, _):
        wrong: list[str | bytes] = ["", "{", "[]", b"\x00", '{"type":"shout"}', '{"type":"text"}', '{"type":"depth"}']
        wrong += ['{"type":"depth","depth":33}', '{"type":"text","text":7}', '{"type":"interrupt","finish_word":3}']
        wrong += ['{"type":"user","text":"hello"}', json.dumps({"type": "text", "text": "x" * 5000})]
        for message in wrong:
            line.say_raw(message)
        await line.wait_for("error", len(wrong))
        assert {error["code"] for error in line.told("error")} == {"input"}
        line.say("ping")
        await line.wait_for("pong")
        line.say("text", text="still here", flush=True)
        await line.hear_until("speech.ended")


@run
async def test_depth_is_changed_while_it_speaks() -> None:
    """What is heard from then on has fewer layers."""
    async with calling() as (line, call, _):
        line.say("depth", depth=8)
        line.say("text", text="hello there", flush=True)
        await line.hear_until("speech.ended")
        assert call.playout.depth == 8
        assert line.told("error") == []


@run
async def test_a_peer_that_is_not_heard_of_is_given_up() -> None:
    """Even while it is being spoken to; its session is free afterwards."""
    async with served(gone_s=0.3) as service:
        call = Call(service, Line, Bare)
        line = call.connection
        assert isinstance(line, Line)
        line.opened.set()
        running = asyncio.create_task(call.run("offer"))
        line.say("text", text="to nobody " * 10)
        await asyncio.wait_for(running, 5)
        assert line.closed
        assert service.voice.sessions == 0


@run
async def test_a_peer_that_has_nothing_to_say_is_asked_to_leave() -> None:
    """Pings keep a call from being lost, not from being idle."""
    async with served(idle_s=0.3) as service:
        call = Call(service, Line, Bare)
        line = call.connection
        assert isinstance(line, Line)
        line.opened.set()
        running = asyncio.create_task(call.run("offer"))
        line.say("ping")
        await asyncio.wait_for(running, 5)
        assert line.told("bye")[0]["reason"] == "idle"
        assert service.voice.sessions == 0


@run
async def test_an_offer_that_never_becomes_a_call_is_given_up() -> None:
    """It holds a session no longer than `connect_s`."""
    async with served(connect_s=0.2) as service:
        call = Call(service, Line, Bare)
        await asyncio.wait_for(call.run("offer"), 5)
        assert call.answered.result() == "answer"
        assert service.voice.sessions == 0


@run
async def test_an_offer_is_refused_before_anything_else_when_there_is_no_room() -> None:
    """The reason reaches whoever waits for the answer, and so does that of a bad offer."""
    async with served(sessions=1) as service, service.voice.session():
        call = Call(service, Line, Bare)
        await call.run("offer")
        assert isinstance(call.answered.exception(), CapacityError)
    async with served() as service:
        call = Call(service, Line, Bare)
        await call.run("no offer")
        assert isinstance(call.answered.exception(), InputError)
        assert service.voice.sessions == 0


@run
async def test_a_flood_is_read_slowly() -> None:
    """Who sends more than the bucket holds waits for answers, and harms nobody else."""
    async with calling(messages_per_s=1, message_burst=10) as (line, _, _):
        for _ in range(12):
            line.say("ping")
        await line.wait_for("pong", 10)
        await asyncio.sleep(0.2)
        assert len(line.told("pong")) == 10


@run
async def test_the_end_of_the_server_is_told() -> None:
    """A call that is cancelled says goodbye, and gives everything back."""
    async with served() as service:
        call = Call(service, Line, Bare)
        line = call.connection
        assert isinstance(line, Line)
        line.opened.set()
        running = asyncio.create_task(call.run("offer"))
        await line.wait_for("hello")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert line.told("bye")[0]["reason"] == "shutdown"
        assert line.closed
        assert service.voice.sessions == 0


@run
async def test_an_assistant_answers_and_can_be_interrupted_by_the_next_question() -> None:
    """Its pieces are told as they are written, and are heard; a question while it speaks silences it first."""
    assistant = Echo()
    async with calling(assistant) as (line, _, _):
        assert line.told("hello")[0]["assistant"]
        line.say("user", text="one")
        await line.hear_until("speech.started")
        await line.hear(20)
        line.say("user", text="two")
        await line.hear_until("speech.ended", 2)
        replies = [(told["utterance"], told["text"][:12]) for told in line.told("reply")]
        assert replies == [(0, "you said one"), (0, "and more and"), (1, "you said two"), (1, "and more and")]
        assert len(line.told("interrupted")) == 1
        assert [told["ending"] for told in line.told("speech.ended")] == ["interrupted", "finished"]
        assert assistant.heard[0] == ""
        assert assistant.heard[1] == " ".join(word["text"] for word in line.told("interrupted")[0]["words"])


@run
async def test_an_assistant_that_fails_is_told_of_and_the_call_goes_on() -> None:
    """What it had said until then is spoken."""
    async with calling(Echo(RuntimeError("secret"))) as (line, _, _):
        line.say("user", text="one")
        await line.hear_until("speech.ended")
        assert [error["code"] for error in line.told("error")] == ["failed"]
        assert "secret" not in line.told("error")[0]["message"]


@settings(max_examples=25)
@given(st.lists(st.sampled_from(["text", "flush", "interrupt", "soft", "hear", "user", "depth"]), max_size=12))
def test_any_order_of_commands_ends_well(commands: list[str]) -> None:
    """Each interruption is answered once, each utterance that began has ended once, and nothing is left."""

    async def body() -> None:
        async with calling() as (line, _, _):
            for command in commands:
                match command:
                    case "text":
                        line.say("text", text="some words ")
                    case "interrupt" | "soft":
                        line.say("interrupt", finish_word=command == "soft")
                    case "hear":
                        await line.hear(12)
                    case "depth":
                        line.say("depth", depth=8)
                    case _:
                        line.say(command, text="question")
            line.say("flush")

            def utterances(kind: str) -> set[int]:
                return {event["utterance"] for event in line.told(kind)}

            interrupted = commands.count("interrupt") + commands.count("soft")
            if interrupted:
                await line.hear_until("interrupted", interrupted)
            # One without words ends, and never began.
            while not utterances("speech.started") <= utterances("speech.ended"):
                await line.hear(1)
            assert len(line.told("interrupted")) == interrupted
            assert len(line.told("speech.ended")) == len(utterances("speech.ended"))

    asyncio.run(body())


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_no_message_does_harm(message: str | bytes) -> None:
    """Whatever comes over the channel is a command, or refused."""
    try:
        read_command(message, max_bytes=200, max_chars=100)
    except InputError:
        pass


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner) | inner,
)


@given(
    st.sampled_from(["text", "flush", "interrupt", "depth", "user", "ping", "pong", "", "x"]),
    st.dictionaries(st.sampled_from(["text", "flush", "finish_word", "depth", "ref", "type"]), _JSON),
)
def test_no_field_does_harm(kind: str, fields: dict[str, Any]) -> None:
    """Fields of the wrong kind are refused."""
    try:
        read_command(json.dumps({"type": kind, **fields}), max_bytes=10_000, max_chars=100)
    except InputError:
        pass


@run
async def test_what_is_heard_is_no_silence_of_the_peer() -> None:
    """Who has listened to a long text is not told at its end that nothing was said meanwhile."""

    class Clock:
        now_s = 1000.0

        def __call__(self) -> float:
            return self.now_s

    clock = Clock()
    async with served(gone_s=1e6) as service:
        call = Call(replace(service, clock=clock), Line, Bare)
        line = call.connection
        assert isinstance(line, Line)
        running = asyncio.create_task(call.run("offer"))
        line.opened.set()
        line.say("text", text="a long text", flush=True)
        await line.hear_until("speech.started")
        clock.now_s += 200
        # The first is told with the beginning.
        await line.wait_for("stats", len(line.told("stats")) + 1)
        await line.hear_until("speech.ended")
        clock.now_s += 3
        await line.wait_for("ping", len(line.told("ping")) + 1)
        assert line.told("bye") == []
        clock.now_s += 200
        assert (await line.wait_for("bye"))["reason"] == "idle"
        await running


@run
async def test_an_interruption_ends_what_was_made_and_not_heard_too() -> None:
    """An utterance that failed behind one that plays is told as failed, though nobody waits for it any more."""

    def fault(key: int, frame: int) -> None:
        if key == 1:
            raise RuntimeError("the model broke")

    async with calling(worker=ScriptedWorker(fault=fault)) as (line, _, _):
        line.say("text", text="hello there my friend", flush=True)
        await line.hear_until("speech.started")
        line.say("text", text="second one", flush=True)
        await asyncio.sleep(0.3)
        line.say("interrupt")
        await line.wait_for("interrupted")
        endings = [(event["utterance"], event["ending"]) for event in line.told("speech.ended")]
        assert endings == [(0, "interrupted"), (1, "failed")]


@run
async def test_a_word_that_is_not_finished_after_all_answers_both_interruptions() -> None:
    """One that waits for the end of a word, and the one at once that comes before that."""
    async with calling() as (line, _, _):
        line.say("text", text="somewhat longer words", flush=True)
        await line.hear_until("speech.started")
        line.say("interrupt", finish_word=True)
        line.say("interrupt", finish_word=True)
        await line.hear(1)
        line.say("interrupt")
        await line.wait_for("interrupted", 3)
        assert [event["utterance"] for event in line.told("speech.ended")] == [0]


@run
async def test_of_an_answer_that_never_sounded_nothing_was_heard() -> None:
    """A question corrected before its answer begins does not pass for one that heard the answer before."""

    class Slow(Echo):
        def __init__(self) -> None:
            super().__init__()
            self.asked = asyncio.Semaphore(0)

        async def answer(self, said: str, heard: str) -> AsyncIterator[str]:
            self.heard.append(heard)
            self.asked.release()
            if said == "two":
                await asyncio.Event().wait()
            yield f"you said {said}. "

    assistant = Slow()
    async with calling(assistant) as (line, _, _):
        line.say("user", text="one")
        await line.hear_until("speech.ended")
        await assistant.asked.acquire()
        for question in ("two", "three"):
            line.say("user", text=question)
            await assistant.asked.acquire()
        await line.hear_until("speech.ended", 2)
        assert assistant.heard == ["", "you said one.", ""]
