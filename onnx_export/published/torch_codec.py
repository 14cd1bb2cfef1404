"""A published codec as plain torch functions: whole clips at once, attention windows as masks."""

import torch
from torch import Tensor
from torch.nn import functional as F

from .codec_config import CodecConfig, Module, PatchConfig, TransformerConfig
from .torch_stacks import Load, attend, heads_of, rotate

_EPS = 1e-5


def decode(config: CodecConfig, load: Load, codes: Tensor) -> Tensor:
    """Codes [F,n_vq] of one clip -> sound [F * hop, channels]."""
    vectors = [
        _conv(
            load, f"quantizer.quantizers.{index}.out_proj", load(f"quantizer.quantizers.{index}.codebook.weight")[row]
        )
        for index, row in enumerate(codes.T)
    ]
    x = torch.stack(vectors).sum(0)[None]
    if config.quantiser.out_dim != config.quantiser.rvq_dim:
        x = _conv(load, "quantizer.output_proj", x)
    for module in config.decoder:
        # Channel c, step k of a folded vector is at c * size + k.
        x = _unfold(x, module.size) if isinstance(module, PatchConfig) else _transformer(module, load, x)
    return x.reshape(-1, config.channels)


def encode(config: CodecConfig, load: Load, sound: Tensor) -> tuple[Tensor, Tensor]:
    """Sound [F * hop, channels] -> codes [F,n_vq], and by how much each won over the second best cosine."""
    x = sound.reshape(1, -1, 1)
    for module in config.encoder:
        x = _fold(x, module.size) if isinstance(module, PatchConfig) else _transformer(module, load, x)
    quantiser = config.quantiser
    rest = _conv(load, "quantizer.input_proj", x[0]) if quantiser.in_dim != quantiser.rvq_dim else x[0]
    codes, margins = [], []
    for index in range(quantiser.n_vq):
        name = f"quantizer.quantizers.{index}"
        book = load(f"{name}.codebook.weight")
        cosines = F.normalize(_conv(load, f"{name}.in_proj", rest), dim=-1) @ F.normalize(book, dim=-1).T
        best = cosines.topk(2, -1)
        codes.append(best.indices[:, 0])
        margins.append(best.values[:, 0] - best.values[:, 1])
        rest = rest - _conv(load, f"{name}.out_proj", book[codes[-1]])
    return torch.stack(codes, 1), torch.stack(margins, 1)


def _transformer(config: TransformerConfig, load: Load, x: Tensor) -> Tensor:
    if config.in_projection:
        x = F.linear(x, load(f"{config.name}.input_proj.weight"))
    for layer in range(config.layers):
        name = f"{config.name}.transformer.layers.{layer}"
        packed = F.linear(_norm(load, f"{name}.norm1", x), load(f"{name}.self_attn.in_proj.weight"))
        q, k, v = (heads_of(part, config.heads) for part in packed.chunk(3, -1))
        q, k = (rotate(value, config.max_period, interleaved=True) for value in (q, k))
        mixed = F.linear(attend(q, k, v, config.context), load(f"{name}.self_attn.out_proj.weight"))
        x = x + mixed * (load(f"{name}.layer_scale_1.scale") if config.layer_scale else 1)
        wide = F.gelu(F.linear(_norm(load, f"{name}.norm2", x), load(f"{name}.ffn.0.weight")))
        narrow = F.linear(wide, load(f"{name}.ffn.2.weight"))
        x = x + narrow * (load(f"{name}.layer_scale_2.scale") if config.layer_scale else 1)
    return F.linear(x, load(f"{config.name}.output_proj.weight")) if config.out_projection else x


def _fold(x: Tensor, size: int) -> Tensor:
    """[B,T,C] -> [B,T/size,C * size]."""
    return x.reshape(len(x), -1, size, x.shape[2]).transpose(2, 3).flatten(2)


def _unfold(x: Tensor, size: int) -> Tensor:
    """[B,T,C * size] -> [B,T * size,C]."""
    return x.reshape(*x.shape[:2], -1, size).transpose(2, 3).flatten(1, 2)


def _norm(load: Load, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], load(f"{name}.weight"), load(f"{name}.bias"), _EPS)


def _conv(load: Load, name: str, x: Tensor) -> Tensor:
    """A weight-normed convolution of width 1."""
    gain, direction = (load(f"{name}.parametrizations.weight.original{part}")[..., 0] for part in (0, 1))
    return F.linear(x, gain * F.normalize(direction, dim=1), load(f"{name}.bias"))


def frames_beyond(modules: tuple[Module, ...]) -> int:
    """A number of frames that is more than every attention window."""
    stages = [module for module in modules if isinstance(module, TransformerConfig)]
    return 1 + max(-(-stage.context // stage.positions_per_frame) for stage in stages)
