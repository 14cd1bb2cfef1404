import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime import Bundle, CapacityError
from voicestack.runtime.backbone import ROWS_PER_CALL, Backbone, slice_counts
from voicestack.runtime.cue_clock import COLUMN_ROWS
from voicestack.runtime.kv_cache import KVCache


def made(tiny: Bundle, slots: int = 8, capacity: int = 64) -> tuple[Backbone, KVCache]:
    spec = tiny.manifest.backbone
    cache = KVCache(slots, spec.layers, spec.kv_heads, spec.head_dim, capacity)
    return Backbone(tiny.backbone(), cache, tiny.manifest.n_vq, spec.d_model), cache


def some_rows(count: int, seed: int) -> tuple[list[list[int]], NDArray[np.int64]]:
    """Text rows, and one stack of codes."""
    draw = np.random.default_rng(seed)
    return draw.integers(0, COLUMN_ROWS, (count, len(COLUMN_ROWS))).tolist(), draw.integers(0, 1025, 32)


@given(st.sets(st.integers(0, 40), min_size=1))
def test_rows_are_cut_into_slices_the_kernels_like(rows: set[int]) -> None:
    """All rows are covered, in order, by slices at most six rows wide."""
    ordered = sorted(rows)
    counts = slice_counts(ordered)
    assert sum(counts) == len(ordered)
    for part in np.split(np.array(ordered), np.cumsum(counts)[:-1]):
        assert part[-1] - part[0] < ROWS_PER_CALL


@pytest.mark.parametrize(("count", "expected"), [(1, [1]), (6, [6]), (7, [4, 3]), (8, [4, 4]), (13, [5, 5, 3])])
def test_a_dense_batch_is_cut_evenly(count: int, expected: list[int]) -> None:
    """More than six rows become slices of nearly equal size."""
    assert slice_counts(range(count)) == expected


def test_prefill_and_decode_agree(tiny: Bundle) -> None:
    """Positions fed at once leave the state that they leave one by one."""
    text, codes = some_rows(4, seed=1)
    backbone, cache = made(tiny)
    cache.join()
    cache.join()
    at_once = backbone.prefill(0, text, codes)
    one_by_one = [backbone.decode([1], [text[place]], [codes])[0] for place in range(4)]
    np.testing.assert_allclose(one_by_one[-1], at_once, atol=1e-4)
    assert cache.lengths[:2] == [4, 4]


def test_rows_between_those_stepped_are_left_alone(tiny: Bundle) -> None:
    """A step of rows 0 and 2 changes neither keys nor values nor the length of row 1."""
    backbone, cache = made(tiny)
    for row in range(3):
        cache.join()
        backbone.prefill(row, *some_rows(3, seed=row))
    before = [buffer[1].copy() for buffer in (*cache.keys, *cache.values)]
    text, codes = some_rows(2, seed=9)
    backbone.decode([0, 2], text, [codes, codes])
    assert cache.lengths[:3] == [4, 3, 4]
    for then, buffer in zip(before, (*cache.keys, *cache.values), strict=True):
        np.testing.assert_array_equal(then, buffer[1])


def test_what_was_in_a_row_before_does_not_matter(tiny: Bundle) -> None:
    """A row that held not-a-number everywhere gives what a fresh one gives."""
    fresh, cache = made(tiny)
    cache.join()
    expected = fresh.prefill(0, *some_rows(4, seed=2))
    used, cache = made(tiny)
    for buffer in (*cache.keys, *cache.values):
        buffer[:] = np.nan
    cache.join()
    np.testing.assert_array_equal(used.prefill(0, *some_rows(4, seed=2)), expected)


def test_a_full_row_is_refused_before_anything_is_written(tiny: Bundle) -> None:
    """A step beyond the capacity is a CapacityError, and the lengths stay."""
    backbone, cache = made(tiny, capacity=5)
    cache.join()
    backbone.prefill(0, *some_rows(4, seed=3))
    text, codes = some_rows(1, seed=4)
    backbone.decode([0], text, [codes])
    with pytest.raises(CapacityError, match="no room for 1 more of 5"):
        backbone.decode([0], text, [codes])
    assert cache.lengths[0] == 5
