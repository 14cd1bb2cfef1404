"""A delay voice speaking: its ramp under a clock that tests turn, and what of it the ramp must not touch."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime import (
    Bundle,
    Chunk,
    Engine,
    Event,
    InputError,
    SamplingParams,
    Speaker,
    StepResult,
    Stream,
    WarmUp,
)
from voicestack.runtime.codec import CodecState
from voicestack.runtime.warm_up import DEFAULT_WARM_UP

TEXT = "Hello there world. The cat sat on the mat, yes."
SEED = SamplingParams(seed=1)
RATE, FRAME, NULL = 24_000, 1920, 1024
Codes = NDArray[np.int64]


@dataclass
class Bench:
    """A speaker whose steps and decoder calls take as long as a test says, and what it gave the decoder."""

    bundle: Bundle
    step_s: float = 0.004
    decode_s: float = 0.007
    now_s: float = 100.0
    decoded: list[Codes] = field(default_factory=list)
    lines: list[Codes] = field(default_factory=list)
    targets: list[int | None] = field(default_factory=list)
    speaker: Speaker = field(init=False)

    def __post_init__(self) -> None:
        self.speaker = Speaker(self.bundle, clock=lambda: self.now_s)
        engine, codec = self.speaker._engine, self.speaker._studio.codec  # pyright: ignore[reportPrivateUsage]
        self._step, self._decode, self._release = engine.step, codec.decode, engine.release
        self.engine: Engine = engine
        engine.step = self.step  # type: ignore[method-assign]
        engine.release = self.release  # type: ignore[method-assign]
        codec.decode = self.decode  # type: ignore[method-assign]

    def step(self, streams: Sequence[Stream] | None = None) -> list[StepResult]:
        self.now_s += self.step_s
        return self._step(streams)

    def decode(self, pieces: Sequence[tuple[CodecState, Codes]]) -> list[NDArray[np.float32]]:
        self.now_s += self.decode_s
        self.decoded.append(pieces[0][1].copy())
        return self._decode(pieces)

    def release(self, stream: Stream) -> None:
        if stream.line is not None:
            self.targets.append(stream.spec.target_frames)
            self.lines.append(stream.line.stacks(0, stream.line.frames))
        self._release(stream)


@pytest.fixture(scope="module")
def whole(tiny_delay: Bundle) -> list[Codes]:
    """The full stacks of every sentence, [frames, 32] each."""
    bench = Bench(tiny_delay)
    list(bench.speaker.speak(TEXT, sampling=SEED, warm_up=WarmUp(32, 32)))
    return bench.lines


@settings(max_examples=25)
@given(
    first=st.integers(1, 32),
    step_s=st.floats(0.001, 0.2),
    decode_s=st.floats(0.001, 0.05),
    pauses=st.lists(st.floats(0, 0.5), max_size=20),
    cuts=st.lists(st.integers(0, len(TEXT)), max_size=5),
)
def test_any_timing_says_the_same_as_deep_as_told(
    tiny_delay: Bundle,
    whole: list[Codes],
    first: int,
    step_s: float,
    decode_s: float,
    pauses: list[float],
    cuts: list[int],
) -> None:
    """Whatever machine, listener and writer do, the codes are those of full stacks, cut to the depths that are told."""
    bench = Bench(tiny_delay, step_s, decode_s)
    edges = [0, *sorted(cuts), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    depths: list[int] = []
    samples = 0
    waits = iter(pauses)
    for chunk in bench.speaker.speak(iter(pieces), sampling=SEED, warm_up=WarmUp(first, 1)):
        depths += chunk.depths
        samples += len(chunk.pcm)
        bench.now_s += next(waits, 0.0)
    stacks = np.concatenate(whole)
    np.testing.assert_array_equal(np.concatenate(bench.lines), stacks)
    played = np.concatenate(bench.decoded)
    assert len(played) == len(depths) == len(stacks) == samples / FRAME
    for frame, depth in enumerate(depths):
        assert 1 <= depth <= 32
        np.testing.assert_array_equal(played[frame, :depth], stacks[frame, :depth])
        assert (played[frame, depth:] == NULL).all()
    assert depths[0] == first


def test_depth_rises_while_the_lead_grows(tiny_delay: Bundle) -> None:
    """On a machine as fast as usual, three layers begin, the second frame has most, and the third all of them."""
    bench = Bench(tiny_delay)
    depths = [depth for chunk in bench.speaker.speak(TEXT, sampling=SEED) for depth in chunk.depths]
    assert depths[0] == DEFAULT_WARM_UP.first_depth
    # 50 ms of sound (the decoder holds back 30) less 11 ms to come and 20 of guard leave room for few steps.
    assert depths[:4] == sorted(depths[:4])
    assert set(depths[6:]) == {32}


def test_the_first_chunk_costs_first_depth_steps(tiny_delay: Bundle) -> None:
    """Time to the first byte is that many steps and one decoder call."""
    for first in (1, 2, 8, 32):
        bench = Bench(tiny_delay)
        next(bench.speaker.speak(TEXT, sampling=SEED, warm_up=WarmUp(first)))
        assert bench.now_s == pytest.approx(100 + first * 0.004 + 0.007)


@pytest.mark.parametrize("first", [1, 3, 32])
@pytest.mark.parametrize("step_s", [0.001, 0.005, 0.01])
def test_a_listener_never_runs_dry(tiny_delay: Bundle, first: int, step_s: float) -> None:
    """Every chunk is there before those before it have been heard, from the first one on, over both sentences."""
    bench = Bench(tiny_delay, step_s)
    heard_until = None
    for chunk in bench.speaker.speak(TEXT, sampling=SEED, warm_up=WarmUp(first)):
        if heard_until is None:
            heard_until = bench.now_s
        assert bench.now_s <= heard_until
        heard_until += len(chunk.pcm) / RATE


def written(bench: Bench, pauses: Sequence[float]) -> Iterator[str]:
    """The text in pieces, each of which took so long to write."""
    pieces = ["Hello there", " world the cat", " sat on the", " mat yes no good", " morning."]
    for piece, pause in zip(pieces, pauses, strict=True):
        bench.now_s += pause
        yield piece


def test_a_long_wait_finds_nothing_kept_back(tiny_delay: Bundle) -> None:
    """Before text that may take seconds is waited for, all frames are given out as they are."""
    bench = Bench(tiny_delay)
    chunks = list(bench.speaker.speak(written(bench, [0, 2, 2, 2, 2]), sampling=SEED))
    parked = [place for place, chunk in enumerate(chunks) if chunk.event is Event.PARKED]
    assert parked
    for place in parked:
        made = chunks[place].depths[-1] if chunks[place].depths else 1
        assert made == 1
    assert sum(len(chunk.depths) for chunk in chunks) == sum(len(line) for line in bench.lines)


def test_a_short_wait_does_not_cost_depth(tiny_delay: Bundle) -> None:
    """Where text was seen to come quickly and the lead is long, the staircase is kept over a wait."""
    bench = Bench(tiny_delay)
    quick = list(bench.speaker.speak(written(bench, [0.02] * 5), sampling=SEED))
    parked = [chunk for chunk in quick if chunk.event is Event.PARKED]
    assert parked
    depths = [depth for chunk in quick for depth in chunk.depths]
    assert sum(depth < 32 for depth in depths) <= 4


def test_first_sound_waits_for_its_layers_over_a_pause(tiny_delay: Bundle) -> None:
    """A sentence that parks before its first frame has first_depth layers says so without sound, and goes on later."""
    bench = Bench(tiny_delay)
    chunks = list(bench.speaker.speak(written(bench, [0] * 5), sampling=SEED, warm_up=WarmUp(32)))
    first = next(place for place, chunk in enumerate(chunks) if len(chunk.pcm))
    assert chunks[first].depths == (32,)
    assert all(chunk.event is Event.PARKED for chunk in chunks[:first])
    assert first > 0


def test_every_word_is_told_once_with_its_sound(tiny_delay: Bundle) -> None:
    """Words come in order, in the chunk in which they begin, also while the last frames gain their layers."""
    chunks = list(Bench(tiny_delay).speaker.speak(TEXT, sampling=SEED))
    assert [
        word.text for chunk in chunks for word in chunk.words
    ] == "Hello there world The cat sat on the mat yes".split()
    for chunk in chunks:
        end_s = chunk.start_s + len(chunk.pcm) / RATE
        assert all(word.start_s < end_s for word in chunk.words)
        if chunk.event is Event.SPOKEN:
            assert all(chunk.start_s - 0.03 <= word.start_s for word in chunk.words)
    assert {chunk.event for chunk in chunks} <= {Event.SPOKEN, Event.ENDED, Event.CAPPED}


def test_a_runaway_plays_what_is_in_its_staircase(tiny_delay: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is cut off gives out its last frames, each as deep as it came, and goes on with the words left."""
    bench = Bench(tiny_delay)
    monkeypatch.setattr("voicestack.runtime.engine.frame_cap", lambda tokens, target, text: 12)
    chunks: list[Chunk] = []
    for chunk in bench.speaker.speak("Hello there world good morning the cat sat", sampling=SEED):
        chunks.append(chunk)
        if len(chunks) > 30:
            break
    capped = next(place for place, chunk in enumerate(chunks) if chunk.event is Event.CAPPED)
    depths = [depth for chunk in chunks[: capped + 1] for depth in chunk.depths]
    assert len(depths) == 12
    assert depths[-3:] == [3, 2, 1]


def test_a_shallow_stream_is_whole_at_its_own_depth(tiny_delay: Bundle) -> None:
    """At depth 8 a warm-up of more layers waits for 8."""
    chunks = list(Bench(tiny_delay).speaker.speak(TEXT, sampling=SEED, depth=8, warm_up=WarmUp(32, 16)))
    assert {depth for chunk in chunks for depth in chunk.depths} == {8}


def test_a_local_voice_has_no_warm_up(tiny: Bundle) -> None:
    """Asking one for a ramp is an InputError at once, and its chunks tell the one depth they have."""
    speaker = Speaker(tiny)
    with pytest.raises(InputError, match="warm_up is for voices with a delay head; tiny has a local head"):
        speaker.speak(TEXT, warm_up=WarmUp(1))
    chunk = next(speaker.speak(TEXT, sampling=SEED, depth=16))
    assert chunk.depths == (16,)


def test_a_delay_voice_can_be_prepared(tiny_delay: Bundle) -> None:
    """A prepared speaker says what any other says."""
    prepared = Bench(tiny_delay)
    prepared.speaker.prepare()
    prepared.now_s = 100.0
    one, other = (
        np.concatenate([chunk.pcm for chunk in bench.speaker.speak(TEXT, sampling=SEED, warm_up=WarmUp(32, 32))])
        for bench in (prepared, Bench(tiny_delay))
    )
    np.testing.assert_array_equal(one, other)


def test_a_length_can_be_asked_for(tiny_delay: Bundle) -> None:
    """With a length every sentence has its share of it, and is followed by the next after its flush."""
    bench = Bench(tiny_delay)
    list(bench.speaker.speak(TEXT, sampling=SEED, seconds=4.0))
    assert len(bench.targets) == 2
    assert sum(target or 0 for target in bench.targets) == 50
