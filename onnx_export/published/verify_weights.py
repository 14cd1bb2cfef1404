"""The stored weights of a bundle against those of the checkpoint: names, shapes and values.

The graphs are built once more, without writing: where the exporter would store a tensor, the one that the bundle has
under that name is read and compared. One tensor is in memory at a time.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from voicestack.runtime import names
from voicestack.runtime.published import Check
from voicestack.runtime.published.codec_info import CodecInfo
from voicestack.runtime.published.generator_info import DELAY_HEAD_FILE, WEIGHTS_FILE, Family, GeneratorInfo

from ..graph_writer import FloatArray
from .backbone import build_backbone
from .checkpoint import Checkpoint
from .codec_config import CodecConfig
from .codec_decoder_graph import build_codec_decoder
from .codec_encoder_graph import build_codec_encoder
from .codec_weights import CodecWeights
from .delay_head import build_delay_head
from .form import Form
from .generator_config import GeneratorConfig
from .local_head import build_local_head
from .streamed_graph import StreamedGraph
from .weight_stream import DType, WeightStream

_LISTED = 10


@dataclass(frozen=True, slots=True)
class _Stored:
    """Where a graph has one of its tensors."""

    shape: tuple[int, ...]
    offset: int
    length: int


class _ComparingStream(WeightStream):
    """Takes the exporter's tensors and compares each with the one a graph of the bundle has under its name."""

    def __init__(self, graph: Path, weights: Path, dtype: DType) -> None:
        # Nothing is written, so the base class opens no file.
        self.path, self.dtype = weights, np.dtype(dtype)
        model = onnx.load(graph, load_external_data=False)
        self._tensors = {tensor.name: tensor for tensor in _initializers(model.graph) if tensor.external_data}
        self.problems: list[str] = []
        self.compared = 0
        self.left = set(self._tensors)

    def place(self, name: str, array: FloatArray) -> tuple[int, int]:
        """Compare a tensor."""
        return self.place_rows(name, [np.reshape(array, (len(array), -1))], shape=array.shape)

    def place_rows(
        self,
        name: str,
        parts: Iterable[FloatArray],
        *,
        zero_rows: bool = False,
        sources: Sequence[str] = (),
        shape: tuple[int, ...] | None = None,
    ) -> tuple[int, int]:
        """Compare a table part by part."""
        stored = self._stored_as(name)
        if stored is None:
            return 0, 0
        start = offset = stored.offset
        rows = width = 0
        for part in parts:
            wanted = np.pad(part, ((0, int(zero_rows)), (0, 0))).astype(self.dtype)
            self._compare(name, offset, wanted)
            offset, rows, width = offset + wanted.nbytes, rows + len(wanted), wanted.shape[1]
        shape = shape or (rows, width)
        self._compare_size(name, stored, shape, math.prod(shape) * self.dtype.itemsize)
        return start, offset - start

    def place_as_is(self, name: str, array: NDArray[Any]) -> tuple[int, int]:
        """Compare an array in its own number format."""
        stored = self._stored_as(name)
        if stored is None:
            return 0, 0
        self._compare(name, stored.offset, array)
        self._compare_size(name, stored, array.shape, array.nbytes)
        return stored.offset, array.nbytes

    def _stored_as(self, name: str) -> _Stored | None:
        tensor = self._tensors.get(name)
        if tensor is None:
            self.problems.append(f"{name} is missing")
            return None
        self.left.discard(name)
        self.compared += 1
        place = {entry.key: entry.value for entry in tensor.external_data}
        return _Stored(tuple(tensor.dims), int(place.get("offset", 0)), int(place.get("length", -1)))

    def _compare(self, name: str, offset: int, wanted: NDArray[Any]) -> None:
        found = np.fromfile(self.path, wanted.dtype, wanted.size, offset=offset)
        differing = wanted.size if found.size != wanted.size else int((found != wanted.ravel()).sum())
        if differing:
            self.problems.append(f"{differing} values of {name} differ")

    def _compare_size(self, name: str, stored: _Stored, shape: tuple[int, ...], length: int) -> None:
        if stored.shape != shape or stored.length != length:
            self.problems.append(f"{name} has shape {list(stored.shape)} instead of {list(shape)}")


def _initializers(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Those of a graph, and of all graphs inside it."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _initializers(attribute.g)


def check_generator_weights(
    folder: Path, info: GeneratorInfo, config: GeneratorConfig, checkpoint: Checkpoint, form: Form
) -> Iterator[Check]:
    """A check for each graph of a generator."""

    def load(name: str) -> FloatArray:
        return checkpoint.tensor(name if name in checkpoint.names else config.tied.get(name, name))

    def graph(file: str) -> tuple[_ComparingStream, StreamedGraph]:
        stream = _ComparingStream(folder / file, folder / WEIGHTS_FILE, form.dtype)
        return stream, form.graph(Path(file).stem, stream, load)

    stream, writer = graph(names.BACKBONE_FILE)
    build_backbone(writer, config, form.target)
    yield _told(names.BACKBONE_FILE, stream)
    if info.family is Family.DELAY:
        stream, writer = graph(DELAY_HEAD_FILE)
        build_delay_head(writer, config)
        yield _told(DELAY_HEAD_FILE, stream)
    for depth in info.head_depths:
        stream, writer = graph(names.head_file(depth))
        build_local_head(writer, config, info, depth)
        yield _told(names.head_file(depth), stream)


def check_codec_weights(
    folder: Path, info: CodecInfo, config: CodecConfig, checkpoint: Checkpoint, dtype: DType
) -> Iterator[Check]:
    """A check for each graph of a codec."""
    weights = CodecWeights(checkpoint, config)
    for graph, build in ((info.decoder, build_codec_decoder), (info.encoder, build_codec_encoder)):
        stream = _ComparingStream(folder / graph.file, folder / graph.weights_file, dtype)
        build(weights, config, stream)
        yield _told(graph.file, stream)


def _told(file: str, stream: _ComparingStream) -> Check:
    problems = [*stream.problems, *(f"{name} is not in the checkpoint" for name in sorted(stream.left))]
    more = f" and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    what = f"names, shapes and values of {stream.compared} stored weights"
    return Check(file, what, problem="; ".join(problems[:_LISTED]) + more)
