"""Rotary positions moved: keys as they would have been, had their rows stood some places earlier.

A key is turned by an angle for each pair of its halves' elements, the place times a fixed frequency. So a shift of
place is one more turn, the same for all keys; scores depend on the distance of query and key only, and values not at
all. Exact but for rounding.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .names import ROPE_THETA

FloatArray = NDArray[np.float32]
DoubleArray = NDArray[np.float64]


def turned_back(keys: FloatArray, places: int) -> FloatArray:
    """Keys [.., head_dim] of rows that move to so many places earlier."""
    half = keys.shape[-1] // 2
    cos, sin = _turn(half, places)
    first, second = keys[..., :half], keys[..., half:]
    turned = np.empty_like(keys)
    turned[..., :half] = first * cos + second * sin
    turned[..., half:] = second * cos - first * sin
    return turned


@lru_cache
def _turn(half: int, places: int) -> tuple[DoubleArray, DoubleArray]:
    # In double: the prefix is turned anew with each block dropped, and a float32 turn also stretches a little.
    angles = places * ROPE_THETA ** -(np.arange(half) / half)
    return np.cos(angles), np.sin(angles)
