"""The head: from a hidden state to the cue of a frame (channel 0) and one code of each layer, in one call.

A local head makes the whole stack of that frame, a delay head one layer each of several frames; the graphs look alike.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from . import names
from .sampling import FloatArray, HeadSettings
from .sessions import Array, GraphSession

IntArray = NDArray[np.int64]

ROWS_PER_CALL = 6
"""As for the backbone: two calls of four rows are quicker than one of eight."""


@dataclass(frozen=True, slots=True)
class HeadRow:
    """What one stream brings to the head for one step.

    hidden [d_model], uniforms [1 + depth or more], channel_bias [3], recent_codes int64 [depth or more, window].
    residuals [depth - 1, residual_width], which the call replaces by the next ones: what a delay head foresaw of each
    frame less the layers made of it so far, by the layer that is to be made; of no width with any other head.
    """

    hidden: FloatArray
    uniforms: FloatArray
    channel_bias: FloatArray
    recent_codes: IntArray
    settings: HeadSettings
    residuals: FloatArray = field(default_factory=lambda: np.zeros((0, 0), np.float32))


class StackHead:
    """The heads of one voice; each depth is loaded when first asked for, with one binding for each batch size."""

    def __init__(self, open_depth: Callable[[int], GraphSession], d_model: int, residual_width: int = 0) -> None:
        self._open_depth, self._d_model, self._residual_width = open_depth, d_model, residual_width
        self._heads: dict[int, _Head] = {}

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return sum(head.session.busy_s for head in self._heads.values())

    def load(self, depth: int) -> None:
        """Load the head of a depth now rather than at its first frame."""
        if depth not in self._heads:
            self._heads[depth] = _Head(self._open_depth(depth), depth, self._d_model, self._residual_width)

    def draw(self, depth: int, rows: Sequence[HeadRow]) -> tuple[list[int], list[IntArray]]:
        """Draw once for each row, all of one depth; returns their channels and their codes [depth].

        Their residuals are replaced when all have been drawn, so what breaks off can be tried again.
        """
        self.load(depth)
        head = self._heads[depth]
        calls = -(-len(rows) // ROWS_PER_CALL)
        size = -(-len(rows) // calls)
        channels: list[int] = []
        codes: list[IntArray] = []
        residuals: list[FloatArray] = []
        for start in range(0, len(rows), size):
            drawn = head.draw(rows[start : start + size])
            channels.extend(drawn[0].tolist())
            codes.extend(drawn[1])
            residuals.extend(drawn[2])
        if self._residual_width:
            for row, following in zip(rows, residuals, strict=True):
                row.residuals[:] = following
        return channels, codes


class _Head:
    """One depth: arrays for `ROWS_PER_CALL` rows, and bindings of their first 1, 2, .. rows."""

    def __init__(self, session: GraphSession, depth: int, d_model: int, residual_width: int) -> None:
        self.session, self._depth = session, depth
        shapes = {
            names.HIDDEN: (d_model,),
            names.UNIFORMS: (1 + depth,),
            names.CHANNEL_BIAS: (names.CHANNEL_CLASSES,),
            names.INV_TEMPERATURE: (1 + depth,),
            names.RANK_BIAS: (names.TOP_K,),
            names.TOP_P: (1,),
            names.PENALTY: (1,),
        }
        self._inputs: dict[str, Array] = {
            name: np.zeros((ROWS_PER_CALL, *shape), np.float32) for name, shape in shapes.items()
        }
        self._inputs[names.RECENT_CODES] = np.zeros((ROWS_PER_CALL, depth, names.PENALTY_WINDOW), np.int64)
        self._residuals = np.zeros((ROWS_PER_CALL, depth - 1, residual_width), np.float32)
        if self._residuals.size:
            self._inputs[names.RESIDUALS] = np.zeros_like(self._residuals)
        self._channel = np.zeros(ROWS_PER_CALL, np.int64)
        self._codes = np.zeros((ROWS_PER_CALL, depth), np.int64)
        self._settings: list[HeadSettings | None] = [None] * ROWS_PER_CALL
        self._bindings: dict[int, ort.IOBinding] = {}

    def draw(self, rows: Sequence[HeadRow]) -> tuple[IntArray, IntArray, FloatArray]:
        """Draw for at most `ROWS_PER_CALL` rows: channel [N], codes [N, depth], residuals [N, depth - 1, width]."""
        inputs, depth, count = self._inputs, self._depth, len(rows)
        for place, row in enumerate(rows):
            inputs[names.HIDDEN][place] = row.hidden
            inputs[names.UNIFORMS][place] = row.uniforms[: 1 + depth]
            inputs[names.CHANNEL_BIAS][place] = row.channel_bias
            inputs[names.RECENT_CODES][place] = row.recent_codes[:depth]
            if self._residuals.size:
                inputs[names.RESIDUALS][place] = row.residuals
            if self._settings[place] is not row.settings:
                self._set(place, row.settings)
        if count not in self._bindings:
            bound = {name: array[:count] for name, array in inputs.items()}
            outputs: dict[str, Array] = {names.CHANNEL: self._channel[:count], names.CODES: self._codes[:count]}
            if self._residuals.size:
                outputs[names.NEXT_RESIDUALS] = self._residuals[:count]
            self._bindings[count] = self.session.bind(bound, outputs)
        self.session.run(self._bindings[count])
        return self._channel[:count], self._codes[:count].copy(), self._residuals[:count].copy()

    def _set(self, place: int, settings: HeadSettings) -> None:
        """Write what stays the same from frame to frame as long as a stream keeps its place."""
        self._settings[place] = settings
        self._inputs[names.INV_TEMPERATURE][place] = settings.inv_temperature
        self._inputs[names.RANK_BIAS][place] = settings.rank_bias
        self._inputs[names.TOP_P][place] = settings.top_p
        self._inputs[names.PENALTY][place] = settings.penalty
