"""The weight file of published graphs while it is written: tensor by tensor, straight to disk.

An 8B checkpoint is exported with one tensor in memory at a time. Equal tensors (tied heads, tables that the backbone
and a head share) are stored once, found by their digest.
"""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from ..graph_writer import FloatArray

DType = Literal["float32", "float16"]
"""How weights are stored; float16 halves the file."""
_ALIGNMENT = 64
_Key = tuple[str, str, tuple[int, ...]]
"""Digest, number format and shape."""


class WeightStream:
    """A weight file being written; use it in a `with` block."""

    def __init__(self, path: Path, dtype: DType = "float32") -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        self._file: BinaryIO = path.open("wb")
        self._places: dict[_Key, tuple[int, int]] = {}
        self._tables: dict[tuple[str, ...], tuple[int, int]] = {}

    def __enter__(self) -> "WeightStream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def place(self, name: str, array: FloatArray) -> tuple[int, int]:
        """Write a tensor unless an equal one is there; returns its offset and length in bytes."""
        return self._write(self._stored(name, array))

    def place_rows(
        self, name: str, parts: Iterable[FloatArray], *, zero_rows: bool = False, sources: Sequence[str] = ()
    ) -> tuple[int, int]:
        """Write arrays [rows, width] one below the other as one table, with a zero row behind each if asked.

        A later `place` finds each part, with and without its zero row; a later table of the same `sources` is this one.
        """
        if tuple(sources) in self._tables:
            return self._tables[tuple(sources)]
        self._align()
        start = self._file.tell()
        for part in parts:
            begin = self._file.tell()
            stored = np.pad(self._stored(name, part), ((0, int(zero_rows)), (0, 0)))
            for rows in (stored[: len(part)], stored):
                self._places.setdefault(_key(rows), (begin, rows.nbytes))
            self._file.write(stored.data)
        length = self._file.tell() - start
        if sources:
            self._tables[tuple(sources)] = (start, length)
        return start, length

    def place_as_is(self, name: str, array: NDArray[Any]) -> tuple[int, int]:
        """Write an array in its own number format unless an equal one is there; returns its offset and length."""
        return self._write(np.ascontiguousarray(array))

    def _write(self, stored: NDArray[Any]) -> tuple[int, int]:
        key = _key(stored)
        if key not in self._places:
            self._align()
            self._places[key] = (self._file.tell(), stored.nbytes)
            self._file.write(stored.data)
        return self._places[key]

    def _stored(self, name: str, array: FloatArray) -> NDArray[np.generic]:
        with np.errstate(over="ignore"):
            stored = np.ascontiguousarray(array, self.dtype)
        if not np.isfinite(stored).all():
            raise ValueError(f"weight {name} holds a value that {self.dtype} cannot hold; export it as float32")
        return stored

    def _align(self) -> None:
        self._file.write(bytes(-self._file.tell() % _ALIGNMENT))


def _key(array: NDArray[Any]) -> _Key:
    return hashlib.blake2b(array.data, digest_size=20).hexdigest(), array.dtype.name, array.shape
