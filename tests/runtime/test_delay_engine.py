from typing import Any

import numpy as np
import pytest
from history_model import BOOKS, ModelStream
from numpy.typing import NDArray
from sampling_reference import draw_channel, draw_code
from tiny_bundle import TINY_DELAY, random_generator_weights

from voicestack.onnx_export.graph_writer import rounded
from voicestack.runtime import Bundle, Engine, Event, SamplingParams, Stream, StreamSpec
from voicestack.runtime.cue_clock import CueClock
from voicestack.runtime.cued_feed import CuedFeed
from voicestack.runtime.guard import frame_cap
from voicestack.runtime.names import END, PENALTY_WINDOW, control_id
from voicestack.runtime.sampling import head_settings, uniforms
from voicestack.runtime.text.phones import NO_TOKEN, Token, word_tokens

N_VQ, NULL, PREFIX = 32, 1024, 4
HELLO: list[Token] = word_tokens("HH AH0 L OW1".split())
WORLD: list[Token] = word_tokens("W ER1 L D".split())
LONG = [*HELLO, *WORLD] * 3
WEIGHTS = rounded(random_generator_weights(TINY_DELAY))
Ints = NDArray[np.int64]
CASES = [(0, 32, None), (1, 32, 20), (2, 16, None), (3, 8, 30), (4, 8, None)]


def begin(engine: Engine, seed: int, depth: int = 32, target: int | None = None, tokens: list[Token] = LONG) -> Stream:
    stream = engine.admit(StreamSpec(SamplingParams(seed=seed), depth, target))
    stream.feed.push(tokens)
    stream.feed.finish()
    return stream


def stacks_of(stream: Stream) -> list[list[int]]:
    assert stream.line is not None
    stacks: list[list[int]] = stream.line.stacks(0, stream.line.frames).tolist()
    return stacks


def events_of(engine: Engine, stream: Stream, steps: int = 400) -> list[Event]:
    return [result.event for _ in range(steps) for result in engine.step([stream])]


def plain(bundle: Bundle, seed: int, depth: int, target: int | None) -> list[list[int]]:
    """What a delay voice says, written down frame by frame and layer by layer: stacks [frames, n_vq]."""
    settings = head_settings(SamplingParams(seed=seed), bundle.manifest.sampling, depth)
    draws, model = np.random.Generator(np.random.PCG64(seed)), ModelStream()
    feed = CuedFeed(target, bundle.manifest.text.frames_per_token, bundle.manifest.text.tail_frames)
    feed.push(LONG)
    feed.finish()
    said: dict[tuple[int, int], int] = {}
    foreseen: list[NDArray[np.float32]] = []
    rows = [np.array(ids) for ids in feed.rows()]
    total: int | None = None
    step = 0
    while total is None or step <= total + depth - 2:
        column = [said.get((step - 1 - layer, layer), NULL) for layer in range(N_VQ)]
        for row in rows:
            model.append(row, np.array(column))
        drawn, hidden = uniforms(draws, N_VQ), model.hidden.astype(np.float32)
        if total is None:
            cue = WEIGHTS["channel_out.weight"] @ hidden + WEIGHTS["channel_out.bias"]
            channel = draw_channel(cue, feed.channel_bias, drawn[0], settings)
            feed.heed(channel)
            total = step if channel == END else None
        foreseen.append(WEIGHTS["latent_out.weight"] @ hidden + WEIGHTS["latent_out.bias"])
        for layer in range(depth):
            frame = step - layer
            if 0 <= frame and (total is None or frame < total):
                before = [said.get((t, layer), NULL) for t in range(max(frame - PENALTY_WINDOW, 0), frame)]
                left = foreseen[frame] - sum(BOOKS[above, said[frame, above]] for above in range(layer))
                narrow = hidden @ WEIGHTS["delay_out"][layer] + left @ WEIGHTS["delay_residual"][layer]
                logits = BOOKS[layer, :-1] @ narrow + WEIGHTS["delay_bias"][layer]
                said[frame, layer] = draw_code(
                    logits.astype(np.float32), np.array(before, int), layer, drawn[1 + layer], settings
                )
        step += 1
        if total is None:
            rows = [np.array(feed.rows()[0])]
        else:
            clock: CueClock = feed._clock  # pyright: ignore[reportPrivateUsage]
            rows = [np.array([*NO_TOKEN, control_id(0 if target else None), *clock.timing(step)])]
    return [[said.get((frame, layer), NULL) for layer in range(N_VQ)] for frame in range(total)]


@pytest.fixture(scope="module")
def alone(tiny_delay: Bundle) -> dict[int, list[list[int]]]:
    """The stacks of each case, made by an engine with one slot."""
    said: dict[int, list[list[int]]] = {}
    for seed, depth, target in CASES:
        engine = Engine(tiny_delay, slots=1)
        stream = begin(engine, seed, depth, target)
        events_of(engine, stream)
        said[seed] = stacks_of(stream)
    return said


@pytest.mark.parametrize(("seed", "depth", "target"), CASES)
def test_a_stream_says_what_the_plain_rule_says(
    tiny_delay: Bundle, alone: dict[int, list[list[int]]], seed: int, depth: int, target: int | None
) -> None:
    """Rows, cues, live layers, windows and flush are those of a reference in numpy, for streams of any depth."""
    expected = plain(tiny_delay, seed, depth, target)
    assert len(expected) > 5
    assert alone[seed] == expected
    assert all(code < NULL for stack in expected for code in stack[:depth])
    assert all(code == NULL for stack in expected for code in stack[depth:])


def test_streams_of_mixed_depth_in_a_batch_are_as_alone(tiny_delay: Bundle, alone: dict[int, list[list[int]]]) -> None:
    """Streams of several depths that join one after another, are left out at times and flush while others speak."""
    engine, draw = Engine(tiny_delay, slots=8), np.random.default_rng(0)
    streams: dict[int, Stream] = {}
    waiting = list(CASES)
    for step in range(900):
        if waiting and step % 7 == 0:
            seed, depth, target = waiting.pop(0)
            streams[seed] = begin(engine, seed, depth, target)
        engine.step([stream for stream in streams.values() if draw.random() < 0.5])
    assert all(stream.done for stream in streams.values())
    assert {seed: stacks_of(stream) for seed, stream in streams.items()} == alone


def test_a_draw_that_breaks_off_can_be_repeated(
    tiny_delay: Bundle, alone: dict[int, list[list[int]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the second half of a batch cannot be drawn all are drawn again, one by one, as if nothing had been."""
    engine = Engine(tiny_delay, slots=8)
    streams = [begin(engine, 0) for _ in range(8)]
    session = tiny_delay.head(32)
    runs, run = iter(range(10_000)), session.run

    def breaking(binding: Any) -> None:
        # Two calls a step: the twelfth is the second half of the sixth batch.
        if next(runs) == 11:
            raise RuntimeError("no memory")
        run(binding)

    monkeypatch.setattr(session, "run", breaking)
    while not all(stream.done for stream in streams):
        assert all(result.event is not Event.FAILED for result in engine.step())
    assert [stacks_of(stream) for stream in streams] == [alone[0]] * 8


def test_a_parked_staircase_waits(tiny_delay: Bundle, alone: dict[int, list[list[int]]]) -> None:
    """While text is missing no row is made and no frame gets deeper; afterwards all is as if it had been there."""
    engine = Engine(tiny_delay, slots=1)
    stream = engine.admit(StreamSpec(SamplingParams(seed=0)))
    stream.feed.push(LONG[:5])
    while engine.step()[0].event is not Event.PARKED:
        pass
    assert stream.line is not None
    before = stream.line.steps
    assert [result.codes for _ in range(9) for result in engine.step()] == [None] * 9
    assert stream.line.steps == before
    assert [stream.line.depth_of(frame) for frame in range(before)] == [before - frame for frame in range(before)]
    stream.feed.push(LONG[5:])
    stream.feed.finish()
    events_of(engine, stream)
    assert stacks_of(stream) == alone[0]


@pytest.mark.parametrize(("seed", "depth", "target"), CASES)
def test_the_flush_takes_depth_minus_one_steps(
    tiny_delay: Bundle, alone: dict[int, list[list[int]]], seed: int, depth: int, target: int | None
) -> None:
    """One SPOKEN step a frame, then steps that only deepen, and the end with the last code."""
    engine = Engine(tiny_delay, slots=1)
    stream = begin(engine, seed, depth, target)
    events = events_of(engine, stream)
    assert events == [Event.SPOKEN] * len(alone[seed]) + [Event.DEEPENED] * (depth - 2) + [Event.ENDED]


def test_results_tell_what_was_drawn(tiny_delay: Bundle, alone: dict[int, list[list[int]]]) -> None:
    """The codes of the results, put side by side, are the delayed stacks."""
    engine = Engine(tiny_delay, slots=1)
    begin(engine, 2, 16)
    columns = [result.codes.tolist() for _ in range(400) for result in engine.step() if result.codes is not None]
    stacks = alone[2]
    assert columns == [
        [stacks[step - layer][layer] if 0 <= step - layer < len(stacks) else NULL for layer in range(16)]
        for step in range(len(stacks) + 15)
    ]


def test_a_runaway_leaves_its_staircase(tiny_delay: Bundle) -> None:
    """A stream that is CAPPED ends at once: its last frames are as deep as they were, the newest at one layer."""
    engine = Engine(tiny_delay, slots=1)
    stream = engine.admit(StreamSpec(SamplingParams(seed=9), 8, target_frames=4))
    stream.feed.push(LONG * 20)
    events = events_of(engine, stream)
    frames = frame_cap(0, 4, tiny_delay.manifest.text)
    assert events == [Event.SPOKEN] * frames + [Event.CAPPED]
    assert stream.done
    assert stream.line is not None
    assert [stream.line.depth_of(frame) for frame in range(frames)] == [
        min(8, frames - frame) for frame in range(frames)
    ]


def test_a_flush_without_room_ends(tiny_delay: Bundle, alone: dict[int, list[list[int]]]) -> None:
    """When the cache is full after the speech but before the last layers, the stream ENDED, with those missing."""
    frames = len(alone[0])
    # The prefix yields frame 0, and row PREFIX - 1 + T the END; there is room for four steps more.
    engine = Engine(tiny_delay, slots=1, capacity=PREFIX + frames + 4)
    stream = begin(engine, 0)
    assert events_of(engine, stream) == [Event.SPOKEN] * frames + [Event.DEEPENED] * 5 + [Event.ENDED]
    assert stream.done
    assert stream.line is not None
    assert [stream.line.depth_of(frame) for frame in range(frames)] == [
        min(32, frames + 5 - frame) for frame in range(frames)
    ]
    assert [stack[:5] for stack in stacks_of(stream)] == [stack[:5] for stack in alone[0]]


def test_a_flushing_stream_can_be_released(tiny_delay: Bundle) -> None:
    """A listener who leaves during the flush frees the slot at once."""
    engine = Engine(tiny_delay, slots=1)
    stream = begin(engine, 0)
    while not stream.flushing:
        engine.step()
    engine.release(stream)
    assert engine.step([stream]) == []
    begin(engine, 1)
