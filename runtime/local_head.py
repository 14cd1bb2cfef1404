"""The local head: from the hidden state of a frame to its cue (channel 0) and its stack of codes, in one call."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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
    """What one stream brings to the head for one frame.

    hidden [d_model], uniforms [1 + depth or more], channel_bias [3], recent_codes int64 [depth or more, window].
    """

    hidden: FloatArray
    uniforms: FloatArray
    channel_bias: FloatArray
    recent_codes: IntArray
    settings: HeadSettings


class LocalHead:
    """The heads of one voice; each depth is loaded when first asked for, with one binding for each batch size."""

    def __init__(self, open_depth: Callable[[int], GraphSession], d_model: int) -> None:
        self._open_depth, self._d_model = open_depth, d_model
        self._heads: dict[int, _Head] = {}

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return sum(head.session.busy_s for head in self._heads.values())

    def load(self, depth: int) -> None:
        """Load the head of a depth now rather than at its first frame."""
        if depth not in self._heads:
            self._heads[depth] = _Head(self._open_depth(depth), depth, self._d_model)

    def draw(self, depth: int, rows: Sequence[HeadRow]) -> tuple[list[int], list[IntArray]]:
        """Draw one frame for each row, all of one depth; returns their channels and their codes [depth]."""
        self.load(depth)
        head = self._heads[depth]
        calls = -(-len(rows) // ROWS_PER_CALL)
        size = -(-len(rows) // calls)
        channels: list[int] = []
        codes: list[IntArray] = []
        for start in range(0, len(rows), size):
            drawn = head.draw(rows[start : start + size])
            channels.extend(drawn[0].tolist())
            codes.extend(drawn[1])
        return channels, codes


class _Head:
    """One depth: arrays for `ROWS_PER_CALL` rows, and bindings of their first 1, 2, .. rows."""

    def __init__(self, session: GraphSession, depth: int, d_model: int) -> None:
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
        self._channel = np.zeros(ROWS_PER_CALL, np.int64)
        self._codes = np.zeros((ROWS_PER_CALL, depth), np.int64)
        self._settings: list[HeadSettings | None] = [None] * ROWS_PER_CALL
        self._bindings: dict[int, ort.IOBinding] = {}

    def draw(self, rows: Sequence[HeadRow]) -> tuple[IntArray, IntArray]:
        """Draw at most `ROWS_PER_CALL` frames: channel [N], codes [N, depth]."""
        inputs, depth, count = self._inputs, self._depth, len(rows)
        for place, row in enumerate(rows):
            inputs[names.HIDDEN][place] = row.hidden
            inputs[names.UNIFORMS][place] = row.uniforms[: 1 + depth]
            inputs[names.CHANNEL_BIAS][place] = row.channel_bias
            inputs[names.RECENT_CODES][place] = row.recent_codes[:depth]
            if self._settings[place] is not row.settings:
                self._set(place, row.settings)
        if count not in self._bindings:
            bound = {name: array[:count] for name, array in inputs.items()}
            outputs: dict[str, Array] = {names.CHANNEL: self._channel[:count], names.CODES: self._codes[:count]}
            self._bindings[count] = self.session.bind(bound, outputs)
        self.session.run(self._bindings[count])
        return self._channel[:count], self._codes[:count].copy()

    def _set(self, place: int, settings: HeadSettings) -> None:
        """Write what stays the same from frame to frame as long as a stream keeps its place."""
        self._settings[place] = settings
        self._inputs[names.INV_TEMPERATURE][place] = settings.inv_temperature
        self._inputs[names.RANK_BIAS][place] = settings.rank_bias
        self._inputs[names.TOP_P][place] = settings.top_p
        self._inputs[names.PENALTY][place] = settings.penalty
