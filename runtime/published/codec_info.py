"""What a published codec's graphs need to be known of, as a part of a bundle's manifest, and their tensor names.

Both graphs remember, per attention layer, the keys and values of the last `context` - 1 positions (float32
[batch, heads, context - 1, head_dim], keys after RoPE); the host adds how many frames the stream has had.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from .. import names
from ..errors import BundleError
from ..manifest import REMEDY, StateSpec
from ..signatures import FLOAT, INT32, INT64, Signature

DECODER_FILE = names.CODEC_DECODER_FILE
ENCODER_FILE = "codec_encoder.onnx"
POSITION = "position"
"""Frames each stream had before this call, int64 [batch]."""
RING = "ring"
"""Bool [1]: what the queries of a call may look at. False: `context` positions each. True: the reference's own
streaming, whose buffer holds the last `context` positions at the END of the call."""


@dataclass(frozen=True, slots=True)
class AttentionStage:
    """One causal transformer: its place among the graph's modules, its sizes and its attention window.

    `context` is the window in positions, the current one counted; a frame has `positions_per_frame` of them.
    """

    module: int
    layers: int
    heads: int
    head_dim: int
    positions_per_frame: int
    context: int

    @property
    def window_shape(self) -> tuple[int, int, int]:
        """The shape of one layer's keys (and values) that a stream remembers."""
        return (self.heads, self.context - 1, self.head_dim)


@dataclass(frozen=True, slots=True)
class CodecGraph:
    """One graph of a codec: its file, the file of its weights, and its transformers in the order they run."""

    file: str
    weights_file: str
    stages: tuple[AttentionStage, ...]

    @property
    def windows(self) -> tuple[AttentionStage, ...]:
        """The stage of every attention layer; its place is the layer's number in the names of its tensors."""
        return tuple(stage for stage in self.stages for _ in range(stage.layers))

    @property
    def states(self) -> tuple[StateSpec, ...]:
        """The state inputs; zeros start a stream."""
        return tuple(
            StateSpec(name(layer), stage.window_shape)
            for layer, stage in enumerate(self.windows)
            for name in (names.past_key, names.past_value)
        )

    @property
    def next_names(self) -> Mapping[str, str]:
        """The output that holds the next value of each state, by the state's name."""
        layers = range(len(self.windows))
        keys = {names.past_key(layer): names.present_key(layer) for layer in layers}
        return MappingProxyType(keys | {names.past_value(layer): names.present_value(layer) for layer in layers})

    @property
    def ring_frames(self) -> int:
        """The longest call, in frames, that the ring mode can serve: one that fits the shortest window."""
        return min(stage.context // stage.positions_per_frame for stage in self.stages)


@dataclass(frozen=True, slots=True)
class CodecInfo:
    """A published codec: PCM and code sizes and its two graphs; `hop` is the samples per channel of one frame."""

    sample_rate_hz: int
    channels: int
    hop: int
    n_vq: int
    codebook_size: int
    decoder: CodecGraph
    encoder: CodecGraph

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate_hz / self.hop

    @property
    def null_code(self) -> int:
        """The code that contributes nothing."""
        return names.null_code(self.codebook_size)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: object, path: Path) -> "CodecInfo":
        """Check decoded JSON; BundleError names `path` and the field that is missing, unknown or wrong."""
        where = f"{path}: field codec"
        _known(data, where, cls)
        return cls(
            **_integers(data, where, "sample_rate_hz", "channels", "hop", "n_vq", "codebook_size"),
            decoder=_graph(_field(data, "decoder", where), f"{where}.decoder"),
            encoder=_graph(_field(data, "encoder", where), f"{where}.encoder"),
        )


def decoder_signature(info: CodecInfo) -> Signature:
    """The signature of the decoder: codes [B,F,n_vq] in, pcm [B,samples,channels] out."""
    codes = (INT64, (None, None, info.n_vq))
    return _signature(info.decoder, {names.CODES: codes}, {names.PCM: (FLOAT, (None, None, info.channels))})


def encoder_signature(info: CodecInfo) -> Signature:
    """The signature of the encoder: pcm [B,samples,channels] in, codes [B,F,n_vq] out."""
    codes = (INT32, (None, None, info.n_vq))
    return _signature(info.encoder, {names.PCM: (FLOAT, (None, None, info.channels))}, {names.CODES: codes})


_Values = dict[str, tuple[str, tuple[int | None, ...]]]


def _signature(graph: CodecGraph, inputs: _Values, outputs: _Values) -> Signature:
    states: _Values = {state.name: (FLOAT, (None, *state.shape)) for state in graph.states}
    next_states = {graph.next_names[name]: value for name, value in states.items()}
    host: _Values = {POSITION: (INT64, (None,)), RING: ("tensor(bool)", (1,))}
    return Signature(inputs | host | states, outputs | next_states)


def _graph(data: object, where: str) -> CodecGraph:
    _known(data, where, CodecGraph)
    stages = _field(data, "stages", where)
    if not isinstance(stages, Sequence) or isinstance(stages, str) or not stages:
        raise BundleError(f"{where}.stages must be a list of at least one stage, got {stages!r}; {REMEDY}")
    return CodecGraph(
        _file_name(data, "file", where),
        _file_name(data, "weights_file", where),
        tuple(_stage(stage, f"{where}.stages[{place}]") for place, stage in enumerate(stages)),
    )


def _stage(data: object, where: str) -> AttentionStage:
    _known(data, where, AttentionStage)
    sizes = _integers(data, where, "layers", "heads", "head_dim", "positions_per_frame", "context")
    return AttentionStage(module=_integer(data, "module", where, at_least=0), **sizes)


def _integers(data: object, where: str, *fields: str) -> dict[str, int]:
    return {field: _integer(data, field, where, at_least=1) for field in fields}


def _integer(data: object, field: str, where: str, at_least: int) -> int:
    value = _field(data, field, where)
    # JSON true is no number here.
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise BundleError(f"{where}.{field} must be an integer of at least {at_least}, got {value!r}; {REMEDY}")
    return value


def _file_name(data: object, field: str, where: str) -> str:
    value = _field(data, field, where)
    if not isinstance(value, str) or not value or "/" in value or "\\" in value or value in (".", ".."):
        raise BundleError(f"{where}.{field} must be a plain file name, got {value!r}; {REMEDY}")
    return value


def _known(data: object, where: str, kind: type) -> None:
    """Check that data is an object and has no field that `kind` has not."""
    if not isinstance(data, Mapping):
        raise BundleError(f"{where} must be an object, got {data!r}; {REMEDY}")
    for name in data:
        if name not in kind.__annotations__:
            raise BundleError(f"{where}.{name} is not known to this runtime; {REMEDY}")


def _field(data: object, field: str, where: str) -> object:
    values = cast(Mapping[str, object], data)
    if field not in values:
        raise BundleError(f"{where}.{field} is missing; {REMEDY}")
    return values[field]
