"""Sessions of published bundles: each sounds as the speaker alone, whatever the others do."""

import asyncio
import math
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from speaking_bundles import CASES, PROMPTED, reference_codes, speaker_of, speaking_path

from voicestack.realtime.cost_model import CostMeter
from voicestack.realtime.lifecycle import State
from voicestack.realtime.orders import Order, Report, StepOrder, UtteranceSpec
from voicestack.realtime.planner import PlannerConfig
from voicestack.realtime.published_worker import PublishedMemory, PublishedWorker
from voicestack.realtime.scheduler import Limits
from voicestack.realtime.session import Session
from voicestack.realtime.voice import Voice, VoiceConfig
from voicestack.runtime import Advance, CapacityError, Chunk, InputError, SamplingParams, WarmUp
from voicestack.runtime.published import PublishedBundle, PublishedChunk, PublishedManner

TEXTS = ("Hello there. One two three.", "Quick brown fox.", "Yes or no? A voice that speaks.", "One.")
TURNS = ("Hello, streaming world of tokens.", "Second turn text.", "Third.")
ROWS, LIMIT = 1200, 20
CUT = PublishedManner(max_frames=LIMIT)

FloatArray = NDArray[np.float32]


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's body; it leaves no task behind."""

    async def body() -> None:
        async with asyncio.timeout(60):
            await test
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(body())


def voice_of(case: str, **config: Any) -> Voice:
    """A voice whose listeners are as if far behind, so that nothing waits for real time to pass."""
    settings: dict[str, Any] = {"lead_s": (50.0, 60.0), "queue_s": 100.0, "stream_rows": ROWS, "max_sessions": 6}
    return Voice.load(speaking_path(case), config=VoiceConfig(**{**settings, **config}))


def seeded(seed: int) -> SamplingParams:
    return SamplingParams(seed=seed)


async def chunks_of(session: Session, text: str | Sequence[str]) -> list[Chunk]:
    """All chunks of one utterance, its text pushed piece by piece."""

    async def write() -> None:
        for piece in (text,) if isinstance(text, str) else text:
            await session.push_text(piece)
            await asyncio.sleep(0.005)
        await session.flush()

    async with asyncio.TaskGroup() as group:
        group.create_task(write())
        return [chunk async for chunk in session.audio()]


def joined(chunks: Sequence[Chunk | PublishedChunk]) -> FloatArray:
    """The sound as [samples, channels]."""
    pcm = np.concatenate([chunk.pcm for chunk in chunks])
    return pcm[:, None] if pcm.ndim == 1 else pcm


def assert_same(heard: Sequence[Chunk], alone: Sequence[PublishedChunk]) -> None:
    assert joined(heard).shape == joined(alone).shape
    np.testing.assert_allclose(joined(heard), joined(alone), rtol=0, atol=1e-5)


def streams_of(voice: Voice) -> int:
    """How many slots are taken."""
    return len(voice._worker._ensemble._generator.table._streams)  # type: ignore[union-attr]


async def freed(voice: Voice) -> bool:
    for _ in range(200):
        if not streams_of(voice):
            return True
        await asyncio.sleep(0.005)
    return False


@pytest.mark.parametrize("case", CASES)
def test_sessions_at_once_sound_as_the_speaker_alone(case: str) -> None:
    """Text in pieces, prompts prefilled beside the others' steps: to 1e-5 the same sound, and all slots free again."""
    speaker = speaker_of(case, capacity=ROWS)

    async def body() -> None:
        async with voice_of(case) as voice:
            assert (voice.sample_rate_hz, voice.channels) == (speaker.sample_rate_hz, speaker.channels)

            async def one(place: int, text: str) -> list[Chunk]:
                async with voice.session(sampling=seeded(place), published=CUT) as session:
                    chunks = await chunks_of(session, [text[:5], text[5:]])
                    assert session.stages.first_frame_s is not None
                    return chunks

            results = await asyncio.gather(*(one(*pair) for pair in enumerate(TEXTS)))
            assert await freed(voice)
            for place, (text, chunks) in enumerate(zip(TEXTS, results, strict=True)):
                assert_same(chunks, list(speaker.speak(text, seed=place, max_frames=LIMIT)))
                assert all(chunk.pcm.ndim == (1 if speaker.channels == 1 else 2) for chunk in chunks)

    run(body())


@pytest.mark.parametrize("case", ["local_v1.5", "realtime"])
def test_a_voice_wide_prompt_is_heard_in_every_session(case: str, tmp_path: Path) -> None:
    """That of a `.voice` file; a session may have another manner, and keeps the voice."""
    speaker, path = speaker_of(case, capacity=ROWS), tmp_path / "some.voice"
    voice_file = speaker.voice_of_codes(reference_codes(case))
    speaker.save_voice(voice_file, path)
    config = VoiceConfig(lead_s=(50.0, 60.0), queue_s=100.0, stream_rows=ROWS, max_sessions=2)

    async def body() -> None:
        async with Voice.load(speaking_path(case), config=config, prompt=path) as voice:
            async with voice.session(sampling=seeded(3), published=CUT) as session:
                chunks = await chunks_of(session, TEXTS[0])
            assert_same(chunks, list(speaker.speak(TEXTS[0], voice=voice_file, seed=3, max_frames=LIMIT)))

    run(body())


@pytest.mark.parametrize("case", ["delay_nvq8", "nano"])
def test_a_session_may_have_a_voice_of_its_own(case: str, tmp_path: Path) -> None:
    """Read while others may speak, cloned or gone on from; twice the same, and beside one without."""
    speaker, path = speaker_of(case, capacity=ROWS), tmp_path / "some.voice"
    made = speaker.voice_of_codes(reference_codes(case), transcript="Yes or no?")
    speaker.save_voice(made, path)

    async def body() -> None:
        async with voice_of(case) as voice:
            manner = PublishedManner(await voice.read_voice(path), max_frames=LIMIT)

            async def one(manner: PublishedManner) -> list[Chunk]:
                async with voice.session(sampling=seeded(3), published=manner) as session:
                    return await chunks_of(session, TEXTS[0])

            results = await asyncio.gather(one(manner), one(CUT), one(manner))
            for chunks, own in zip(results, (made, None, made), strict=True):
                assert_same(chunks, list(speaker.speak(TEXTS[0], voice=own, seed=3, max_frames=LIMIT)))
            with pytest.raises(InputError, match="goes with a recording"):
                await voice.read_voice(path, "Yes.")

    run(body())


def test_turns_of_a_session_go_on_from_each_other() -> None:
    """Two Realtime sessions at once: three turns each are those of a conversation, however their text comes."""
    speaker = speaker_of("realtime", slots=2, capacity=ROWS)

    async def body() -> None:
        async with voice_of("realtime") as voice:

            async def one(seed: int) -> list[list[Chunk]]:
                async with voice.session(sampling=seeded(seed), published=CUT) as session:
                    return [await chunks_of(session, text.split(" ") if seed else text) for text in TURNS]

            results = await asyncio.gather(one(0), one(1))
            assert await freed(voice)
        for seed, turns in enumerate(results):
            pieces = (lambda text: "".join(text.split(" "))) if seed else str
            with speaker.converse(seed=seed) as conversation:
                for text, chunks in zip(TURNS, turns, strict=True):
                    assert_same(chunks, list(conversation.speak(pieces(text), max_frames=LIMIT)))

    run(body())


@pytest.mark.parametrize("leaves", [False, True])
def test_a_barge_in_leaves_what_was_heard_in_the_context(leaves: bool) -> None:
    """The next turn is that of a conversation whose turn was stopped where its listener stopped listening, or left."""
    speaker = speaker_of("realtime", capacity=ROWS)

    async def body() -> list[Chunk]:
        async with voice_of("realtime") as voice:
            async with voice.session(sampling=seeded(4), published=PublishedManner(max_frames=60)) as session:
                await session.push_text(TURNS[0])
                await session.flush()
                stream = session.audio()
                for _ in range(3):
                    await anext(stream)
                session.report_played(0.2)
                if leaves:
                    await stream.aclose()
                else:
                    assert (await session.interrupt()).played_s == pytest.approx(0.2)
                    assert [chunk async for chunk in stream] == []
                return await chunks_of(session, TURNS[1])

    chunks = asyncio.run(body())
    with speaker.converse(seed=4) as conversation:
        list(conversation.speak(TURNS[0], max_frames=math.ceil(0.2 / 0.08) + 1))
        assert_same(chunks, list(conversation.speak(TURNS[1], max_frames=60)))


def test_a_turn_that_was_not_begun_leaves_nothing() -> None:
    """The next one is that of a conversation without it."""
    speaker = speaker_of("realtime", capacity=ROWS)

    async def body() -> list[Chunk]:
        async with voice_of("realtime") as voice, voice.session(sampling=seeded(4), published=CUT) as session:
            await session.push_text(TURNS[0])
            await session.interrupt()
            return await chunks_of(session, TURNS[1])

    chunks = asyncio.run(body())
    with speaker.converse(seed=4) as conversation:
        assert_same(chunks, list(conversation.speak(TURNS[1], max_frames=LIMIT)))


def test_a_writer_that_never_comes_back_has_said_what_was_spoken() -> None:
    """A starved turn ends where its text did, and the next goes on from there."""

    async def body() -> None:
        async with voice_of("realtime", limits=Limits(starved_s=0.2)) as voice:
            async with voice.session(sampling=seeded(4), published=PublishedManner(max_frames=60)) as session:
                await session.push_text(TURNS[0])
                early = [chunk async for chunk in session.audio()]
                assert early
                assert session.state is State.IDLE
                spoken = round(len(joined(early)) / (0.08 * voice.sample_rate_hz))
                chunks = await chunks_of(session, TURNS[1])
        with speaker_of("realtime", capacity=ROWS).converse(seed=4) as conversation:
            list(conversation.speak(TURNS[0], max_frames=spoken))
            assert_same(chunks, list(conversation.speak(TURNS[1], max_frames=60)))

    run(body())


@pytest.mark.parametrize("case", CASES)
def test_interrupts_and_closes_at_any_time_free_the_slots(case: str) -> None:
    """Before the prompt is known, while it is prefilled, while it is spoken; who stays sounds as alone."""

    async def body() -> None:
        async with voice_of(case) as voice:

            async def leaver(rounds: int, closes: bool) -> None:
                async with voice.session(sampling=seeded(9)) as session:
                    await session.push_text(TEXTS[2])
                    await session.flush()
                    reader = asyncio.create_task(_drain(session))
                    await asyncio.sleep(0.002 * rounds)
                    await (session.aclose() if closes else session.interrupt())
                    await reader

            async def stayer() -> list[Chunk]:
                async with voice.session(sampling=seeded(0), published=CUT) as session:
                    return await chunks_of(session, TEXTS[0])

            leavers = [leaver(rounds, closes) for rounds in (0, 3) for closes in (False, True)]
            async with asyncio.TaskGroup() as group:
                stays = group.create_task(stayer())
                for each in leavers:
                    group.create_task(each)
            chunks = stays.result()
            assert await freed(voice)
            assert_same(chunks, list(speaker_of(case, capacity=ROWS).speak(TEXTS[0], seed=0, max_frames=LIMIT)))

    run(body())


async def _drain(session: Session) -> None:
    async for _ in session.audio():
        pass


@pytest.mark.parametrize("case", PROMPTED)
def test_one_that_fails_does_not_touch_the_others(case: str) -> None:
    """A text that is too long for the memory is told by its own `audio`, and its session goes on."""

    async def body() -> None:
        async with voice_of(case, stream_rows=500) as voice:
            speaker = speaker_of(case, capacity=500)
            async with (
                voice.session(sampling=seeded(0), published=CUT) as one,
                voice.session(published=CUT) as other,
            ):
                results = await asyncio.gather(
                    chunks_of(one, TEXTS[0]), chunks_of(other, "One two three. " * 300), return_exceptions=True
                )
                assert isinstance(results[1], ExceptionGroup | CapacityError)
                assert not isinstance(results[0], BaseException)
                assert_same(results[0], list(speaker.speak(TEXTS[0], seed=0, max_frames=LIMIT)))
                assert other.state is State.IDLE
                await chunks_of(other, TEXTS[3])

    run(body())


def test_text_that_cannot_be_spoken_fails_its_own_utterance_only() -> None:
    """Half a surrogate pair, which a stream of JSON may cut, is told by its `audio`; others of that round go on."""
    speaker = speaker_of("realtime", capacity=ROWS)

    async def body() -> None:
        async with (
            voice_of("realtime") as voice,
            voice.session(sampling=seeded(0), published=CUT) as one,
            voice.session(published=CUT) as other,
        ):
            await one.push_text(TEXTS[0])
            await other.push_text("Hello \ud83d there.")
            await one.flush()
            await other.flush()
            with pytest.raises(InputError, match="surrogate"):
                assert [chunk async for chunk in other.audio()]
            chunks = [chunk async for chunk in one.audio()]
            assert_same(chunks, list(speaker.speak(TEXTS[0], seed=0, max_frames=LIMIT)))
            await chunks_of(other, TEXTS[3])

    run(body())


def worker_of(case: str, slots: int = 2) -> tuple[PublishedWorker, CostMeter]:
    worker = PublishedWorker.opener(speaking_path(case), slots, memory=PublishedMemory(rows=ROWS))()
    assert isinstance(worker, PublishedWorker)
    return worker, CostMeter()


def worked(worker: PublishedWorker, meter: CostMeter, **order: Any) -> Report:
    return worker.work(Order(**order), meter)


@pytest.mark.parametrize("case", CASES)
def test_a_round_feeds_no_more_of_a_prompt_than_it_is_told(case: str) -> None:
    """The rows left are told with the first step that knows the prompt; what is prefilled is counted and measured."""
    worker, meter = worker_of(case)
    spec = UtteranceSpec(seeded(1), published=CUT)
    step = [StepOrder(0, worker.depth, 1, 0.0)]
    (told,) = worked(worker, meter, open=[(0, spec)], text=[(0, TEXTS[0])], prefill=[(0, 1)], step=step).results
    if case != "realtime":
        assert (told.advance, told.rows_left) == (Advance.PARKED, 0)
        (told,) = worked(worker, meter, finish=[0], step=step).results
    assert told.advance is Advance.SPOKEN
    assert told.rows_left > 3
    left, table = told.rows_left, worker._ensemble._generator.table
    (stream,) = table._streams
    while left:
        before = table.fed(stream)
        report = worked(worker, meter, prefill=[(0, 3)])
        assert report.results == []
        assert report.prefill_s > 0
        assert table.fed(stream) - before == min(3, left)
        left -= min(3, left)
    if case == "realtime":
        worked(worker, meter, finish=[0])
    (result,) = worked(worker, meter, step=step).results
    assert (result.advance, result.rows_left) == (Advance.SPOKEN, 0)


@pytest.mark.parametrize("case", CASES)
def test_a_long_prompt_does_not_keep_others_from_speaking(case: str) -> None:
    """It is fed a few rows a round, and the rounds that do that step the others, too."""
    worker, _ = worker_of(case)
    orders: list[Order] = []

    def noted(order: Order, meter: CostMeter) -> Report:
        orders.append(order)
        return PublishedWorker.work(worker, order, meter)

    worker.work = noted  # type: ignore[method-assign]
    config = VoiceConfig(lead_s=(50.0, 60.0), queue_s=100.0, planner=PlannerConfig(prefill_rows=5))

    async def body() -> None:
        async with Voice.load(open_worker=lambda: worker, config=config) as voice:
            async with voice.session(sampling=seeded(0), published=CUT) as early, voice.session(published=CUT) as late:
                for session, text in ((early, TEXTS[3]), (late, "One two three. " * 20)):
                    await session.push_text(text)
                    await session.flush()
                await asyncio.gather(_drain(early), _drain(late))

    run(body())
    assert max(sum(rows for _, rows in order.prefill) for order in orders) == 5
    together = [order for order in orders if {key for key, _ in order.prefill} == {1} and order.step]
    assert any(step.key == 0 for order in together for step in order.step)


@pytest.mark.parametrize("case", CASES)
def test_warm_up_measures_every_kind_of_work(case: str) -> None:
    """So that capacity is known before anybody speaks; all slots are free afterwards."""
    worker, meter = worker_of(case, slots=4)
    worker.warm_up(meter)
    model = meter.model()
    assert model.depths == worker._ensemble.depths
    assert model.depths[-1] == worker.depth
    assert all(line.seconds(2) > 0 for line in (*model.step.values(), model.decode, model.prefill))
    assert not worker._ensemble._generator.table._streams


def test_memory_limits_how_many_are_served() -> None:
    """By the bytes of a row's keys and values; one is served whatever there is."""
    bundle = PublishedBundle.load(speaking_path("nano"))
    spec = bundle.generator_info.backbone
    row = 2 * spec.layers * spec.kv_heads * spec.head_dim * 4
    assert PublishedMemory(100, 3.5 * 100 * row / 2**30).slots(bundle, 9) == 3
    assert PublishedMemory(100, 1.0).slots(bundle, 9) == 9
    assert PublishedMemory(100, 1e-9).slots(bundle, 9) == 1
    for wrong in ((0, 1.0), (100, 0.0)):
        with pytest.raises(InputError, match="memory must be some rows and GiB"):
            PublishedMemory(*wrong)

    async def body() -> None:
        async with voice_of("nano", stream_rows=200, memory_gib=1.5 * 200 * row / 2**30) as voice:
            assert voice.capacity() == 1
            async with voice.session():
                with pytest.raises(CapacityError, match="1 sessions are open"):
                    async with voice.session():
                        pass

    run(body())


def test_what_a_published_voice_cannot_do_is_refused_at_once() -> None:
    """Sampling of the other kind of voice, a warm-up ramp, a depth that has no head; and the other way round."""

    async def body() -> None:
        async with voice_of("nano") as voice:
            with pytest.raises(InputError, match="takes the seed only"):
                voice.session(sampling=SamplingParams(temperature=0.5))
            with pytest.raises(InputError, match="no warm-up ramp"):
                voice.session(warm_up=WarmUp(1))
            with pytest.raises(InputError, match="a rate of its own"):
                voice.session(rate=1.2)
            voice.session(rate=1)
            with pytest.raises(InputError, match="depth must be one of"):
                voice.session(depth=99)
        async with Voice.load() as voice:
            with pytest.raises(InputError, match="does not fit this project's own voice"):
                voice.session(published=CUT)
            with pytest.raises(InputError, match=r"cannot sound like x\.voice"):
                await voice.read_voice(Path("x.voice"))

    run(body())
    with pytest.raises(InputError, match="only a published checkpoint takes a prompt"):
        Voice.load(prompt=Path("x.voice"))
