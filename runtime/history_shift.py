"""Rotary positions moved: keys as they would have been, had their rows stood some places earlier.

A key is turned by an angle for each pair of its halves' elements, the place times a fixed frequency. So a shift of
place is one more turn, the same for all keys; scores depend on the distance of query and key only, and values not at
all. Exact but for rounding.
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

ROPE_THETA = 10_000.0
"""The base of the rotary frequencies of every backbone of this bundle format."""


def turned_back(keys: FloatArray, places: int) -> FloatArray:
    """Keys [.., head_dim] of rows that move to so many places earlier."""
    half = keys.shape[-1] // 2
    cos, sin = _turn(half, places)
    first, second = keys[..., :half], keys[..., half:]
    return np.concatenate([first * cos + second * sin, second * cos - first * sin], axis=-1)


@lru_cache
def _turn(half: int, places: int) -> tuple[FloatArray, FloatArray]:
    angles = places * ROPE_THETA ** -(np.arange(half) / half)
    return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
