"""Keys and values of all streams: one buffer per layer and kind, streams as a dense prefix of its rows.

        row 0 |#########...........|   stream a, 9 positions
        row 1 |####................|   stream b, 4 positions     rows = 3
        row 2 |##############......|   stream c, 14 positions
        row 3 |xxxxxxx.............|   free; what was there (x) is never read, so it is not cleared

A batch of streams is thus a slice of rows, which the graphs read and write in place.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from .errors import CapacityError

FloatArray = NDArray[np.float32]
Turn = Callable[[FloatArray, int], FloatArray]
"""Keys [kv_heads, rows, head_dim] as they are so many positions earlier."""


class KVCache:
    """Buffers float32 [slots, kv_heads, capacity, head_dim]: `keys[layer]`, `values[layer]`.

    `lengths` are the positions in use of each row; whoever runs the graph adds to them.
    """

    def __init__(self, slots: int, layers: int, kv_heads: int, head_dim: int, capacity: int) -> None:
        shape = (slots, kv_heads, capacity, head_dim)
        # Pages of a zero array cost no memory until they are written.
        self.keys: list[FloatArray] = [np.zeros(shape, np.float32) for _ in range(layers)]
        self.values: list[FloatArray] = [np.zeros(shape, np.float32) for _ in range(layers)]
        self.lengths = [0] * slots
        self.slots, self.capacity = slots, capacity
        self.rows = 0

    def touch(self) -> None:
        """Make the pages of all free rows real; what is in rows that are in use stays."""
        for buffer in (*self.keys, *self.values):
            buffer[self.rows :].fill(0.0)

    def join(self) -> int:
        """Take the row behind the last one in use; CapacityError when there is none."""
        if self.rows == self.slots:
            raise CapacityError(f"all {self.slots} slots are taken; release a stream first, or make more slots")
        row, self.rows = self.rows, self.rows + 1
        self.lengths[row] = 0
        return row

    def leave(self, row: int) -> int | None:
        """Give a row back. The last row moves into the hole; returns its old place, or None when nothing moved."""
        last = self.rows = self.rows - 1
        if row == last:
            return None
        length = self.lengths[last]
        for buffer in (*self.keys, *self.values):
            buffer[row, :, :length] = buffer[last, :, :length]
        self.lengths[row] = length
        return last

    def drop(self, row: int, start: int, count: int, turned_back: Turn) -> None:
        """Forget `count` positions of a row from `start` on; those behind move down, and all keys are turned along.

        Whatever reads the row next stands `count` positions lower than it would have, so the kept keys must, too.
        """
        end, length = start + count, self.lengths[row]
        for keys in self.keys:
            kept = keys[row]
            kept[:, :start] = turned_back(kept[:, :start], count)
            kept[:, start : length - count] = turned_back(kept[:, end:length], count)
        for values in self.values:
            values[row, :, start : length - count] = values[row, :, end:length]
        self.lengths[row] = length - count

    def require_room(self, row: int, count: int) -> None:
        """Check that `count` more positions fit into a row; CapacityError otherwise.

        ONNX Runtime itself does not check every way of writing past the end.
        """
        if self.lengths[row] + count > self.capacity:
            raise CapacityError(
                f"a stream of {self.lengths[row]} positions has no room for {count} more of {self.capacity}; "
                "end it and begin another"
            )
