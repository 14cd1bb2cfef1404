"""A small builder of ONNX graphs whose weights live, as float16, in one file shared by all graphs of a bundle.

A weight is stored once however many graphs or nodes use it: equal bytes get the same place. Each float weight
is followed by a Cast to float32, which ONNX Runtime folds when it loads the graph, so everything computes in
float32. A table that rows are only gathered from may be in bytes, each row with a scale of its own. This module knows
nothing of any network but the name of that table.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from voicestack.runtime.names import WEIGHTS_FILE

FloatArray = NDArray[np.float32]
Weights = dict[str, FloatArray]
"""Arrays by their name in the torch module's state dict."""
Shape = Sequence[str | int]

MICROSOFT = "com.microsoft"
OPSET = 21
IR_VERSION = 10
INLINE_LIMIT = 512
"""Tensors of at most this many elements stay inside the graph."""
IN_BYTES = frozenset({"text_table.weight"})
"""The tables kept in bytes. No product sums their rounding errors up over a thousand weights."""
_ALIGNMENT = 64


def rounded(weights: Weights) -> Weights:
    """The same weights as a bundle holds them: rounded to float16, or to bytes, as float32.

    ValueError names one that overflows. What is rounded already stays as it is.
    """
    result: Weights = {}
    for name, array in weights.items():
        with np.errstate(over="ignore"):
            half = np.asarray(array, np.float32).astype(np.float16)
        if not np.isfinite(half).all():
            raise ValueError(f"weight {name} holds a value that float16 cannot hold; train with smaller weights")
        result[name] = half.astype(np.float32)
        if name in IN_BYTES:
            rows, scales = byte_rows(array)
            result[name] = rows.astype(np.float32) * scales.astype(np.float32)
    return result


def byte_rows(table: FloatArray) -> tuple[NDArray[np.int8], NDArray[np.float16]]:
    """A table [n, width] as bytes and the scales [n, 1] they are to be multiplied with."""
    scales = (np.abs(table).max(1, keepdims=True) / 127).astype(np.float16)
    divisors = np.where(scales > 0, scales, 1).astype(np.float32)
    return np.clip(np.rint(table / divisors), -127, 127).astype(np.int8), scales


class WeightFile:
    """The shared weight file while it is being filled: float16 blocks, each stored once."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._length = 0
        self._places: dict[tuple[str, tuple[int, ...]], tuple[int, int]] = {}

    def graph(self, name: str) -> "GraphWriter":
        """A new graph whose weights go here."""
        return GraphWriter(name, self, WEIGHTS_FILE)

    def provenance(self) -> dict[str, Any]:
        """What a bundle is to say of the way its weights are stored; nothing of float16."""
        return {}

    def place(self, array: FloatArray) -> tuple[int, int]:
        """Store an array unless its bytes are stored already; returns its offset and length in bytes."""
        return self._place(np.ascontiguousarray(array, np.float16))

    def place_bytes(self, array: NDArray[np.int8] | NDArray[np.uint8]) -> tuple[int, int]:
        """The same for bytes."""
        return self._place(np.ascontiguousarray(array))

    def _place(self, array: NDArray[np.generic]) -> tuple[int, int]:
        data = array.tobytes()
        key = (hashlib.sha256(data).hexdigest(), array.shape)
        if key not in self._places:
            self._places[key] = (self._length, len(data))
            padding = -len(data) % _ALIGNMENT
            self._blocks += [data, bytes(padding)]
            self._length += len(data) + padding
        return self._places[key]

    def place_table(self, table: FloatArray, leading: Sequence[int] = ()) -> None:
        """Store a table [n, ...] such that each `table[i]`, and `table[:k]` for k in `leading`, is found inside it."""
        offset, length = self.place(table)
        row = length // len(table)
        parts = [(part, offset + index * row, row) for index, part in enumerate(table)]
        parts += [(table[:count], offset, count * row) for count in leading]
        for part, start, size in parts:
            key = (hashlib.sha256(np.ascontiguousarray(part, np.float16).tobytes()).hexdigest(), part.shape)
            self._places.setdefault(key, (start, size))

    def save(self, path: Path) -> None:
        """Write the blocks to `path`."""
        path.write_bytes(b"".join(self._blocks))


class GraphWriter:
    """Collects the nodes, initialisers, inputs and outputs of one graph; values are named by strings."""

    def __init__(self, name: str, shared: WeightFile, weights_file: str) -> None:
        self._name = name
        self._shared = shared
        self._weights_file = weights_file
        self._nodes: list[onnx.NodeProto] = []
        self._initializers: list[onnx.TensorProto] = []
        self._known: dict[str, str] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []
        self._count = 0

    def input(self, name: str, dtype: int, shape: Shape) -> str:
        """Declare a graph input; `dtype` is a TensorProto type, a string in `shape` a free axis."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, value: str, dtype: int, shape: Shape) -> None:
        """Declare a graph output that carries `value`."""
        if value != name:
            self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def op(self, kind: str, *inputs: str, domain: str = "", out: str | None = None, **attributes: Any) -> str:
        """Add a node with one output and return that output's name (`out`, or a fresh one)."""
        return self.ops(kind, *inputs, domain=domain, out=[out or self._fresh(kind)], **attributes)[0]

    def ops(self, kind: str, *inputs: str, domain: str = "", out: int | list[str] = 1, **attributes: Any) -> list[str]:
        """Add a node with several outputs (a count, or names with "" for one not wanted) and return their names."""
        names = [self._fresh(kind) for _ in range(out)] if isinstance(out, int) else out
        self._nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return names

    def const(self, value: NDArray[np.generic]) -> str:
        """An initialiser kept inside the graph as it is; equal ones are stored once."""
        key = f"{value.dtype}{value.shape}{value.tobytes()!r}"
        if key not in self._known:
            name = self._fresh("const")
            # np.array keeps a 0-d array 0-d, which ascontiguousarray would not.
            self._initializers.append(numpy_helper.from_array(np.array(value, order="C"), name))
            self._known[key] = name
        return self._known[key]

    def ints(self, *values: int) -> str:
        """An int64 initialiser of one axis."""
        return self.const(np.array(values, np.int64))

    def scalar(self, value: float) -> str:
        """A float32 initialiser without axes."""
        return self.const(np.array(value, np.float32))

    def weight(self, name: str, array: FloatArray) -> str:
        """A float32 value for a weight: in the shared file as float16 and cast, or inline when it is small."""
        if array.size <= INLINE_LIMIT:
            return self.const(np.asarray(array, np.float32))
        key = f"weight {name}"
        if key not in self._known:
            self._place_external(name, TensorProto.FLOAT16, array.shape, self._shared.place(array))
            self._known[key] = self.op("Cast", name, to=TensorProto.FLOAT)
        return self._known[key]

    def gather_bytes(self, name: str, table: FloatArray, rows: str) -> str:
        """The rows of a table that is kept in bytes, as float32; `rows` are their numbers."""
        whole, scales = byte_rows(table)
        self._place_external(name, TensorProto.INT8, whole.shape, self._shared.place_bytes(whole))
        picked = self.op("Cast", self.op("Gather", name, rows), to=TensorProto.FLOAT)
        return self.op("Mul", picked, self.op("Gather", self.weight(f"{name}.scale", scales.astype(np.float32)), rows))

    def _place_external(self, name: str, dtype: int, shape: Sequence[int], place: tuple[int, int]) -> None:
        """An initialiser that is in the shared file at this offset and length."""
        tensor = onnx.TensorProto(name=name, data_type=dtype, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for field, value in (("location", self._weights_file), ("offset", place[0]), ("length", place[1])):
            tensor.external_data.add(key=field, value=str(value))
        self._initializers.append(tensor)

    def linear(self, x: str, name: str, weight: FloatArray, bias: FloatArray | None = None) -> str:
        """The product x @ weight.T (+ bias) for a torch Linear's weight [out, in]."""
        return self.exact_linear(x, name, weight, bias)

    def exact_linear(self, x: str, name: str, weight: FloatArray, bias: FloatArray | None = None) -> str:
        """The same with a matrix that no kind of graph rounds to fewer bits."""
        y = self.op("MatMul", x, self._transposed(name, weight))
        return y if bias is None else self.op("Add", y, self.weight(f"{name}.bias", bias))

    def rms_norm(self, x: str, scale: str, eps: float) -> str:
        """RMSNorm over the last axis, times `scale`."""
        return self.op("SimplifiedLayerNormalization", x, scale, axis=-1, epsilon=eps)

    def add_rms_norm(self, x: str, skip: str, scale: str, eps: float, bias: str = "") -> tuple[str, str]:
        """The sum x + skip (+ bias), RMS-normed and as it is; one node."""
        inputs = [x, skip, scale, bias] if bias else [x, skip, scale]
        out = [self._fresh("norm"), "", "", self._fresh("sum")]
        self.ops("SkipSimplifiedLayerNormalization", *inputs, domain=MICROSOFT, out=out, epsilon=eps)
        return out[0], out[3]

    def silu(self, x: str) -> str:
        """The activation x * sigmoid(x)."""
        return self.op("QuickGelu", x, domain=MICROSOFT, alpha=1.0)

    def reshape(self, x: str, *shape: int) -> str:
        """Reshape; 0 keeps an axis, -1 is what is left."""
        return self.op("Reshape", x, self.ints(*shape))

    def split(self, x: str, *sizes: int, axis: int = -1) -> list[str]:
        """Cut an axis into runs of the given sizes."""
        return self.ops("Split", x, self.ints(*sizes), out=len(sizes), axis=axis)

    def model(self) -> onnx.ModelProto:
        """The finished model."""
        graph = helper.make_graph(self._nodes, self._name, self._inputs, self._outputs, self._initializers)
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="voicestack")

    def _transposed(self, name: str, weight: FloatArray) -> str:
        # Transposed here, on the host, so that nothing but a Cast is left to fold at load.
        return self.weight(f"{name}.transposed", np.ascontiguousarray(weight.T))

    def _fresh(self, stem: str) -> str:
        self._count += 1
        return f"{stem}_{self._count}"
