"""The backbone: new rows of text and codes in, the hidden state behind each stream's next frame out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import ArrayLike, NDArray

from . import names
from .kv_cache import KVCache
from .sessions import Array, GraphSession

TextIds = Sequence[int]
"""The text side of one row, TEXT_IDS ids."""
IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]

ROWS_PER_CALL = 6
"""The CPU's matrix kernels take six rows at a time; a seventh would cost as much as another six."""


@dataclass(frozen=True, slots=True)
class _Call:
    """Arrays of the backbone's small inputs and its output, as bound."""

    text_ids: IntArray
    codes: IntArray
    query_lengths: NDArray[np.int32]
    binding: ort.IOBinding


class Backbone:
    """One graph for prefill and decode over the rows of a `KVCache`.

    Bindings are made once for each slice of rows and number of positions that occurs, and kept: there are few.
    """

    def __init__(self, session: GraphSession, cache: KVCache, n_vq: int, d_model: int) -> None:
        self._session, self._cache, self._n_vq = session, cache, n_vq
        self._hidden = np.zeros((cache.slots, d_model), np.float32)
        self._seqlens_k = np.zeros(cache.slots, np.int32)
        self._total = np.zeros((), np.int32)
        self._calls: dict[tuple[int, int, int], _Call] = {}

    def prefill(self, row: int, text_ids: Sequence[TextIds], codes: IntArray) -> FloatArray:
        """Append S positions to one row: S text rows, codes [n_vq] of each -> hidden [d_model] of the last one."""
        call = self._call(row, row + 1, len(text_ids))
        call.text_ids[0], call.codes[0] = text_ids, codes
        self._append(call, row, [len(text_ids)])
        hidden: FloatArray = self._hidden[row].copy()
        return hidden

    def rewrite(self, row: int, start: int, text_ids: ArrayLike, codes: ArrayLike) -> None:
        """Encode positions of a row anew, in place: text_ids [S, 9] and codes [S, n_vq] of those from `start` on.

        They attend to what is before `start`; what is behind them stays as it is.
        """
        count = len(np.asarray(codes))
        if start + count > self._cache.lengths[row]:
            raise ValueError(f"row {row} has {self._cache.lengths[row]} positions, so not {count} from {start} on")
        call = self._call(row, row + 1, count)
        call.text_ids[0], call.codes[0] = text_ids, codes
        self._run(call, row, [count], [start + count])

    def decode(self, rows: Sequence[int], text_ids: Sequence[TextIds], codes: Sequence[IntArray]) -> list[FloatArray]:
        """Append one position to each row: its text row, its codes [n_vq] -> its hidden [d_model].

        `rows` are in rising order; rows between them that are not named stay as they are.
        """
        hidden: list[FloatArray] = []
        for count in slice_counts(rows):
            begin, end = len(hidden), len(hidden) + count
            first = rows[begin]
            counts = [0] * (rows[end - 1] + 1 - first)
            call = self._call(first, first + len(counts), 1)
            for place in range(begin, end):
                index = rows[place] - first
                counts[index] = 1
                call.text_ids[index], call.codes[index] = text_ids[place], codes[place]
            self._append(call, first, counts)
            hidden += [self._hidden[row].copy() for row in rows[begin:end]]
        return hidden

    def hidden(self, row: int) -> FloatArray:
        """The hidden state [d_model] of the last position of a row."""
        hidden: FloatArray = self._hidden[row].copy()
        return hidden

    def _append(self, call: _Call, first: int, counts: list[int]) -> None:
        """Append so many positions to each row from `first` on."""
        # Plain integers: arrays of a handful cost more than they save.
        lengths = self._cache.lengths
        totals = [lengths[row] + count for row, count in enumerate(counts, first)]
        for row, count in enumerate(counts, first):
            self._cache.require_room(row, count)
        self._run(call, first, counts, totals)
        lengths[first : first + len(counts)] = totals

    def _run(self, call: _Call, first: int, counts: list[int], ends: list[int]) -> None:
        """Write so many positions of each row from `first` on, up to its end."""
        call.query_lengths[:] = counts
        # An idle row without any position yet has nothing to say either way; -1 would be refused.
        self._seqlens_k[first : first + len(counts)] = [max(end - 1, 0) for end in ends]
        self._total[()] = max(*ends, call.text_ids.shape[1])
        self._session.run(call.binding)

    def _call(self, first: int, end: int, count: int) -> _Call:
        key = (first, end, count)
        if key not in self._calls:
            self._calls[key] = self._bind(*key)
        return self._calls[key]

    def _bind(self, first: int, end: int, count: int) -> _Call:
        batch, rows, cache = end - first, slice(first, end), self._cache
        text_ids = np.zeros((batch, count, names.TEXT_IDS), np.int64)
        codes = np.zeros((batch, count, self._n_vq), np.int64)
        query_lengths = np.zeros(batch, np.int32)
        inputs: dict[str, Array] = {
            names.TEXT: text_ids,
            names.CODES: codes,
            names.QUERY_SEQLENS: query_lengths,
            names.SEQLENS_K: self._seqlens_k[rows],
            names.TOTAL_LENGTH: self._total,
        }
        outputs: dict[str, Array] = {names.HIDDEN: self._hidden[rows]}
        bind_cache(cache, rows, inputs, outputs)
        return _Call(text_ids, codes, query_lengths, self._session.bind(inputs, outputs))


def bind_cache(cache: KVCache, rows: slice, inputs: dict[str, Array], outputs: dict[str, Array]) -> None:
    """Add the caches of some rows to a call: one memory as past and present, so that the graph appends in place."""
    for layer, (keys, values) in enumerate(zip(cache.keys, cache.values, strict=True)):
        inputs[names.past_key(layer)] = outputs[names.present_key(layer)] = keys[rows]
        inputs[names.past_value(layer)] = outputs[names.present_value(layer)] = values[rows]


def slice_counts(rows: Sequence[int]) -> list[int]:
    """How many of some rising rows each slice of the cache takes: at most `ROWS_PER_CALL` wide, and nearly equal."""
    width = rows[-1] - rows[0] + 1
    calls = -(-width // ROWS_PER_CALL)
    limit = -(-width // calls)
    counts: list[int] = []
    first = rows[0] - limit
    for row in rows:
        if row - first >= limit:
            counts.append(0)
            first = row
        counts[-1] += 1
    return counts
