"""The staircase of one stream of a delay voice: what each step draws, and the stacks that come of it.

    step      0   1   2   3   4      T = 3 frames, depth 3: layer 2 lags one step, layer 3 two
    layer 1   f0  f1  f2  -   -      the END is drawn in step 3: frame 3 is not spoken
    layer 2   -   f0  f1  f2  -      steps from the END on only finish the last stacks
    layer 3   -   -   f0  f1  f2     frame 2 is whole after step T + depth - 2

A column is what the head draws in one step, and what the backbone is told in its next row; `-` is the null code. This
module knows nothing of models.
"""

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int64]

KEPT_FRAMES = 512
"""How many frames can still be read back: 41 seconds, far more than any listener is behind."""


class DelayLine:
    """How far the layers of one stream are, which makes `depth` of the voice's `n_vq`.

    Attributes, to be read only:
        row: the column of the last step, int64 [n_vq].
        steps: how many steps there were.
        total: how many frames the stream has; None until it ends.
    """

    __slots__ = ("_kept", "_layers", "depth", "null_code", "row", "steps", "total")

    def __init__(self, depth: int, n_vq: int, null_code: int) -> None:
        self.depth, self.null_code = depth, null_code
        self.steps = 0
        self.total: int | None = None
        self.row: IntArray = np.full(n_vq, null_code, np.int64)
        self._kept: IntArray = np.full((KEPT_FRAMES, n_vq), null_code, np.int64)
        self._layers: IntArray = np.arange(depth)

    @property
    def frames(self) -> int:
        """How many frames have at least their first layer."""
        return self.steps if self.total is None else self.total

    @property
    def live(self) -> slice:
        """The layers (from 0) whose code in the next step belongs to a frame."""
        first = 0 if self.total is None else max(self.steps - self.total + 1, 0)
        return slice(min(first, self.depth), min(self.steps + 1, self.depth))

    @property
    def complete(self) -> bool:
        """Whether every frame there will be is at full depth."""
        return self.total is not None and (not self.total or self.depth_of(self.total - 1) == self.depth)

    def end(self) -> None:
        """Say that the next step begins no frame, and none after it; once more does no harm."""
        self.total = self.frames

    def take(self, codes: IntArray) -> None:
        """Take note of the codes [depth] drawn in one step, of which only the `live` ones count."""
        live = self.live
        layers = self._layers[live]
        self.row.fill(self.null_code)
        self.row[live] = codes[live]
        if self.total is None:
            self._kept[self.steps % KEPT_FRAMES] = self.null_code
        self._kept[(self.steps - layers) % KEPT_FRAMES, layers] = codes[live]
        self.steps += 1

    def depth_of(self, frame: int) -> int:
        """How many layers a frame has by now; 0 for one that has not begun."""
        return min(self.depth, self.steps - frame) if 0 <= frame < self.frames else 0

    def stacks(self, start: int, stop: int) -> IntArray:
        """The stacks [stop - start, n_vq] of some frames, null where a layer has not come or is not made at all.

        ValueError for frames that have not begun or are more than KEPT_FRAMES old.
        """
        oldest = max(0, self.frames - KEPT_FRAMES)
        if not oldest <= start <= stop <= self.frames:
            raise ValueError(f"frames {oldest} to {self.frames} can be read, not {start} to {stop}")
        stacks: IntArray = self._kept[np.arange(start, stop) % KEPT_FRAMES]
        return stacks

    def remember(self, recent: IntArray) -> None:
        """Write the codes of the last step into windows [n_vq, W] of each layer's last codes; null ones are not."""
        layers = np.flatnonzero(self.row != self.null_code)
        recent[layers, (self.steps - 1 - layers) % recent.shape[1]] = self.row[layers]
