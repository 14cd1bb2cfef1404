"""What each graph of a bundle must take and give, derived from the manifest, and the check of a session against it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import names
from .errors import BundleError
from .manifest import REMEDY, Manifest
from .sessions import GraphSession

FLOAT, INT64, INT32 = "tensor(float)", "tensor(int64)", "tensor(int32)"


@dataclass(frozen=True, slots=True)
class Signature:
    """The dtype and shape of every input and output by name; None stands for an axis of any size."""

    inputs: Mapping[str, tuple[str, tuple[int | None, ...]]]
    outputs: Mapping[str, tuple[str, tuple[int | None, ...]]]


def backbone_signature(manifest: Manifest) -> Signature:
    """The signature of backbone.onnx."""
    spec = manifest.backbone
    cache = (FLOAT, (None, spec.kv_heads, None, spec.head_dim))
    layers = range(spec.layers)
    past = {of(layer): cache for layer in layers for of in (names.past_key, names.past_value)}
    present = {of(layer): cache for layer in layers for of in (names.present_key, names.present_value)}
    inputs = {
        names.TEXT: (INT64, (None, None, names.TEXT_IDS)),
        names.CODES: (INT64, (None, None, manifest.n_vq)),
        names.SEQLENS_K: (INT32, (None,)),
        names.QUERY_SEQLENS: (INT32, (None,)),
        names.TOTAL_LENGTH: (INT32, ()),
    }
    return Signature(inputs | past, {names.HIDDEN: (FLOAT, (None, spec.d_model)), **present})


def head_signature(manifest: Manifest, depth: int) -> Signature:
    """The signature of head_{depth}.onnx."""
    inputs: dict[str, tuple[str, tuple[int | None, ...]]] = {
        names.HIDDEN: (FLOAT, (None, manifest.backbone.d_model)),
        names.UNIFORMS: (FLOAT, (None, 1 + depth)),
        names.CHANNEL_BIAS: (FLOAT, (None, names.CHANNEL_CLASSES)),
        names.INV_TEMPERATURE: (FLOAT, (None, 1 + depth)),
        names.RANK_BIAS: (FLOAT, (None, names.TOP_K)),
        names.TOP_P: (FLOAT, (None, 1)),
        names.RECENT_CODES: (INT64, (None, depth, names.PENALTY_WINDOW)),
        names.PENALTY: (FLOAT, (None, 1)),
    }
    outputs: dict[str, tuple[str, tuple[int | None, ...]]]
    outputs = {names.CHANNEL: (INT64, (None,)), names.CODES: (INT64, (None, depth))}
    if manifest.residual_width:
        residuals = (FLOAT, (None, depth - 1, manifest.residual_width))
        inputs[names.RESIDUALS], outputs[names.NEXT_RESIDUALS] = residuals, residuals
    return Signature(inputs, outputs)


def codec_decoder_signature(manifest: Manifest) -> Signature:
    """The signature of codec_decoder.onnx."""
    states = {state.name: (FLOAT, (None, *state.shape)) for state in manifest.codec.states}
    return Signature(
        {
            names.CODES: (INT64, (None, None, manifest.n_vq)),
            **{names.STATE_PREFIX + name: shape for name, shape in states.items()},
        },
        {
            names.PCM: (FLOAT, (None, None)),
            **{names.NEXT_STATE_PREFIX + name: shape for name, shape in states.items()},
        },
    )


def check_session(session: GraphSession, expected: Signature, path: Path) -> None:
    """Compare a graph with its signature; BundleError names the file and the first tensor that differs."""
    inputs, outputs = session.signature()
    for side, wanted, got in (("input", expected.inputs, inputs), ("output", expected.outputs, outputs)):
        present = {value.name: value for value in got}
        for name, (dtype, shape) in wanted.items():
            if name not in present:
                raise BundleError(f"{path}: {side} {name} is missing from the graph; {REMEDY}")
            value = present.pop(name)
            if value.type != dtype:
                raise BundleError(f"{path}: {side} {name} is {value.type}, the manifest says {dtype}; {REMEDY}")
            if not _fits(value.shape, shape):
                raise BundleError(
                    f"{path}: {side} {name} has shape {_text(value.shape)}, the manifest says {_text(shape)}; {REMEDY}"
                )
        for name in present:
            raise BundleError(f"{path}: {side} {name} is not in the manifest; {REMEDY}")


def _fits(shape: list[str | int | None], wanted: tuple[int | None, ...]) -> bool:
    pairs = zip(shape, wanted, strict=False)
    same = all(size == got if size is not None else not isinstance(got, int) for got, size in pairs)
    return len(shape) == len(wanted) and same


def _text(shape: list[str | int | None] | tuple[int | None, ...]) -> str:
    return "[" + ", ".join("any" if not isinstance(size, int) else str(size) for size in shape) + "]"
