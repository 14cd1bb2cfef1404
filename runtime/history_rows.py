"""The rows one stream has given to the backbone, how deep each part of them is remembered, and what is due to age.

        0      pinned     marks[2]        marks[1]              length
        |prefix| aged to 2 | aged to band 1 | as they were spoken |        rows of the stream, oldest first

Rows age in blocks, so that a call is worth its cost: a block is due when its newest row has passed a band's edge. This
module knows nothing of models and caches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from . import names
from .history import HistoryPolicy

BLOCK_ROWS = 25
"""Two seconds: about as long to encode as two or three frames take to make, and so little that it fits in any slack."""


@dataclass(frozen=True, slots=True)
class Block:
    """Rows from `start` to `end` (not included) that are due to enter a band, and how many rows late they are.

    `depth` is that of the band; 0 stands for what is behind the last one, where rows are dropped.
    """

    start: int
    end: int
    band: int
    depth: int
    overdue: float


@dataclass(slots=True, eq=False)
class HistoryRows:
    """A stream's rows: what the backbone was given for each, text_ids [capacity, 9] and codes [capacity, n_vq].

    edges: rows behind which band 0, 1, .. ends. depths: of each band. marks[b]: rows before it have entered band b or
    an older one (marks[0] is not used); the last one stands where rows are dropped, always at the end of the prefix.
    """

    edges: tuple[float, ...]
    depths: tuple[int, ...]
    null_code: int
    text_ids: NDArray[np.int16]
    codes: NDArray[np.int16]
    marks: list[int]

    @classmethod
    def begin(
        cls, policy: HistoryPolicy, depth: int, frame_rate_hz: float, capacity: int, null_code: int, n_vq: int
    ) -> "HistoryRows":
        """For a stream whose frames have `depth` layers; a band that would take none of them away is no band.

        The newest band is as deep as the policy says: the stream may be made deeper while it speaks.
        """
        bands: list[tuple[float, int]] = []
        for edge, (_, deepest) in zip(policy.edges(frame_rate_hz), policy.bands, strict=True):
            if bands and min(depth, deepest) == bands[-1][1]:
                bands.pop()
            bands.append((edge, min(depth, deepest)))
        return cls(
            edges=tuple(edge for edge, _ in bands),
            depths=(policy.bands[0][1], *(kept for _, kept in bands[1:])),
            null_code=null_code,
            # Pages of a zero array cost no memory until they are written.
            text_ids=np.zeros((capacity, names.TEXT_IDS), np.int16),
            codes=np.zeros((capacity, n_vq), np.int16),
            marks=[0] * (1 + len(bands)),
        )

    def prefix(self, text_ids: Sequence[Sequence[int]], stack: NDArray[np.int64]) -> None:
        """Note the first rows of the stream, which share one stack; they are pinned."""
        for place, ids in enumerate(text_ids):
            self.append(place, ids, stack)
        self.marks = [len(text_ids)] * len(self.marks)

    def append(self, place: int, text_ids: Sequence[int], stack: NDArray[np.int64]) -> None:
        """Note the row at a place, the one behind all others."""
        self.text_ids[place], self.codes[place] = text_ids, stack

    def due(self, length: int) -> Block | None:
        """The block that is to age next when the stream has so many rows, the oldest first; None when none is due."""
        for band in range(len(self.edges), 0, -1):
            start, end = self.marks[band], self.marks[band] + BLOCK_ROWS
            overdue = length - self.edges[band - 1] - end
            if overdue >= 0:
                return Block(start, end, band, self.depths[band] if band < len(self.depths) else 0, overdue)
        return None

    def aged(self, block: Block, length: int) -> None:
        """Take note that a block aged; of a stream that had so many rows before."""
        start, end = block.start, block.end
        if block.depth:
            self.codes[start:end, block.depth :] = self.null_code
            # A block that is late may skip bands.
            self.marks[1 : block.band + 1] = [max(mark, end) for mark in self.marks[1 : block.band + 1]]
            return
        for rows in (self.text_ids, self.codes):
            rows[start : start + length - end] = rows[end:length]
        self.marks = [max(mark - (end - start), start) for mark in self.marks]
