"""The layers of both kinds of stack as graph nodes; how queries meet keys is given from outside.

The backbone attends with caches that live outside the graph, a local stack with keys that grow inside it.
"""

from collections.abc import Callable

import numpy as np

from .stacks import GptStack, QwenStack, Stack
from .streamed_graph import StreamedGraph

Attend = Callable[[int, str, str, str], str]
"""Layer, then q [B,S,heads,head_dim], k and v [B,S,kv_heads,head_dim] -> mixed values [B,S,heads * head_dim]."""


def run_layers(g: StreamedGraph, stack: Stack, x: str, attend: Attend) -> str:
    """All layers of a stack on x [B,S,hidden], without the final norm."""
    for layer in range(stack.layers):
        if isinstance(stack, QwenStack):
            x = _qwen_layer(g, stack, layer, x, attend)
        else:
            x = _gpt_layer(g, stack, layer, x, attend)
    return x


def final_norm(g: StreamedGraph, stack: Stack, x: str) -> str:
    """The norm behind the last layer."""
    if isinstance(stack, QwenStack):
        return g.rms_norm(x, g.loaded(f"{stack.prefix}norm.weight"), stack.eps)
    return _layer_norm(g, stack, f"{stack.prefix}ln_f", x)


def swiglu(g: StreamedGraph, name: str, x: str) -> str:
    """down(silu(gate(x)) * up(x)) with the weights `name`.{gate,up,down}_proj."""
    gate, up = (g.project(x, f"{name}.{part}_proj") for part in ("gate", "up"))
    return g.project(g.op("Mul", g.silu(gate), up), f"{name}.down_proj")


def rotary_tables(g: StreamedGraph, theta: float, head_dim: int, positions: int, width: int) -> tuple[str, str]:
    """Cosines and sines [positions, width / 2], made when the graph is loaded.

    Behind the pairs of a head of `head_dim` come pairs that do not turn, when `width` is more.
    """
    # In double, since a float32 angle of some thousand radians is off by 2e-4.
    powers = np.arange(0, head_dim, 2, dtype=np.float64) / head_dim
    frequencies = np.pad(theta**-powers, (0, (width - head_dim) // 2))
    ends = [g.const(np.array(value, np.float64)) for value in (0, positions, 1)]
    angles = g.op("Mul", g.op("Unsqueeze", g.op("Range", *ends), g.ints(1)), g.const(frequencies[None]))
    cos, sin = (g.op("Cast", g.op(kind, angles), to=g.number) for kind in ("Cos", "Sin"))
    return cos, sin


def _qwen_layer(g: StreamedGraph, stack: QwenStack, layer: int, x: str, attend: Attend) -> str:
    name, size = f"{stack.prefix}layers.{layer}", stack.head_dim
    normed = g.rms_norm(x, g.loaded(f"{name}.input_layernorm.weight"), stack.eps)
    packed = g.project(normed, *(f"{name}.self_attn.{part}_proj" for part in "qkv"))
    heads = g.reshape(packed, 0, 0, -1, size)
    q, k, v = g.split(heads, stack.heads, stack.kv_heads, stack.kv_heads, axis=2)
    q, k = (
        g.rms_norm(value, g.loaded(f"{name}.self_attn.{part}_norm.weight"), stack.eps)
        for part, value in (("q", q), ("k", k))
    )
    mixed = g.project(attend(layer, q, k, v), f"{name}.self_attn.o_proj")
    scale = g.loaded(f"{name}.post_attention_layernorm.weight")
    normed, x = g.add_rms_norm(x, mixed, scale, stack.eps)
    return g.op("Add", x, swiglu(g, f"{name}.mlp", normed))


def _gpt_layer(g: StreamedGraph, stack: GptStack, layer: int, x: str, attend: Attend) -> str:
    name, heads = f"{stack.prefix}h.{layer}", stack.heads
    packed = g.project(_layer_norm(g, stack, f"{name}.ln_1", x), f"{name}.attn.c_attn", bias=True)
    q, k, v = g.split(g.reshape(packed, 0, 0, -1, stack.head_dim), heads, heads, heads, axis=2)
    x = g.op("Add", x, g.project(attend(layer, q, k, v), f"{name}.attn.c_proj", bias=True))
    wide = g.project(_layer_norm(g, stack, f"{name}.ln_2", x), f"{name}.mlp.fc_in", bias=True)
    # gelu_new is the tanh form of Gelu.
    active = g.silu(wide) if stack.activation == "silu" else g.op("Gelu", wide, approximate="tanh")
    return g.op("Add", x, g.project(active, f"{name}.mlp.fc_out", bias=True))


def _layer_norm(g: StreamedGraph, stack: GptStack, name: str, x: str) -> str:
    scale, bias = g.loaded(f"{name}.weight"), g.loaded(f"{name}.bias")
    return g.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=stack.eps)
