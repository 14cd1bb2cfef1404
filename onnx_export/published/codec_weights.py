"""Which tensors a published codec has, under one name whatever generation wrote them, and the accounting of them.

The names used here are those of the second generation; `_ALIASES` lists what the first and older saves call them.
All tensors of a checkpoint are needed: one that is missing, of another shape, or unknown is an error.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .checkpoint import Checkpoint, CheckpointError
from .codec_config import CodecConfig, QuantiserConfig, TransformerConfig

FloatArray = NDArray[np.float32]
Shape = tuple[int, ...]

_ALIASES = {
    "self_attn.in_projs.0.weight": "self_attn.in_proj.weight",
    "self_attn.in_proj_weight": "self_attn.in_proj.weight",
    "self_attn.out_projs.0.weight": "self_attn.out_proj.weight",
    "linear1.weight": "ffn.0.weight",
    "linear2.weight": "ffn.2.weight",
    "weight_g": "parametrizations.weight.original0",
    "weight_v": "parametrizations.weight.original1",
}
_LISTED = 12
"""An error lists at most this many tensors."""


class CodecWeights:
    """The weights of a codec by their second-generation names, each read from disk when it is asked for."""

    def __init__(self, checkpoint: Checkpoint, config: CodecConfig) -> None:
        """Check every name and shape; CheckpointError lists the tensors that do not fit the config."""
        self._checkpoint = checkpoint
        self._names = {_canonical(name): name for name in sorted(checkpoint.names)}
        doubled = sorted(checkpoint.names.difference(self._names.values()))
        expected = dict(_codec_tensors(config))
        shapes = {name: checkpoint.shape(stored) for name, stored in self._names.items()}
        wrong = [
            f"{self._names[name]} has shape {list(shapes[name])}, the config says {list(shape)}"
            for name, shape in expected.items()
            if name in shapes and shapes[name] != shape
        ]
        problems = [
            _listed("missing tensors", sorted(expected.keys() - shapes.keys())),
            _listed("unknown tensors", [*sorted(self._names[name] for name in shapes.keys() - expected.keys())]),
            _listed("tensors stored twice under two names", doubled),
            _listed("tensors of a wrong shape", wrong),
        ]
        if any(problems):
            raise CheckpointError(
                f"{checkpoint.folder}: weights and config do not fit: {'; '.join(filter(None, problems))}; "
                "give a MOSS audio tokenizer's folder as published"
            )

    def tensor(self, name: str) -> FloatArray:
        """A tensor, float32."""
        return self._checkpoint.tensor(self._names[name])

    def normed_conv(self, name: str) -> tuple[FloatArray, FloatArray]:
        """Weight [out,in] and bias [out] of a weight-normed convolution of width 1: g * v / |v| per output."""
        gain = self.tensor(f"{name}.parametrizations.weight.original0")[:, :, 0].astype(np.float64)
        direction = self.tensor(f"{name}.parametrizations.weight.original1")[:, :, 0].astype(np.float64)
        length = np.linalg.norm(direction, axis=1, keepdims=True)
        if not length.all():
            raise CheckpointError(f"{self._checkpoint.folder}: {name} has a weight-normed row of length 0")
        return (gain * direction / length).astype(np.float32), self.tensor(f"{name}.bias")


def _canonical(name: str) -> str:
    for alias, known in _ALIASES.items():
        if name.endswith(f".{alias}"):
            return name.removesuffix(alias) + known
    return name


def _listed(what: str, names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{len(names)} {what}: {', '.join(names[:_LISTED])}{more}" if names else ""


def _codec_tensors(config: CodecConfig) -> Iterator[tuple[str, Shape]]:
    """Name and shape of every tensor of a codec."""
    for module in (*config.encoder, *config.decoder):
        if isinstance(module, TransformerConfig):
            yield from _transformer_tensors(module)
    yield from _quantiser_tensors(config.quantiser)


def _transformer_tensors(config: TransformerConfig) -> Iterator[tuple[str, Shape]]:
    d = config.d_model
    if config.in_projection:
        yield f"{config.name}.input_proj.weight", (d, config.in_dim)
    if config.out_projection:
        yield f"{config.name}.output_proj.weight", (config.out_dim, d)
    for layer in range(config.layers):
        prefix = f"{config.name}.transformer.layers.{layer}"
        for norm in ("norm1", "norm2"):
            yield f"{prefix}.{norm}.weight", (d,)
            yield f"{prefix}.{norm}.bias", (d,)
        yield f"{prefix}.self_attn.in_proj.weight", (3 * d, d)
        yield f"{prefix}.self_attn.out_proj.weight", (d, d)
        yield f"{prefix}.ffn.0.weight", (config.ff_dim, d)
        yield f"{prefix}.ffn.2.weight", (d, config.ff_dim)
        if config.layer_scale:
            yield f"{prefix}.layer_scale_1.scale", (d,)
            yield f"{prefix}.layer_scale_2.scale", (d,)


def _quantiser_tensors(config: QuantiserConfig) -> Iterator[tuple[str, Shape]]:
    # Between equal sizes there is no projection, in both generations.
    if config.in_dim != config.rvq_dim:
        yield from _conv_tensors("quantizer.input_proj", config.rvq_dim, config.in_dim)
    if config.out_dim != config.rvq_dim:
        yield from _conv_tensors("quantizer.output_proj", config.out_dim, config.rvq_dim)
    for index in range(config.n_vq):
        prefix = f"quantizer.quantizers.{index}"
        yield f"{prefix}.codebook.weight", (config.codebook_size, config.codebook_dim)
        yield from _conv_tensors(f"{prefix}.in_proj", config.codebook_dim, config.rvq_dim)
        yield from _conv_tensors(f"{prefix}.out_proj", config.rvq_dim, config.codebook_dim)


def _conv_tensors(name: str, out_dim: int, in_dim: int) -> Iterator[tuple[str, Shape]]:
    yield f"{name}.parametrizations.weight.original0", (out_dim, 1, 1)
    yield f"{name}.parametrizations.weight.original1", (out_dim, in_dim, 1)
    yield f"{name}.bias", (out_dim,)
