import numpy as np
import pytest

from voicestack.runtime.errors import CapacityError
from voicestack.runtime.kv_cache import KVCache


def filled(lengths: list[int], slots: int = 4) -> KVCache:
    """A cache whose row r holds the value r + 1 in as many positions as `lengths` says."""
    cache = KVCache(slots, layers=2, kv_heads=2, head_dim=8, capacity=16)
    for length in lengths:
        row = cache.join()
        cache.lengths[row] = length
        for buffer in (*cache.keys, *cache.values):
            buffer[row, :, :length] = row + 1
    return cache


def test_streams_join_as_a_dense_prefix() -> None:
    """Rows are given out in order, from 0."""
    cache = filled([])
    assert [cache.join() for _ in range(4)] == [0, 1, 2, 3]


def test_join_beyond_the_slots_is_refused() -> None:
    """With all slots taken, join says how many there are."""
    with pytest.raises(CapacityError, match="all 2 slots are taken"):
        filled([1, 1], slots=2).join()


def test_leave_moves_the_last_row_into_the_hole() -> None:
    """When a row in the middle leaves, the last one takes its place with its positions and its length."""
    cache = filled([5, 3, 7])
    assert cache.leave(0) == 2
    assert cache.rows == 2
    assert cache.lengths[:2] == [7, 3]
    for buffer in (*cache.keys, *cache.values):
        assert (buffer[0, :, :7] == 3).all()
        assert (buffer[1, :, :3] == 2).all()


def test_leave_of_the_last_row_moves_nothing() -> None:
    """The last row leaves without a copy."""
    cache = filled([5, 3])
    assert cache.leave(1) is None
    assert cache.rows == 1


def test_a_row_is_reused_from_length_zero_without_clearing() -> None:
    """A new stream starts at length 0, over whatever its row held before."""
    cache = filled([5])
    cache.leave(0)
    assert cache.join() == 0
    assert cache.lengths[0] == 0
    assert np.all(cache.keys[0][0, :, :5] == 1)


def test_room_is_checked_to_the_last_position() -> None:
    """A row may be filled to its capacity and not beyond."""
    cache = filled([14])
    cache.require_room(0, 2)
    with pytest.raises(CapacityError, match="no room for 3 more of 16"):
        cache.require_room(0, 3)
