import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from history_model import CONFIG, NULL, ModelStream
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicestack.runtime import Bundle, Engine, Event, SamplingParams, Stream, StreamSpec
from voicestack.runtime import history_rows as rows_module
from voicestack.runtime.history import HistoryPolicy
from voicestack.runtime.kv_cache import KVCache
from voicestack.runtime.text.phones import word_tokens

TOKENS = [*word_tokens("HH AH0 L OW1".split()), *word_tokens("W ER1 L D".split())]
BLOCK = rows_module.BLOCK_ROWS
SHORT = HistoryPolicy(((4, 32), (4, 3)))
EDGE = 100
PREFIX = 4


def begin(engine: Engine, policy: HistoryPolicy, seed: int = 0, depth: int = 8) -> Stream:
    """A stream that has text for hours, and cannot end."""
    stream = engine.admit(StreamSpec(SamplingParams(seed=seed), depth, target_frames=5000, history=policy))
    stream.feed.push(TOKENS * 400)
    return stream


def codes_of(engine: Engine, stream: Stream, steps: int, between: Callable[[], object] = lambda: None) -> list[object]:
    """What one stream says in so many steps of all streams."""
    said: list[object] = []
    for _ in range(steps):
        said += [(r.event, None if r.codes is None else r.codes.tolist()) for r in engine.step() if r.stream is stream]
        between()
    return said


def cache_of(engine: Engine) -> KVCache:
    return engine._cache


def test_the_full_policy_is_what_no_policy_is(tiny: Bundle) -> None:
    """With the full policy codes and cache are bit for bit those of a stream without one, maintained or not."""
    plain, full = Engine(tiny, slots=1), Engine(tiny, slots=1)
    one = plain.admit(StreamSpec(SamplingParams(seed=3), 8))
    other = full.admit(StreamSpec(SamplingParams(seed=3), 8, history=HistoryPolicy.full()))
    for stream in (one, other):
        stream.feed.push(TOKENS * 20)
    assert codes_of(plain, one, 120) == codes_of(full, other, 120, full.maintain)
    assert not full.maintain()
    caches = [(*cache_of(engine).keys, *cache_of(engine).values) for engine in (plain, full)]
    assert all(np.array_equal(left, right) for left, right in zip(*caches, strict=True))


@pytest.mark.parametrize("bands", ["1000:32", "4:32,inf:8", "4:32,4:16,inf:8"])
def test_bands_that_take_nothing_from_a_shallow_stream_change_nothing(tiny: Bundle, bands: str) -> None:
    """A stream of depth 8 does not notice bands of depth 8 and more, and has no work for them."""
    engine, plain = Engine(tiny, slots=1), Engine(tiny, slots=1)
    stream, other = begin(engine, HistoryPolicy.parse(bands)), begin(plain, HistoryPolicy.full())
    assert codes_of(engine, stream, 150, engine.maintain) == codes_of(plain, other, 150)
    assert not engine.maintain()


def test_steps_never_maintain(tiny: Bundle) -> None:
    """Without `maintain` a stream with any policy says what one without says, and grows as that does."""
    engine, plain = Engine(tiny, slots=1), Engine(tiny, slots=1)
    stream, other = begin(engine, SHORT), begin(plain, HistoryPolicy.full())
    assert codes_of(engine, stream, 250) == codes_of(plain, other, 250)
    assert cache_of(engine).lengths == cache_of(plain).lengths == [PREFIX + 249]


def test_rows_in_use_stay_bounded(tiny: Bundle) -> None:
    """Over thousands of frames a maintained stream never has more rows than its bands, its prefix and a block."""
    most = PREFIX + EDGE + BLOCK
    engine = Engine(tiny, slots=1, capacity=most)
    stream = begin(engine, SHORT)
    longest = 0
    for _ in range(2000):
        (result,) = engine.step()
        assert result.event is Event.SPOKEN
        while engine.maintain():
            pass
        longest = max(longest, cache_of(engine).lengths[0])
    assert stream.feed.frames == 2000
    assert longest < most


def test_one_call_ages_one_block(tiny: Bundle) -> None:
    """Work that has piled up is done a block a call, for the most overdue stream first, until none is left."""
    engine = Engine(tiny, slots=2)
    early = begin(engine, SHORT, seed=1)
    codes_of(engine, early, 40)
    begin(engine, SHORT, seed=2)
    codes_of(engine, early, 200)
    lengths = cache_of(engine).lengths
    before, calls = list(lengths), 0
    assert before == [PREFIX + 239, PREFIX + 199]
    assert engine.maintain()
    assert lengths == [before[0] - BLOCK, before[1]]
    while engine.maintain():
        calls += 1
    # 239 rows behind the prefix: 5 blocks dropped, 2 aged. 199: 3 dropped, 2 aged. One call was made, one ends it.
    assert calls == 5 + 2 + 3 + 2 - 2
    assert lengths == [before[0] - 5 * BLOCK, before[1] - 3 * BLOCK]


def test_other_streams_do_not_notice(tiny: Bundle) -> None:
    """A stream without a policy says, beside maintained ones, bit for bit what it says alone."""
    alone, engine = Engine(tiny, slots=1), Engine(tiny, slots=3)
    expected = codes_of(alone, begin(alone, HistoryPolicy.full(), seed=7), 300)
    begin(engine, SHORT, seed=1)
    stream = begin(engine, HistoryPolicy.full(), seed=7)
    begin(engine, HistoryPolicy(((2, 8), (2, 1))), seed=2, depth=32)
    assert codes_of(engine, stream, 300, engine.maintain) == expected
    cache, other = cache_of(engine), cache_of(alone)
    length = cache.lengths[1]
    for buffer, expected_buffer in zip((*cache.keys, *cache.values), (*other.keys, *other.values), strict=True):
        assert np.array_equal(buffer[1, :, :length], expected_buffer[0, :, :length])


def test_maintenance_goes_on_where_a_stream_moves(tiny: Bundle) -> None:
    """A stream that takes a released one's slot amid its maintenance says what it says when it never moves."""
    alone, engine = Engine(tiny, slots=1), Engine(tiny, slots=2)
    still = begin(alone, SHORT, seed=5)
    leaving, moving = begin(engine, SHORT, seed=1), begin(engine, SHORT, seed=5)
    assert codes_of(engine, moving, 180) == codes_of(alone, still, 180)
    # Both streams are equally late, so the first of them is served first: four calls are two for each.
    for _ in range(4):
        engine.maintain()
    for _ in range(2):
        alone.maintain()
    engine.release(leaving)
    assert moving.row == 0
    assert codes_of(engine, moving, 150, engine.maintain) == codes_of(alone, still, 150, alone.maintain)
    assert cache_of(engine).lengths[0] == cache_of(alone).lengths[0]


def test_a_stream_that_is_done_is_left_alone(tiny: Bundle) -> None:
    """Neither a stream that was cut off nor a released one is maintained."""
    engine = Engine(tiny, slots=1, capacity=150)
    stream = begin(engine, SHORT)
    assert codes_of(engine, stream, 200)[-1] == (Event.CAPPED, None)
    assert not engine.maintain()
    engine.release(stream)
    assert not engine.maintain()


def test_the_newest_band_says_how_deep_a_row_is_fed(tiny: Bundle) -> None:
    """With a first band of depth 3 the backbone is given 3 layers, though all are spoken."""
    engine = Engine(tiny, slots=1)
    stream = begin(engine, HistoryPolicy(((math.inf, 3),)))
    spoken = [result.codes for _ in range(30) for result in engine.step() if result.codes is not None]
    assert stream.history is not None
    fed = stream.history.codes[PREFIX : PREFIX + 29]
    np.testing.assert_array_equal(fed[:, :3], np.array(spoken)[:29, :3])
    assert (fed[:, 3:] == NULL).all()


@dataclass(slots=True)
class Watched:
    """A stream, the list that it should be, and what it said last."""

    stream: Stream
    model: ModelStream = field(default_factory=ModelStream)
    said: np.ndarray[tuple[int], np.dtype[np.int64]] = field(default_factory=lambda: np.full(32, NULL))


POLICIES = [
    HistoryPolicy.parse(text) for text in ("1:32,1:8,1:3", "0.5:32", "0.8:32,inf:3", "0.2:8,0.6:3,0.5:1", "9:32")
]
ACTS = st.one_of(
    st.tuples(st.just("join"), st.integers(0, len(POLICIES) - 1), st.sampled_from([8, 16, 32])),
    st.tuples(st.just("leave"), st.integers(0, 9), st.just(0)),
    st.tuples(st.just("step"), st.integers(1, 25), st.integers(0, 7)),
    st.tuples(st.just("maintain"), st.integers(1, 9), st.just(0)),
)
BEHIND_ON_ALL_BANDS = [("join", 3, 32), ("step", 40, 0), ("maintain", 3, 0), ("step", 9, 0), ("maintain", 20, 0)]


@pytest.mark.parametrize("head", ["local", "delay"])
@settings(max_examples=25)
@example([*BEHIND_ON_ALL_BANDS, ("leave", 0, 0), *BEHIND_ON_ALL_BANDS[1:]])
@given(st.lists(ACTS, min_size=4, max_size=18))
def test_any_order_of_calls_gives_what_a_plain_list_gives(
    tiny: Bundle, tiny_delay: Bundle, head: str, acts: list[tuple[str, int, int]]
) -> None:
    """Whatever joins, leaves, steps and is maintained when, rows, keys and values are those of the list model.

    A row of a delay voice holds layers of several frames, and ages as one row all the same.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows_module, "BLOCK_ROWS", 4)
        engine, watched = Engine(tiny if head == "local" else tiny_delay, slots=3, capacity=400), list[Watched]()
        for kind, first, second in [("join", 0, 32), *acts, ("maintain", 3, 0), ("step", 1, 0)]:
            if kind == "join" and len(watched) < 3:
                watched.append(Watched(begin(engine, POLICIES[first], seed=second, depth=second)))
            elif kind == "leave" and watched:
                hole = first % len(watched)
                engine.release(watched[hole].stream)
                watched[hole] = watched[-1]
                watched.pop()
            elif kind == "step":
                for _ in range(first):
                    step(engine, [each for place, each in enumerate(watched) if not second >> place & 1])
            elif kind == "maintain":
                for _ in range(first):
                    maintain(engine, watched)
        for each in watched:
            compare(cache_of(engine), each)


def step(engine: Engine, chosen: list[Watched]) -> None:
    """Step some streams, and append the row that each was given to its list."""
    before = {id(each): each.stream.feed.frames for each in chosen}
    for result in engine.step([each.stream for each in chosen]) if chosen else ():
        (each,) = (each for each in chosen if each.stream is result.stream)
        rows, row = each.stream.history, each.stream.row
        assert rows is not None and row is not None and result.codes is not None  # noqa: PT018
        length = cache_of(engine).lengths[row]
        for place in range(0 if not before[id(each)] else length - 1, length):
            np.testing.assert_array_equal(rows.codes[place], each.said)
            each.model.append(rows.text_ids[place], rows.codes[place])
        fed = result.codes[: rows.depths[0]]
        each.said[: len(fed)] = fed


def maintain(engine: Engine, watched: list[Watched]) -> None:
    """Maintain once, and do the same to the list that is most overdue."""
    due = []
    for each in watched:
        rows = each.stream.history
        assert rows is not None
        if block := each.model.due(PREFIX if each.model.entries else 0, rows.edges, 4):
            due.append((block[2], each, block[0], block[1], (*rows.depths, 0)[block[1]]))
    more = engine.maintain()
    if not due:
        assert not more
        return
    _, each, start, band, depth = max(due, key=lambda entry: entry[0])
    if depth:
        each.model.thin(start, start + 4, depth, band)
    else:
        del each.model.entries[start : start + 4]


def compare(cache: KVCache, each: Watched) -> None:
    """The stream's rows, and its keys and values in the cache, beside the list's."""
    model, rows, row = each.model, each.stream.history, each.stream.row
    assert rows is not None
    assert row is not None
    length = len(model.entries)
    assert cache.lengths[row] == length
    if not length:
        return
    np.testing.assert_array_equal(rows.codes[:length], [entry.codes for entry in model.entries])
    np.testing.assert_array_equal(rows.text_ids[:length], [entry.text_ids for entry in model.entries])
    np.testing.assert_allclose(each.stream.hidden, model.hidden, rtol=0, atol=1e-3)
    for layer in range(CONFIG.layers):
        np.testing.assert_allclose(cache.keys[layer][row, 0, :length], model.keys(layer), rtol=0, atol=1e-4)
        np.testing.assert_allclose(cache.values[layer][row, 0, :length], model.values(layer), rtol=0, atol=1e-4)
