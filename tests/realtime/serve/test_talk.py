import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from async_tests import run
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_worker import ScriptedWorker

from voicestack.realtime.outlet import Ending
from voicestack.realtime.scheduler import Limits
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.service import Service
from voicestack.realtime.serve.talk import Ended, Interrupted, Opened, Sound, Talk, TalkEvent
from voicestack.realtime.voice import Voice, VoiceConfig
from voicestack.runtime import CapacityError, InputError, StateError


@asynccontextmanager
async def served(
    worker: ScriptedWorker | None = None, limits: ServeLimits | None = None, starved_s: float = 60.0, sessions: int = 64
) -> AsyncIterator[Service]:
    worker = worker or ScriptedWorker()
    config = VoiceConfig(lead_s=(50.0, 60.0), queue_s=100.0, limits=Limits(starved_s=starved_s), max_sessions=sessions)
    async with Voice.load(open_worker=lambda: worker, config=config) as voice:
        yield Service(voice, "scripted", limits or ServeLimits())


class Kept(logging.Handler):
    """What is logged, kept."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


class Heard:
    """A client that keeps what is emitted, and lets a test wait for it."""

    def __init__(self) -> None:
        self.events: list[TalkEvent] = []
        self._news = asyncio.Event()

    async def emit(self, event: TalkEvent) -> None:
        self.events.append(event)
        self._news.set()

    async def wait_for(self, kind: type[TalkEvent], count: int = 1) -> None:
        while sum(isinstance(event, kind) for event in self.events) < count:
            self._news.clear()
            await self._news.wait()

    def characters(self, utterance: int) -> int:
        """How many characters of an utterance were heard: a frame each."""
        return sum(
            len(event.chunk.depths)
            for event in self.events
            if isinstance(event, Sound) and event.utterance == utterance
        )

    def endings(self) -> list[tuple[int, Ending]]:
        return [(event.utterance, event.ending) for event in self.events if isinstance(event, Ended)]


@asynccontextmanager
async def talking(service: Service, **options: object) -> AsyncIterator[tuple[Talk, Heard]]:
    heard = Heard()
    talk = Talk(service, heard.emit, **options)  # type: ignore[arg-type]
    task = asyncio.create_task(talk.run())
    try:
        await heard.wait_for(Opened)
        yield talk, heard
        talk.close()
        await task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@run
async def test_what_is_said_while_another_utterance_is_spoken_waits_for_its_turn() -> None:
    """Utterances come out one after the other, each ended once, however early they were said."""
    async with served() as service, talking(service) as (talk, heard):
        assert (talk.push("one"), talk.flush()) == (0, 0)
        assert (talk.push("two!"), talk.push("?"), talk.flush()) == (1, 1, 1)
        await heard.wait_for(Ended, 2)
        assert heard.endings() == [(0, Ending.FINISHED), (1, Ending.FINISHED)]
        assert (heard.characters(0), heard.characters(1)) == (3, 5)
        order = [event.utterance for event in heard.events if isinstance(event, Sound)]
        assert order == sorted(order)


@run
async def test_a_flush_without_text_is_answered() -> None:
    """It ends an utterance that had nothing to say, so that whoever waits for the end of it is told."""
    async with served() as service, talking(service) as (talk, heard):
        talk.push("  ")
        talk.flush()
        talk.flush()
        await heard.wait_for(Ended, 2)
        assert heard.endings() == [(0, Ending.FINISHED), (1, Ending.FINISHED)]


@run
async def test_nothing_stale_follows_the_answer_to_an_interruption() -> None:
    """What was speaking ends, what waited is dropped, and only what is said afterwards is heard behind the answer."""
    async with served(ScriptedWorker(step_s=0.005)) as service, talking(service) as (talk, heard):
        talk.push("a" * 50)
        talk.flush()
        talk.push("dropped")
        talk.flush()
        await heard.wait_for(Sound, 2)
        await talk.interrupt()
        after = talk.push("new")
        talk.flush()
        await heard.wait_for(Ended, 2)
        place = next(n for n, event in enumerate(heard.events) if isinstance(event, Interrupted))
        assert heard.endings() == [(0, Ending.INTERRUPTED), (after, Ending.FINISHED)]
        assert {event.utterance for event in heard.events[place:] if isinstance(event, Sound)} == {after}
        assert heard.characters(0) < 50
        assert heard.characters(after) == 3


@run
async def test_an_interruption_of_silence_is_answered() -> None:
    """Whoever interrupts when nothing is spoken learns that nothing was."""
    async with served() as service, talking(service) as (talk, heard):
        await talk.interrupt()
        await heard.wait_for(Interrupted)
        (answer,) = (event for event in heard.events if isinstance(event, Interrupted))
        assert (answer.utterance, answer.heard.played_s) == (-1, 0.0)


@run
async def test_an_interruption_before_the_first_sound_ends_the_utterance() -> None:
    """Text that was pushed in the same moment is never heard."""
    async with served() as service, talking(service) as (talk, heard):
        talk.push("never")
        talk.flush()
        await talk.interrupt()
        talk.push("heard")
        talk.flush()
        await heard.wait_for(Ended)
        talk.close()
        await asyncio.sleep(0)
        assert heard.characters(0) == 0
        assert heard.endings()[-1][1] is Ending.FINISHED


@run
async def test_an_utterance_that_fails_does_not_end_the_conversation() -> None:
    """Its end tells that it failed, the log why, and the next one is spoken."""
    handler, logger = Kept(), logging.getLogger("voicestack.serve")
    logger.addHandler(handler)

    def fault(key: int, frame: int) -> None:
        if key == 0 and frame == 2:
            raise RuntimeError("model.onnx broke")

    async with served(ScriptedWorker(fault=fault)) as service, talking(service) as (talk, heard):
        talk.push("broken")
        talk.flush()
        talk.push("whole")
        talk.flush()
        await heard.wait_for(Ended, 2)
        assert heard.endings() == [(0, Ending.FAILED), (1, Ending.FINISHED)]
        (failed, _) = (event for event in heard.events if isinstance(event, Ended))
        assert failed.error is not None
        assert "its log tells more" in failed.error
    logger.removeHandler(handler)
    (record,) = handler.records
    assert record.exc_info is not None
    assert str(record.exc_info[1]) == "model.onnx broke"


@run
async def test_text_after_an_utterance_starved_begins_the_next() -> None:
    """A writer that was silent for too long is heard again, as another utterance."""
    async with served(starved_s=0.05) as service, talking(service) as (talk, heard):
        talk.push("first")
        await heard.wait_for(Ended)
        talk.push("second")
        talk.flush()
        await heard.wait_for(Ended, 2)
        assert heard.endings() == [(0, Ending.STARVED), (1, Ending.FINISHED)]
        assert heard.characters(1) == len("second")


@run
async def test_more_text_than_may_wait_is_refused_and_what_was_said_before_is_spoken() -> None:
    """The refusal names the limit; it takes nothing away."""
    async with served(limits=ServeLimits(buffered_chars=10)) as service, talking(service) as (talk, heard):
        talk.push("0123456789")
        with pytest.raises(InputError, match="limit of 10"):
            talk.push("x")
        talk.flush()
        await heard.wait_for(Ended)
        assert heard.characters(0) == 10
        talk.push("again")


@run
async def test_closing_speaks_what_was_said_and_takes_no_more() -> None:
    """`run` returns when all is spoken."""
    heard = Heard()
    async with served() as service:
        talk = Talk(service, heard.emit)
        talk.push("to the end")
        talk.close()
        with pytest.raises(StateError, match="being closed"):
            talk.push("more")
        await talk.run()
        assert heard.endings() == [(0, Ending.FINISHED)]
        assert service.voice.sessions == 0


@run
async def test_there_may_be_no_room() -> None:
    """It is told at once, before anything is emitted."""
    async with served(sessions=1) as service, talking(service):
        heard = Heard()
        with pytest.raises(CapacityError):
            await Talk(service, heard.emit).run()
        assert heard.events == []


@run
async def test_what_the_wire_raises_ends_the_conversation() -> None:
    """A reader that is gone leaves no session behind."""

    async def emit(event: TalkEvent) -> None:
        if isinstance(event, Sound):
            raise ConnectionError("gone")

    async with served() as service:
        talk = Talk(service, emit)
        talk.push("text")
        with pytest.raises(ConnectionError):
            await talk.run()
        assert service.voice.sessions == 0


@run
async def test_the_depth_may_be_changed_while_it_speaks() -> None:
    """Frames after the change have the new depth, and so have later utterances."""
    async with served(ScriptedWorker(step_s=0.002)) as service, talking(service) as (talk, heard):
        talk.push("a" * 60)
        talk.flush()
        await heard.wait_for(Sound)
        talk.set_depth(5)
        talk.push("b")
        talk.flush()
        await heard.wait_for(Ended, 2)
        sounds = [event for event in heard.events if isinstance(event, Sound)]
        assert sounds[0].chunk.depths[0] == 32
        assert sounds[-1].chunk.depths == (5,)
        with pytest.raises(InputError, match="depth"):
            talk.set_depth(33)


@settings(max_examples=60)
@given(
    st.lists(st.one_of(st.text("ab ", max_size=4), st.sampled_from(["<flush>", "<interrupt>", "<yield>"])), max_size=14)
)
def test_any_order_of_commands_ends_every_utterance_once(commands: list[str]) -> None:
    """Whatever a client does, each utterance that is begun has one end, each interruption one answer."""

    async def body() -> None:
        async with asyncio.timeout(20), served() as service, talking(service) as (talk, heard):
            interruptions = commands.count("<interrupt>")
            for command in commands:
                if command == "<flush>":
                    talk.flush()
                elif command == "<interrupt>":
                    await talk.interrupt()
                elif command == "<yield>":
                    await asyncio.sleep(0.001)
                else:
                    talk.push(command)
            await heard.wait_for(Interrupted, interruptions)
            talk.close()
            await service.voice.drain()
            ended = [utterance for utterance, _ in heard.endings()]
            assert len(ended) == len(set(ended))
            assert {e.utterance for e in heard.events if isinstance(e, Sound)} <= set(ended)
            assert sum(isinstance(event, Interrupted) for event in heard.events) == interruptions

    asyncio.run(body())


@run
async def test_blanks_that_wait_for_words_are_no_business() -> None:
    """A client that says nothing but blanks is as idle as one that says nothing."""
    async with served() as service, talking(service) as (talk, heard):
        await heard.wait_for(Opened)
        talk.push(" ")
        assert not talk.busy
        talk.push("now")
        assert talk.busy
        talk.flush()
        await heard.wait_for(Ended)
        assert heard.characters(0) == 4


@run
async def test_what_was_spoken_of_an_utterance_makes_room_for_more_of_it() -> None:
    """An utterance may be longer than what may wait, if its text comes no faster than it is spoken."""
    async with served(limits=ServeLimits(buffered_chars=20)) as service, talking(service) as (talk, heard):
        for spoken in range(1, 7):
            talk.push("some words ")
            while heard.characters(0) < 11 * spoken - 1:  # noqa: ASYNC110  # nothing tells of it
                await asyncio.sleep(0.001)
        with pytest.raises(InputError, match="wait to be spoken"):
            talk.push("x" * 21)
        talk.flush()
        await heard.wait_for(Ended)
        assert heard.characters(0) == 66


@run
async def test_what_is_said_behind_an_interruption_finds_the_room_of_what_was_dropped() -> None:
    """Nothing of what was forgotten counts as waiting, even before the interruption has been told of."""
    async with served(limits=ServeLimits(buffered_chars=100)) as service, talking(service) as (talk, heard):
        talk.push("a" * 100)
        await heard.wait_for(Sound)
        await talk.interrupt()
        talk.push("b" * 100)
        talk.flush()
        await heard.wait_for(Ended, 2)
        assert heard.endings() == [(0, Ending.INTERRUPTED), (1, Ending.FINISHED)]
        assert heard.characters(1) == 100


@run
async def test_only_interruptions_are_measured_as_such() -> None:
    """An utterance that ends by itself is none."""
    async with served() as service, talking(service) as (talk, heard):
        count = service.voice.metrics.registry.get_sample_value
        talk.push("first")
        talk.flush()
        await heard.wait_for(Ended)
        talk.push("a long second one " * 4)
        await heard.wait_for(Sound, 6)
        assert count("voicestack_interrupt_seconds_count") == 0
        await talk.interrupt()
        await heard.wait_for(Interrupted)
        talk.push("third")
        talk.flush()
        await heard.wait_for(Ended, 3)
        assert count("voicestack_interrupt_seconds_count") == 1
