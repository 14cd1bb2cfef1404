"""The modules of a published codec as ONNX nodes: causal transformers with explicit KV windows, and time folding.

Values are [batch, time, channels]. What a query may look at, for a window of W positions (own one included) and a
call of S positions that starts at position p; the keys at hand are the W - 1 remembered ones and the S new ones:

    key      p-W+1 ...... p-1 | p ...... p+S-1
    query s  sees keys p+s-W+1 .. p+s, of these only those at positions >= 0

Attention is exact at any chunking: its keys are turned (RoPE) by their absolute positions, whose angles are
computed in float64, so an hour into a stream is as exact as its start.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from voicestack.runtime import names
from voicestack.runtime.published.codec_info import POSITION, RING, AttentionStage

from ..graph_writer import MICROSOFT
from .codec_config import Module, TransformerConfig
from .codec_weights import CodecWeights
from .streamed_graph import StreamedGraph

FLOAT, DOUBLE, INT64, BOOL = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64, TensorProto.BOOL
_EPS = 1e-5
_END = np.iinfo(np.int64).max


@dataclass(frozen=True, slots=True)
class _Call:
    """Values all layers of one transformer share in one call.

    `row` int64 [B,S] counts all positions of the batch, `cos` and `sin` float [B*S, head_dim/2] are their angles, and
    `bias` float [B,1,S,W-1+S] is what is added to the attention scores.
    """

    row: str
    cos: str
    sin: str
    bias: str


def attention_stages(modules: tuple[Module, ...]) -> tuple[AttentionStage, ...]:
    """What the runtime has to know of the transformers among a graph's modules."""
    return tuple(
        AttentionStage(place, m.layers, m.heads, m.head_dim, m.positions_per_frame, m.context)
        for place, m in enumerate(modules)
        if isinstance(m, TransformerConfig)
    )


def declare_stream_inputs(g: StreamedGraph) -> None:
    """Declare the inputs both graphs share beside their states: the streams' positions and the attention mode."""
    g.input(POSITION, INT64, ["batch"])
    g.input(RING, BOOL, [1])


def fold(g: StreamedGraph, x: str, channels: int, size: int, out: str) -> str:
    """Fold `size` steps into channels, [B,T,C] -> [B,T/size,C*size]; channel c, step k go to c * size + k."""
    steps = g.reshape(x, 0, -1, size, channels)
    return g.op("Reshape", g.op("Transpose", steps, perm=[0, 1, 3, 2]), g.ints(0, 0, -1), out=out)


def unfold(g: StreamedGraph, x: str, channels: int, size: int, out: str) -> str:
    """The inverse of `fold`, [B,T,C*size] -> [B,T*size,C]; `channels` is C."""
    steps = g.reshape(x, 0, 0, channels, size)
    return g.op("Reshape", g.op("Transpose", steps, perm=[0, 1, 3, 2]), g.ints(0, -1, channels), out=out)


def transformer(
    g: StreamedGraph, weights: CodecWeights, config: TransformerConfig, x: str, first: int, out: str
) -> str:
    """One causal transformer between its projections; `first` is the number of its first layer in the graph."""
    if config.in_projection:
        x = g.project(x, f"{config.name}.input_proj")
    call = _prepare(g, config, x)
    for layer in range(config.layers):
        x = _layer(g, weights, config, call, x, (layer, first + layer))
    if config.out_projection:
        x = g.project(x, f"{config.name}.output_proj")
    return g.op("Identity", x, out=out)


def _prepare(g: StreamedGraph, config: TransformerConfig, x: str) -> _Call:
    steps = g.op("Squeeze", g.op("Shape", x, start=1, end=2), g.ints(0))
    step = _range(g, steps)
    start = g.op("Mul", g.op("Unsqueeze", POSITION, g.ints(1)), g.ints(config.positions_per_frame))
    positions = g.op("Add", start, step)
    cos, sin = _angles(g, config, positions)
    row = g.op("Reshape", _range(g, g.op("Size", positions)), g.op("Shape", positions))
    return _Call(row, cos, sin, _attention_bias(g, config, start, step, steps))


def _range(g: StreamedGraph, end: str) -> str:
    zero, one = (g.const(np.array(value, np.int64)) for value in (0, 1))
    return g.op("Range", zero, end, one)


def _angles(g: StreamedGraph, config: TransformerConfig, positions: str) -> tuple[str, str]:
    """Cosines and sines of all positions; float64 until the end, since float32 loses an hour's last digits."""
    half = config.head_dim // 2
    frequencies = config.max_period ** (-np.arange(half, dtype=np.float64) / half)
    turns = g.op("Unsqueeze", g.op("Cast", g.op("Reshape", positions, g.ints(-1)), to=DOUBLE), g.ints(1))
    angles = g.op("Mul", turns, g.const(frequencies))
    cos, sin = (g.op("Cast", g.op(kind, angles), to=FLOAT) for kind in ("Cos", "Sin"))
    return cos, sin


def _attention_bias(g: StreamedGraph, config: TransformerConfig, start: str, step: str, steps: str) -> str:
    """0 where query s may see key k, else minus a lot: [B,1,S,W-1+S]. Key k lies at position start - (W-1) + k."""
    old = config.context - 1
    query = g.op("Unsqueeze", step, g.ints(1))
    key = _range(g, g.op("Add", steps, g.const(np.array(old, np.int64))))
    # The window starts at key s; in a ring, the window of the call's last query is all that is left for every query.
    last = g.op("Sub", steps, g.const(np.array(1, np.int64)))
    window = g.op("Where", RING, last, query)
    # Keys before the start of the stream do not exist.
    stream = g.op("Reshape", g.op("Sub", g.ints(old), start), g.ints(-1, 1, 1))
    seen = g.op("GreaterOrEqual", key, g.op("Max", window, stream))
    past = g.op("LessOrEqual", key, g.op("Add", query, g.ints(old)))
    bias = g.op("Where", g.op("And", seen, past), g.scalar(0.0), g.scalar(names.MASKED))
    return g.op("Unsqueeze", bias, g.ints(1))


def _layer(
    g: StreamedGraph, weights: CodecWeights, config: TransformerConfig, call: _Call, x: str, number: tuple[int, int]
) -> str:
    """One layer: x += scale1 * attention(norm1 x); x += scale2 * ffn(norm2 x).

    `number` is the layer's in its module and in the graph.
    """
    inner, outer = number
    prefix = f"{config.name}.transformer.layers.{inner}"
    qkv = g.project(_norm(g, f"{prefix}.norm1", x), f"{prefix}.self_attn.in_proj")
    attended = _attention(g, config, call, qkv, outer)
    x = g.op("Add", x, _scaled(g, weights, config, attended, prefix, "self_attn.out_proj", "layer_scale_1"))
    inside = g.op("Gelu", g.project(_norm(g, f"{prefix}.norm2", x), f"{prefix}.ffn.0"))
    return g.op("Add", x, _scaled(g, weights, config, inside, prefix, "ffn.2", "layer_scale_2"))


def _attention(g: StreamedGraph, config: TransformerConfig, call: _Call, qkv: str, layer: int) -> str:
    """Attention over the remembered and the new keys; declares the layer's states."""
    d = config.d_model
    window: list[str | int] = ["batch", config.heads, config.context - 1, config.head_dim]
    # Queries and keys are turned alike: one node for both, as twice the heads.
    both, value = g.split(qkv, 2 * d, d)
    both = g.op("RotaryEmbedding", both, call.row, call.cos, call.sin, domain=MICROSOFT, interleaved=1)
    query, key = g.split(both, d, d)
    past = [g.input(name(layer), FLOAT, window) for name in (names.past_key, names.past_value)]
    inputs = [query, key, value, "", "", call.bias, *past]
    attended, *present = g.ops("MultiHeadAttention", *inputs, domain=MICROSOFT, out=3, num_heads=config.heads)
    for name, kept in zip((names.present_key, names.present_value), present, strict=True):
        g.output(name(layer), g.op("Slice", kept, g.ints(1 - config.context), g.ints(_END), g.ints(2)), FLOAT, window)
    return attended


def _norm(g: StreamedGraph, name: str, x: str) -> str:
    return g.op("LayerNormalization", x, g.loaded(f"{name}.weight"), g.loaded(f"{name}.bias"), axis=-1, epsilon=_EPS)


def _scaled(
    g: StreamedGraph, weights: CodecWeights, config: TransformerConfig, x: str, prefix: str, linear: str, scale: str
) -> str:
    """A projection whose outputs are scaled per channel; the scale goes into the weights."""
    weight = weights.tensor(f"{prefix}.{linear}.weight")
    if config.layer_scale:
        weight = weight * weights.tensor(f"{prefix}.{scale}.scale")[:, None]
    return g.linear(x, f"{prefix}.{linear}", weight)
