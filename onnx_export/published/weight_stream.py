"""The weight file of published graphs while it is written: tensor by tensor, straight to disk.

An 8B checkpoint is exported with one tensor in memory at a time. Equal tensors (tied heads, tables that the backbone
and a head share) are stored once, found by their digest.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto

from ..graph_writer import INLINE_LIMIT, FloatArray, GraphWriter, WeightFile

DType = Literal["float32", "float16"]
"""How weights are stored; float16 halves the file, computing stays in float32."""
_ALIGNMENT = 64


class WeightStream:
    """A weight file being written; use it in a `with` block."""

    def __init__(self, path: Path, dtype: DType = "float32") -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        self._file: BinaryIO = path.open("wb")
        self._places: dict[tuple[str, tuple[int, ...]], tuple[int, int]] = {}

    def __enter__(self) -> "WeightStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def place(self, name: str, array: FloatArray) -> tuple[int, int]:
        """Write a tensor unless an equal one is there; returns its offset and length in bytes."""
        stored = self._stored(name, array)
        key = _key(stored)
        if key not in self._places:
            self._align()
            self._places[key] = (self._file.tell(), stored.nbytes)
            self._file.write(stored.data)
        return self._places[key]

    def place_rows(self, name: str, parts: Iterable[FloatArray], *, zero_rows: bool = False) -> tuple[int, int]:
        """Write arrays [rows, width] one below the other as one table, with a zero row behind each if asked.

        A later `place` finds each part, with and without its zero row.
        """
        self._align()
        start = self._file.tell()
        for part in parts:
            begin = self._file.tell()
            stored = np.pad(self._stored(name, part), ((0, int(zero_rows)), (0, 0)))
            for rows in (stored[: len(part)], stored):
                self._places.setdefault(_key(rows), (begin, rows.nbytes))
            self._file.write(stored.data)
        return start, self._file.tell() - start

    def _stored(self, name: str, array: FloatArray) -> NDArray[np.generic]:
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(array, self.dtype)
        if not np.isfinite(stored).all():
            raise ValueError(f"weight {name} holds a value that {self.dtype} cannot hold; export it as float32")
        return stored

    def _align(self) -> None:
        self._file.write(bytes(-self._file.tell() % _ALIGNMENT))


class StreamedGraph(GraphWriter):
    """A graph writer whose weights are loaded by name, once each, and go to a `WeightStream`."""

    def __init__(self, name: str, stream: WeightStream, load: Callable[[str], FloatArray]) -> None:
        super().__init__(name, WeightFile(), stream.path.name)
        self._stream, self._load = stream, load

    def weight(self, name: str, array: FloatArray) -> str:
        """A float32 value for a weight: in the stream, or inline when it is small."""
        return self._once(name, lambda: array)

    def loaded(self, name: str) -> str:
        """A weight as the checkpoint has it."""
        return self._once(name, lambda: self._load(name))

    def project(self, x: str, *names: str, bias: bool = False) -> str:
        """The outputs of linear layers side by side; each is `name`.weight [out, in], with `name`.bias if asked."""
        key = "|".join(names)
        # Transposed here, on the host, so that nothing is left to do at load.
        matrix = self._once(f"{key}.transposed", lambda: self._packed(names, "weight").T)
        y = self.op("MatMul", x, matrix)
        return self.op("Add", y, self._once(f"{key}.bias", lambda: self._packed(names, "bias"))) if bias else y

    def logits(self, x: str, name: str, rows: slice | list[int]) -> str:
        """The products of x [B, width] with some rows of a weight [classes, width]."""
        matrix = self._once(f"{name}[{rows}]", lambda: self._load(name)[rows])
        return self.op("Gemm", x, matrix, transB=1)

    def padded_table(self, name: str) -> str:
        """A code table with the zero row of the null code behind it."""
        return self._once(f"{name}.padded", lambda: np.pad(self._load(name), ((0, 1), (0, 0))))

    def stacked(self, key: str, names: Sequence[str], shape: tuple[int, int], *, zero_rows: bool = False) -> str:
        """Weights one below the other, with a zero row behind each if asked; `shape` in all."""
        place = self._stream.place_rows(key, map(self._load, names), zero_rows=zero_rows)
        return self._external(key, shape, place)

    def _packed(self, names: Sequence[str], part: str) -> FloatArray:
        arrays = [self._load(f"{name}.{part}") for name in names]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    def _once(self, name: str, make: Callable[[], FloatArray]) -> str:
        key = f"weight {name}"
        if key not in self._known:
            array = make()
            if array.size <= INLINE_LIMIT:
                self._known[key] = self.const(np.ascontiguousarray(array, np.float32))
            else:
                self._known[key] = self._external(name, array.shape, self._stream.place(name, array))
        return self._known[key]

    def _external(self, name: str, shape: tuple[int, ...], place: tuple[int, int]) -> str:
        half = self._stream.dtype == np.float16
        tensor = TensorProto(name=name, data_type=TensorProto.FLOAT16 if half else TensorProto.FLOAT, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        for field, text in (("location", self._weights_file), ("offset", place[0]), ("length", place[1])):
            tensor.external_data.add(key=field, value=str(text))
        self._initializers.append(tensor)
        # ONNX Runtime folds the Cast when it loads the graph.
        return self.op("Cast", name, to=TensorProto.FLOAT) if half else name


def _key(array: NDArray[np.generic]) -> tuple[str, tuple[int, ...]]:
    return hashlib.blake2b(array.data, digest_size=20).hexdigest(), array.shape
