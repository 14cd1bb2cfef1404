"""The tiny published codecs in tests/data: exported, with what the published code made of the same inputs."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicestack.onnx_export.published.checkpoint import Checkpoint
from voicestack.onnx_export.published.codec_export import export_codec
from voicestack.runtime.published.codec_info import CodecInfo

DATA = Path(__file__).parent / "data" / "published"
CODECS = ("codec24k", "codec_nano", "codec_v2")

Floats = NDArray[np.float32]
Codes = NDArray[np.int64]


@dataclass(frozen=True)
class CodecCase:
    """An exported codec in `folder`, and its reference arrays turned to [time, channels] and [frames, layers]."""

    name: str
    folder: Path
    info: CodecInfo
    arrays: Mapping[str, NDArray[Any]]

    @property
    def sound(self) -> Floats:
        """The sound to encode; its last frame is not complete."""
        return self.pcm("waveform")

    @property
    def whole_frames(self) -> int:
        return int(self.arrays["encode_lengths"][0])

    def codes(self, name: str) -> Codes:
        """An array of codes [n_vq, 1, frames] as [frames, n_vq]."""
        codes: Codes = self.arrays[name][:, 0].T
        return codes

    def pcm(self, name: str) -> Floats:
        """An array of sound [1, channels, samples] as [samples, channels]."""
        pcm: Floats = self.arrays[name][0].T
        return pcm

    def clips(self) -> list[Floats]:
        """The sounds of the reference batch."""
        return [array.T for name, array in self.arrays.items() if name.startswith("batch_wav")]


def load_case(name: str, folder: Path) -> CodecCase:
    """Export a codec into a folder and read its reference arrays."""
    info = export_codec(Checkpoint.open(DATA / name), folder)
    with np.load(DATA / name / "reference.npz") as file:
        return CodecCase(name, folder, info, dict(file))


def largest_difference(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The largest absolute difference of two arrays of one shape."""
    if one.shape != other.shape:
        raise AssertionError(f"shapes {one.shape} and {other.shape} differ")
    return float(np.abs(one - other).max(initial=0))


_FORMATS = {"float32": "F32", "float16": "F16", "uint16": "BF16", "int32": "I32"}


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write a safetensors file; a uint16 array stands for bfloat16."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, array in tensors.items():
        length = math.prod(array.shape) * array.itemsize
        header[name] = {
            "dtype": _FORMATS[array.dtype.name],
            "shape": array.shape,
            "data_offsets": [offset, offset + length],
        }
        offset += length
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + b"".join(array.tobytes() for array in tensors.values()))


def write_checkpoint(folder: Path, config: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> Path:
    """Write a checkpoint folder of one weight file."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    write_safetensors(folder / "model.safetensors", tensors)
    return folder
