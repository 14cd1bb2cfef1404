"""The backbone of a published generator: rows [text id, codes] in, the hidden state behind the next one out.

There are two kinds of graphs. One takes the number of new rows of each stream, so a call may span streams that sit
idle. The other, for CUDA, does not: its calls span neighbours that all go on, and its caches are device memory.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from .. import names
from ..backbone import bind_cache, slice_counts
from ..errors import InputError
from ..kv_cache import KVCache
from ..sessions import Array, GraphSession
from .device_cache import CPU, CUDA, DeviceCache
from .generator_info import GeneratorInfo

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Call:
    """Arrays of the graph's small inputs, as bound; `inputs` are all of them by name."""

    text_ids: IntArray
    codes: IntArray
    query_lengths: NDArray[np.int32]
    inputs: Mapping[str, Array]
    binding: ort.IOBinding


class RowBackbone:
    """One graph for prefill and decode over the rows of a `KVCache`; `cache` is the one it writes.

    Every stream has its own positions from 0 on: batches are not padded.
    """

    def __init__(self, session: GraphSession, info: GeneratorInfo, slots: int, capacity: int) -> None:
        spec = info.backbone
        if capacity > spec.max_positions:
            raise InputError(f"capacity {capacity} is more than the {spec.max_positions} positions of this generator")
        sizes = (slots, spec.layers, spec.kv_heads, spec.head_dim, capacity)
        self._device_cache: DeviceCache | None = None
        if not info.takes_query_lengths:
            device = CUDA if session.on_gpu else CPU
            self._device_cache = DeviceCache(*sizes, number=info.computes_in, device=device)
        self.cache: KVCache = self._device_cache or KVCache(*sizes)
        self._session, self._info = session, info
        self._hidden = np.zeros((slots, spec.d_model), np.float32)
        self._seqlens_k = np.zeros(slots, np.int32)
        self._total = np.zeros((), np.int32)
        self._steps: dict[tuple[int, int], _Call] = {}

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return self._session.busy_s

    def append(self, slot: int, rows: IntArray) -> FloatArray:
        """Append rows [S,1+n] to one stream -> hidden [H] behind the last one."""
        self.cache.require_room(slot, len(rows))
        # Lengths of prompts hardly repeat, so this binding is not kept.
        call = self._step_call(slot, slot + 1) if len(rows) == 1 else self._bind(slot, slot + 1, len(rows))
        call.text_ids[0], call.codes[0] = rows[:, 0], rows[:, 1:]
        self._run(call, slot, [len(rows)])
        hidden: FloatArray = self._hidden[slot].copy()
        return hidden

    def step(self, slots: Sequence[int], rows: Sequence[IntArray]) -> list[FloatArray]:
        """Append one row [1+n] to each stream -> its hidden [H]; `slots` in rising order."""
        hidden: list[FloatArray] = []
        for slot in slots:
            self.cache.require_room(slot, 1)
        for count in self._slices(slots):
            begin, end = len(hidden), len(hidden) + count
            first = slots[begin]
            counts = [0] * (slots[end - 1] + 1 - first)
            call = self._step_call(first, first + len(counts))
            for place in range(begin, end):
                index = slots[place] - first
                counts[index] = 1
                call.text_ids[index], call.codes[index] = rows[place][0], rows[place][1:]
            self._run(call, first, counts)
            hidden += [self._hidden[slot].copy() for slot in slots[begin:end]]
        return hidden

    def _slices(self, slots: Sequence[int]) -> list[int]:
        """How many of some rising slots each call takes."""
        if not slots:
            return []
        return slice_counts(slots) if self._info.takes_query_lengths else _neighbours(slots)

    def _run(self, call: _Call, first: int, counts: list[int]) -> None:
        lengths = self.cache.lengths
        totals = [lengths[slot] + count for slot, count in enumerate(counts, first)]
        call.query_lengths[:] = counts
        # An idle row without any position yet has nothing to say either way; -1 would be refused.
        self._seqlens_k[first : first + len(counts)] = [max(total - 1, 0) for total in totals]
        self._total[()] = max(*totals, call.text_ids.shape[1])
        if self._session.on_gpu:
            # What is bound for a GPU is copied there when it is bound.
            for name, array in call.inputs.items():
                call.binding.bind_cpu_input(name, array)
        self._session.run(call.binding)
        lengths[first : first + len(counts)] = totals

    def _step_call(self, first: int, end: int) -> _Call:
        if (first, end) not in self._steps:
            self._steps[first, end] = self._bind(first, end, 1)
        return self._steps[first, end]

    def _bind(self, first: int, end: int, count: int) -> _Call:
        batch, place, cache = end - first, slice(first, end), self.cache
        text_ids = np.zeros((batch, count), np.int64)
        codes = np.zeros((batch, count, self._info.n_vq), np.int64)
        query_lengths = np.zeros(batch, np.int32)
        inputs: dict[str, Array] = {
            names.TEXT: text_ids,
            names.CODES: codes,
            names.SEQLENS_K: self._seqlens_k[place],
            names.TOTAL_LENGTH: self._total,
        }
        outputs: dict[str, Array] = {names.HIDDEN: self._hidden[place]}
        if self._info.takes_query_lengths:
            inputs[names.QUERY_SEQLENS] = query_lengths
        small = dict(inputs)
        if self._device_cache is None:
            bind_cache(cache, place, inputs, outputs)
        binding = self._session.bind(inputs, outputs)
        if self._device_cache is not None:
            self._device_cache.bind(binding, first, end)
        return _Call(text_ids, codes, query_lengths, small, binding)


def _neighbours(slots: Sequence[int]) -> list[int]:
    """The lengths of the runs of rising slots without a gap."""
    counts = [1]
    for before, slot in zip(slots, slots[1:], strict=False):
        if slot == before + 1:
            counts[-1] += 1
        else:
            counts.append(1)
    return counts


def check_rows(rows: IntArray, info: GeneratorInfo) -> IntArray:
    """Rows [S,1+n] as int64 if they can be embedded; InputError says what is out of range."""
    rows = np.asarray(rows)
    width = 1 + info.n_vq
    if rows.ndim != 2 or rows.shape[1] != width or not len(rows) or not np.issubdtype(rows.dtype, np.integer):
        raise InputError(
            f"a prompt must be whole numbers of shape [rows, {width}], got {rows.dtype} {list(rows.shape)}"
        )
    for what, part, limit in (
        ("text id", rows[:, 0], info.text_vocabulary),
        ("code", rows[:, 1:], info.codes_embedded + 1),
    ):
        if part.min() < 0 or part.max() >= limit:
            wrong = part.min() if part.min() < 0 else part.max()
            raise InputError(f"a prompt holds the {what} {wrong}; this generator has 0 to {limit - 1}")
    return np.asarray(rows, np.int64)
