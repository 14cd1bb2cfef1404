"""A graph writer for published checkpoints: weights are loaded by name, once each, and go to a `WeightStream`.

It knows in which number format the graph computes, which matrices are stored in few bits, and how the graphs inside
a graph (the body of a Loop, the branches of an If) are written.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from ..graph_writer import INLINE_LIMIT, MICROSOFT, FloatArray, GraphWriter, Shape, WeightFile
from .low_bits import ACCURACY_LEVEL, BLOCK, to_low_bits
from .weight_stream import WeightStream

_FEW_ROWS = 16
"""Matrices of fewer rows than this (a decision between two) are not worth rounding."""
_STORED_TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16, "uint8": TensorProto.UINT8}
Value = tuple[str, int, Shape | None]
"""An input or output of a graph: name, TensorProto type, shape (None when it is not told)."""


class StreamedGraph(GraphWriter):
    """Writes one graph whose weights go to a stream.

    `half` graphs compute in float16 and need weights stored so; all others compute in float32. With `bits`, 4 or 8,
    the matrices of linear layers are rounded; `errors` then tells, by the name of the layer, what that changed.
    """

    def __init__(
        self,
        name: str,
        stream: WeightStream,
        load: Callable[[str], FloatArray],
        *,
        half: bool = False,
        bits: int | None = None,
    ) -> None:
        super().__init__(name, WeightFile(), stream.path.name)
        self._stream, self._load = stream, load
        self._half, self._bits = half, bits
        self._top = self._nodes
        self.errors: dict[str, float] = {}

    @property
    def number(self) -> int:
        """The TensorProto type this graph computes in."""
        return TensorProto.FLOAT16 if self._half else TensorProto.FLOAT

    def lowered(self, x: str) -> str:
        """A float32 value as this graph computes."""
        return self.op("Cast", x, to=TensorProto.FLOAT16) if self._half else x

    def raised(self, x: str) -> str:
        """A value of this graph as float32."""
        return self.op("Cast", x, to=TensorProto.FLOAT) if self._half else x

    def weight(self, name: str, array: FloatArray) -> str:
        """A value for a weight: in the stream, or inline when it is small."""
        return self._once(name, lambda: array)

    def loaded(self, name: str) -> str:
        """A weight as the checkpoint has it."""
        return self._once(name, lambda: self._load(name))

    def project(self, x: str, *names: str, bias: bool = False) -> str:
        """The outputs of linear layers side by side; each is `name`.weight [out, in], with `name`.bias if asked."""
        key = "|".join(names)
        if self._bits:
            y = self._rounded_product(x, _layer(names), lambda: self._packed(names, "weight"))
        else:
            # Transposed here, on the host, so that nothing is left to do at load.
            y = self.op("MatMul", x, self._once(f"{key}.transposed", lambda: self._packed(names, "weight").T))
        return self.op("Add", y, self._once(f"{key}.bias", lambda: self._packed(names, "bias"))) if bias else y

    def logits(self, x: str, name: str, rows: slice | list[int]) -> str:
        """The products of x [B, width] with some rows of a weight [classes, width]; float32."""
        few = isinstance(rows, list) and len(rows) < _FEW_ROWS
        if self._bits and not few:
            y = self._rounded_product(x, name.removesuffix(".weight"), lambda: self._load(name)[rows])
        else:
            y = self.op("Gemm", x, self._once(f"{name}[{rows}]", lambda: self._load(name)[rows]), transB=1)
        return self.raised(y)

    def stacked(self, key: str, names: Sequence[str], shape: tuple[int, int], *, zero_rows: bool = False) -> str:
        """Weights one below the other, with a zero row behind each if asked; `shape` in all."""
        known = f"stacked {key}"
        if known not in self._known:
            place = self._stream.place_rows(key, map(self._load, names), zero_rows=zero_rows, sources=names)
            self._known[known] = self._stored(key, shape, place)
        return self._known[known]

    def padded_table(self, name: str) -> str:
        """A code table with the zero row of the null code behind it."""
        return self._once(f"{name}.padded", lambda: np.pad(self._load(name), ((0, 1), (0, 0))))

    def body(self, name: str, inputs: Sequence[Value], build: Callable[[], Sequence[Value]]) -> onnx.GraphProto:
        """A graph inside this one; `build` adds its nodes and returns its outputs. Its weights stand outside of it."""
        outer, self._nodes = self._nodes, []
        try:
            outputs = build()
            return self._inner(name, inputs, outputs, [])
        finally:
            self._nodes = outer

    def branch(self, name: str, build: Callable[[], Sequence[Value]]) -> onnx.GraphProto:
        """A graph inside this one without inputs, which holds the weights that are first asked for in it.

        ONNX Runtime packs weights for its kernels in the graph that holds them and in those right inside; a product
        with few bits takes a hundred times as long when its matrix is not packed.
        """
        outer = self._nodes, self._top, self._initializers, self._known
        self._nodes = self._top = []
        self._initializers, self._known = [], dict(self._known)
        try:
            outputs = build()
            return self._inner(name, [], outputs, self._initializers)
        finally:
            self._nodes, self._top, self._initializers, self._known = outer

    def _inner(
        self, name: str, inputs: Sequence[Value], outputs: Sequence[Value], weights: list[onnx.TensorProto]
    ) -> onnx.GraphProto:
        given, returned = ([helper.make_tensor_value_info(*value) for value in values] for values in (inputs, outputs))
        return helper.make_graph(self._nodes, name, given, returned, weights)

    def _packed(self, names: Sequence[str], part: str) -> FloatArray:
        arrays = [self._load(f"{name}.{part}") for name in names]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def _once(self, name: str, make: Callable[[], FloatArray]) -> str:
        key = f"weight {name}"
        if key not in self._known:
            array = make()
            if array.size <= INLINE_LIMIT:
                small = np.ascontiguousarray(array, np.float16 if self._half else np.float32)
                self._known[key] = self.const(small)
            else:
                self._known[key] = self._stored(name, array.shape, self._stream.place(name, array))
        return self._known[key]

    def _rounded_product(self, x: str, key: str, make: Callable[[], FloatArray]) -> str:
        """The product x @ matrix.T for a matrix [out, in] in few bits."""
        bits = self._bits or 0
        known = f"rounded {key}"
        if known not in self._known:
            matrix = make()
            rounded = to_low_bits(matrix, bits, half_scales=self._half)
            self.errors[key] = rounded.error
            number = np.float16 if self._half else np.float32
            parts: dict[str, NDArray[Any]] = {"bits": rounded.values, "scales": rounded.scales.astype(number).ravel()}
            if rounded.zeros is not None:
                parts["zeros"] = rounded.zeros.ravel()
            for part, array in parts.items():
                place = self._stream.place_as_is(f"{key}.{part}", array)
                self._external(f"{key}.{part}", _STORED_TYPES[array.dtype.name], array.shape, place)
            self._known[known] = f"{matrix.shape[0]} {matrix.shape[1]}"
        rows, width = map(int, self._known[known].split())
        return self.op(
            "MatMulNBits",
            *(x, *(f"{key}.{part}" for part in ("bits", "scales", *(["zeros"] if bits == 4 else [])))),
            domain=MICROSOFT,
            N=rows,
            K=width,
            bits=bits,
            block_size=BLOCK,
            # Where a GPU is missing: in float16 inside a Loop, ONNX Runtime's CPU kernel of level 4 computes nonsense.
            accuracy_level=0 if self._half else ACCURACY_LEVEL,
        )

    def _stored(self, name: str, shape: tuple[int, ...], place: tuple[int, int]) -> str:
        """The value of a weight in the stream's own format, cast where the graph computes in another."""
        stored = _STORED_TYPES[self._stream.dtype.name]
        self._external(name, stored, shape, place)
        if stored == self.number:
            return name
        # ONNX Runtime folds the Cast when it loads the graph. It stands outside of all inner graphs, which share it.
        self._top.append(helper.make_node("Cast", [name], [f"{name}.cast"], to=self.number))
        return f"{name}.cast"

    def _external(self, name: str, kind: int, shape: tuple[int, ...], place: tuple[int, int]) -> None:
        tensor = TensorProto(name=name, data_type=kind, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for field, text in (("location", self._weights_file), ("offset", place[0]), ("length", place[1])):
            tensor.external_data.add(key=field, value=str(text))
        self._initializers.append(tensor)


def _layer(names: Sequence[str]) -> str:
    """One name for linear layers side by side."""
    return "+".join([names[0], *(name.rpartition(".")[2] for name in names[1:])])
