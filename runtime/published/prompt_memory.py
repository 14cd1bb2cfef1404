"""What the first rows of a prompt leave in the caches, kept so that the same rows need not be fed again."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..kv_cache import KVCache

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PromptMemory:
    """The rows that were fed and what the backbone made of them; restoring it is exact.

    rows: int64 [P,1+n]. keys, values: [layers, kv_heads, P, head_dim] as the caches hold them, float32 or float16, keys
    after RoPE. depth: the codebooks the stream was to generate, which for the first MossTTSLocal are the only ones it
    embeds.
    """

    rows: IntArray
    keys: NDArray[Any]
    values: NDArray[Any]
    depth: int

    @classmethod
    def copied(cls, cache: KVCache, slot: int, rows: IntArray, depth: int) -> "PromptMemory":
        """What a slot of the caches holds at its first len(rows) positions."""
        keys, values = (np.stack([each[slot, :, : len(rows)] for each in kind]) for kind in (cache.keys, cache.values))
        return cls(rows.copy(), keys, values, depth)

    @property
    def size(self) -> int:
        """Bytes of keys and values."""
        return self.keys.nbytes + self.values.nbytes

    def shared_with(self, rows: IntArray) -> int:
        """How many rows a prompt [S,1+n] begins with that are these."""
        return common_length(self.rows, rows)

    def restore(self, cache: KVCache, slot: int, count: int) -> None:
        """Write what is known of the first `count` rows into an empty slot."""
        for layer, (keys, values) in enumerate(zip(self.keys, self.values, strict=True)):
            cache.keys[layer][slot, :, :count] = keys[:, :count]
            cache.values[layer][slot, :, :count] = values[:, :count]
        cache.lengths[slot] = count


def common_length(one: IntArray, other: IntArray) -> int:
    """How many rows two prompts begin with alike."""
    shorter = min(len(one), len(other))
    differs = (one[:shorter] != other[:shorter]).any(axis=1)
    return int(differs.argmax()) if differs.any() else shorter
