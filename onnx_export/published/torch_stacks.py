"""The two kinds of transformer of published generators as plain torch functions: what the graphs are checked against.

Written for reading: whole sequences at once, no caches, no fusion. Weights are asked for layer by layer, so that a
large checkpoint never lies in memory as a whole.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from .stacks import GptStack, QwenStack, Stack

Load = Callable[[str], Tensor]
"""A checkpoint's tensor by name, float32."""


def run_stack(stack: Stack, load: Load, x: Tensor) -> Tensor:
    """All layers and the final norm on sequences x [B,S,hidden]."""
    for layer in range(stack.layers):
        x = _qwen_layer(stack, load, layer, x) if isinstance(stack, QwenStack) else _gpt_layer(stack, load, layer, x)
    if isinstance(stack, QwenStack):
        return rms_norm(x, load(f"{stack.prefix}norm.weight"), stack.eps)
    return _layer_norm(stack, load, f"{stack.prefix}ln_f", x)


def rms_norm(x: Tensor, scale: Tensor, eps: float) -> Tensor:
    """RMSNorm over the last axis."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + eps) * scale


def swiglu(load: Load, name: str, x: Tensor) -> Tensor:
    """down(silu(gate(x)) * up(x))."""
    gate, up, down = (load(f"{name}.{part}_proj.weight") for part in ("gate", "up", "down"))
    return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)


def rotate(x: Tensor, theta: float, *, interleaved: bool) -> Tensor:
    """Turn heads [B,heads,S,size] by their positions; a pair is two neighbours, or one of each half."""
    half = x.shape[-1] // 2
    frequencies = theta ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(x.shape[2], dtype=torch.float64)[:, None] * frequencies
    cos, sin = angles.cos().float(), angles.sin().float()
    if interleaved:
        one, other = x[..., 0::2], x[..., 1::2]
        return torch.stack((one * cos - other * sin, one * sin + other * cos), -1).flatten(-2)
    one, other = x[..., :half], x[..., half:]
    return torch.cat((one * cos - other * sin, one * sin + other * cos), -1)


def attend(q: Tensor, k: Tensor, v: Tensor, window: int | None = None) -> Tensor:
    """Causal attention of heads [B,heads,S,size] -> [B,S,heads * size]; each sees `window` positions, its own one too.

    Fewer heads of keys and values serve runs of neighbouring query heads.
    """
    shared = q.shape[1] // k.shape[1]
    k, v = (value.repeat_interleave(shared, 1) for value in (k, v))
    place = torch.arange(q.shape[2])
    distance = place[:, None] - place
    seen = (distance >= 0) & (distance < (window or len(place)))
    scores = (q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5).masked_fill(~seen, -torch.inf)
    mixed: Tensor = scores.softmax(-1) @ v
    return mixed.transpose(1, 2).flatten(2)


def heads_of(x: Tensor, heads: int) -> Tensor:
    """[B,S,heads * size] as [B,heads,S,size]."""
    return x.reshape(*x.shape[:2], heads, -1).transpose(1, 2)


def _qwen_layer(stack: QwenStack, load: Load, layer: int, x: Tensor) -> Tensor:
    name = f"{stack.prefix}layers.{layer}"
    normed = rms_norm(x, load(f"{name}.input_layernorm.weight"), stack.eps)
    counts = {"q": stack.heads, "k": stack.kv_heads, "v": stack.kv_heads}
    q, k, v = (
        heads_of(F.linear(normed, load(f"{name}.self_attn.{part}_proj.weight")), count)
        for part, count in counts.items()
    )
    q, k = (
        rms_norm(value, load(f"{name}.self_attn.{part}_norm.weight"), stack.eps) for part, value in (("q", q), ("k", k))
    )
    if stack.theta is not None:
        q, k = (rotate(value, stack.theta, interleaved=False) for value in (q, k))
    x = x + F.linear(attend(q, k, v), load(f"{name}.self_attn.o_proj.weight"))
    normed = rms_norm(x, load(f"{name}.post_attention_layernorm.weight"), stack.eps)
    return x + swiglu(load, f"{name}.mlp", normed)


def _gpt_layer(stack: GptStack, load: Load, layer: int, x: Tensor) -> Tensor:
    name = f"{stack.prefix}h.{layer}"
    packed = _linear(load, f"{name}.attn.c_attn", _layer_norm(stack, load, f"{name}.ln_1", x))
    q, k, v = (heads_of(part, stack.heads) for part in packed.chunk(3, -1))
    q, k = (rotate(value, stack.theta, interleaved=True) for value in (q, k))
    x = x + _linear(load, f"{name}.attn.c_proj", attend(q, k, v))
    wide = _linear(load, f"{name}.mlp.fc_in", _layer_norm(stack, load, f"{name}.ln_2", x))
    active = F.silu(wide) if stack.activation == "silu" else F.gelu(wide, approximate="tanh")
    return x + _linear(load, f"{name}.mlp.fc_out", active)


def _linear(load: Load, name: str, x: Tensor) -> Tensor:
    return F.linear(x, load(f"{name}.weight"), load(f"{name}.bias"))


def _layer_norm(stack: GptStack, load: Load, name: str, x: Tensor) -> Tensor:
    return F.layer_norm(x, x.shape[-1:], load(f"{name}.weight"), load(f"{name}.bias"), stack.eps)
