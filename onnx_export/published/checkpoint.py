"""A published checkpoint folder as its authors publish it: config.json and safetensors, one tensor in memory at a time.

A safetensors file is eight bytes of header length, a JSON header that says where each tensor lies, then the bytes.
It is read here directly: the numpy side of the `safetensors` package cannot give bfloat16 away.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime.errors import VoicestackError

FloatArray = NDArray[np.float32]

CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"

_BYTES_OF = {"F32": 4, "F16": 2, "BF16": 2}
"""The number formats a weight may have on disk, with the size of one number."""
_HEADER_LIMIT = 100_000_000
"""The format's own limit on a header, in bytes."""
_DOWNLOAD = "download the checkpoint again"


class CheckpointError(VoicestackError):
    """A checkpoint cannot be read or exported; the message names the file, the tensor or field, and the remedy."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where one tensor lies: its file, number format, shape, first byte and length in bytes."""

    path: Path
    dtype: str
    shape: tuple[int, ...]
    start: int
    length: int


class Checkpoint:
    """The config and the weights of one checkpoint folder; weights are read from disk each time they are asked for."""

    def __init__(self, folder: Path, config: dict[str, Any], places: Mapping[str, _Place]) -> None:
        self.folder = folder
        self.config = config
        self.names: frozenset[str] = frozenset(places)
        self._places = dict(places)

    @classmethod
    def open(cls, folder: Path) -> "Checkpoint":
        """Read a folder's config and the headers of its weight files; CheckpointError says what is wrong with it."""
        if not folder.is_dir():
            raise CheckpointError(f"{folder}: there is no such folder; give the folder that holds {CONFIG_FILE}")
        config = read_json(folder / CONFIG_FILE)
        if (folder / WEIGHTS_FILE).is_file():
            return cls(folder, config, _read_header(folder / WEIGHTS_FILE))
        if (folder / INDEX_FILE).is_file():
            return cls(folder, config, _read_shards(folder / INDEX_FILE))
        raise CheckpointError(f"{folder}: neither {WEIGHTS_FILE} nor {INDEX_FILE} is here; {_DOWNLOAD}")

    def shape(self, name: str) -> tuple[int, ...]:
        """A tensor's shape, without reading it."""
        return self._place(name).shape

    def tensor(self, name: str) -> FloatArray:
        """A tensor as float32, whatever it is on disk (bfloat16, float16 or float32); always finite."""
        place = self._place(name)
        if place.dtype not in _BYTES_OF:
            raise CheckpointError(
                f"{place.path}: tensor {name} is {place.dtype}, expected one of {', '.join(_BYTES_OF)}; "
                "give the checkpoint as published, not a quantised copy"
            )
        with place.path.open("rb") as file:
            file.seek(place.start)
            data = file.read(place.length)
        if len(data) != place.length:
            raise CheckpointError(f"{place.path}: the file ends inside tensor {name}; {_DOWNLOAD}")
        array = _as_float32(data, place.dtype).reshape(place.shape)
        if not np.isfinite(array).all():
            raise CheckpointError(f"{place.path}: tensor {name} holds NaN or infinity; {_DOWNLOAD}")
        return array

    def unused(self, used: Collection[str]) -> list[str]:
        """The names of the tensors that are not among the used ones, sorted."""
        return sorted(self.names.difference(used))

    def _place(self, name: str) -> _Place:
        if name not in self._places:
            raise CheckpointError(
                f"{self.folder}: tensor {name} is missing; is {CONFIG_FILE} of the same checkpoint as the weights?"
            )
        return self._places[name]


def read_json(path: Path) -> dict[str, Any]:
    """The object a JSON file of a checkpoint holds; CheckpointError names the file that does not hold one."""
    if not path.is_file():
        raise CheckpointError(f"{path}: this file is missing; {_DOWNLOAD}")
    try:
        value = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{path}: not valid JSON ({error}); {_DOWNLOAD}") from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{path}: expected a JSON object, got {type(value).__name__}; {_DOWNLOAD}")
    return value


def _read_shards(index: Path) -> dict[str, _Place]:
    """The tensors of a sharded checkpoint; every tensor of the index must be in the shard it names."""
    weight_map = read_json(index).get("weight_map")
    if not isinstance(weight_map, dict) or not all(isinstance(shard, str) for shard in weight_map.values()):
        raise CheckpointError(f"{index}: field weight_map is no object of file names; {_DOWNLOAD}")
    places: dict[str, _Place] = {}
    for shard in sorted(set(weight_map.values())):
        if Path(shard).name != shard:
            raise CheckpointError(f"{index}: shard {shard!r} is not a plain file name; {_DOWNLOAD}")
        path = index.parent / shard
        if not path.is_file():
            raise CheckpointError(f"{path}: this shard is named by {index.name} but missing; download it too")
        places |= _read_header(path)
    for name, shard in weight_map.items():
        if name not in places or places[name].path.name != shard:
            raise CheckpointError(f"{index.parent / shard}: tensor {name} should be in this shard; {_DOWNLOAD}")
    return places


def _read_header(path: Path) -> dict[str, _Place]:
    """Where the tensors of one safetensors file lie; CheckpointError when header and file do not fit."""
    size = path.stat().st_size
    with path.open("rb") as file:
        header_length = int.from_bytes(file.read(8), "little")
        if size < 8 or header_length > min(size - 8, _HEADER_LIMIT):
            raise CheckpointError(f"{path}: cut off, or not a safetensors file; {_DOWNLOAD}")
        raw = file.read(header_length)
    try:
        header = json.loads(raw)
        places = {
            name: _read_entry(path, entry, 8 + header_length)
            for name, entry in header.items()
            if name != "__metadata__"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"{path}: the safetensors header is broken ({error!r}); {_DOWNLOAD}") from error
    for name, place in places.items():
        if place.start + place.length > size:
            raise CheckpointError(f"{path}: cut off at {size} bytes, inside tensor {name}; {_DOWNLOAD}")
    return places


def _read_entry(path: Path, entry: Mapping[str, Any], data_start: int) -> _Place:
    begin, end = map(int, entry["data_offsets"])
    shape, dtype = tuple(map(int, entry["shape"])), str(entry["dtype"])
    length = end - begin
    # Formats that no weight has are let in here and refused when the tensor is asked for.
    if dtype in _BYTES_OF and (min(begin, *shape, 0) < 0 or length != math.prod(shape) * _BYTES_OF[dtype]):
        raise ValueError(f"offsets {begin}..{end} do not fit shape {shape} of {dtype}")
    return _Place(path, dtype, shape, data_start + begin, length)


def _as_float32(data: bytes, dtype: str) -> FloatArray:
    if dtype == "BF16":
        # A bfloat16 is the upper half of a float32.
        return (np.frombuffer(data, "<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)
    return np.frombuffer(data, "<f4" if dtype == "F32" else "<f2").astype(np.float32)
