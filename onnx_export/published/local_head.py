"""The local heads as graphs: the hidden state of a frame in, its stack of codes out, drawn inside.

The loop over the positions of a frame is unrolled; all positions share their weights, and each attends to those
before it. What differs by family is what a position is given and which head reads it:

    family       position 0          position 1          position j + 1
    local        in(hidden): text    in(text): code 0    in(code j-1): code j
    local_v1.5   hidden: decision, code 0                code j: code j+1
    realtime     hidden: code 0                          code j: code j+1
    nano         hidden: decision    slot: code 0        code j-1: code j
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
from onnx import TensorProto

from voicestack.runtime import names
from voicestack.runtime.published import generator_info as info
from voicestack.runtime.published.generator_info import Family, GeneratorInfo

from ..graph_writer import MICROSOFT
from .blocks import Attend, final_norm, rotary_tables, run_layers, swiglu
from .draws import Wishes, declare_wishes, draw_code, draw_decision, draw_token
from .generator_config import GeneratorConfig
from .stacks import Stack
from .weight_stream import StreamedGraph

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64
_NORM_EPS = 1e-6
"""Of the norms before the first MossTTSLocal's heads, which its config does not tell."""


@dataclass(slots=True)
class _Cache:
    """Positions done so far, and the keys and values [B,kv_heads,positions,head_dim] of each layer."""

    rotary: tuple[str, str] | None = None
    positions: int = 0
    keys: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


def build_local_head(g: StreamedGraph, config: GeneratorConfig, sizes: GeneratorInfo, depth: int) -> onnx.ModelProto:
    """The graph hidden [B,H] and sampling inputs -> text [B], codes [B,depth], text_logits, logits [B,depth,W]."""
    local = _local(config)
    hidden = g.input(names.HIDDEN, FLOAT, ["batch", config.backbone.hidden])
    with_text = config.text_head is not None
    wishes = declare_wishes(g, depth, config.code_classes, sizes.text_ranks, sizes.code_ranks, with_text=with_text)
    cache = _Cache()
    if local.theta is not None:
        cache.rotary = rotary_tables(g, local.theta, local.head_dim, 1 + depth, local.head_dim)
    state = _position(g, config, g.op("Unsqueeze", hidden, g.ints(1)), cache)
    state = _text_channel(g, config, sizes, state, wishes, cache)
    codes: list[str] = []
    logits: list[str] = []
    for layer in range(depth):
        if layer:
            table = g.padded_table(config.local_code_tables[layer - 1])
            state = _position(g, config, g.op("Gather", table, codes[-1]), cache)
        rows = slice(config.code_classes)
        logits.append(g.logits(_head_input(g, config, 1 + layer, state), config.code_heads[layer], rows))
        codes.append(draw_code(g, logits[-1], layer, wishes))
    g.output(names.CODES, g.op("Concat", *codes, axis=1), INT64, ["batch", depth])
    stacked = g.op("Concat", *(g.op("Unsqueeze", value, g.ints(1)) for value in logits), axis=1)
    g.output(info.LOGITS, stacked, FLOAT, ["batch", depth, config.code_classes])
    return g.model()


def _text_channel(
    g: StreamedGraph, config: GeneratorConfig, sizes: GeneratorInfo, state: str, wishes: Wishes, cache: _Cache
) -> str:
    """Draw channel 0, if there is one, from the state of position 0; returns the state that gives code 0."""
    if config.text_head is None:
        return state
    rows = slice(None) if config.text_head_rows is None else list(config.text_head_rows)
    logits = g.logits(_head_input(g, config, 0, state), config.text_head, rows)
    if config.family is Family.LOCAL:
        text = draw_token(g, logits, sizes.text_ranks, wishes)
        state = _position(g, config, g.op("Gather", g.loaded(config.text_table), text), cache)
    else:
        text = draw_decision(g, logits, wishes)
    if config.family is Family.NANO:
        # The slot's embedding is put in whatever was decided: at the end nobody reads the codes.
        state = _position(g, config, _slot_embedding(g, config, state), cache)
    g.output(info.TEXT, g.op("Squeeze", text, g.ints(1)), INT64, ["batch"])
    g.output(info.TEXT_LOGITS, logits, FLOAT, ["batch", config.text_classes])
    return state


def _slot_embedding(g: StreamedGraph, config: GeneratorConfig, like: str) -> str:
    """The text embedding of the assistant's slot for each stream [B,1,H]."""
    index = g.const(np.array([[config.ids.slot]], np.int64))
    return g.op("Expand", g.op("Gather", g.loaded(config.text_table), index), g.op("Shape", like))


def _position(g: StreamedGraph, config: GeneratorConfig, x: str, cache: _Cache) -> str:
    """Run one position x [B,1,H] through the local layers, appending to the cache; its normed state [B,1,local]."""
    local = _local(config)
    if config.mlp_ffn is not None:
        x = swiglu(g, "speech_embedding_to_local_mlp", x)
    x = final_norm(g, local, run_layers(g, local, x, _attention(g, local, cache)))
    cache.positions += 1
    return x


def _head_input(g: StreamedGraph, config: GeneratorConfig, channel: int, state: str) -> str:
    """What the head of a channel reads of a state [B,1,local]: [B,H]."""
    if config.mlp_ffn is not None:
        wide = swiglu(g, f"local_to_speech_embedding_mlps.{channel}", state)
        state = g.rms_norm(wide, g.loaded(f"layer_norm_before_lm_heads.{channel}.weight"), _NORM_EPS)
    return g.reshape(state, 0, -1)


def _attention(g: StreamedGraph, local: Stack, cache: _Cache) -> Attend:
    """Attention of one position to itself and those before it."""
    heads, kv_heads, size = local.heads, local.kv_heads, local.head_dim

    def attend(layer: int, q: str, k: str, v: str) -> str:
        query, key = (_turned(g, local, cache, value, n) for value, n in ((q, heads), (k, kv_heads)))
        query, value = g.reshape(query, 0, kv_heads, heads // kv_heads, size), g.reshape(v, 0, kv_heads, 1, size)
        if cache.positions:
            key = g.op("Concat", cache.keys[layer], key, axis=2)
            value = g.op("Concat", cache.values[layer], value, axis=2)
            cache.keys[layer], cache.values[layer] = key, value
        else:
            cache.keys.append(key)
            cache.values.append(value)
        scores = g.op("FusedMatMul", query, key, domain=MICROSOFT, transB=1, alpha=float(size**-0.5))
        mixed = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
        return g.reshape(mixed, 0, 1, heads * size)

    return attend


def _turned(g: StreamedGraph, local: Stack, cache: _Cache, value: str, heads: int) -> str:
    """Heads [B,1,heads,size] as [B,heads,1,size], turned to the present position."""
    value = g.reshape(value, 0, heads, 1, local.head_dim)
    if cache.rotary is None:
        return value
    place = g.ints(cache.positions)
    turn = int(local.interleaved)
    return g.op("RotaryEmbedding", value, place, *cache.rotary, domain=MICROSOFT, interleaved=turn)


def _local(config: GeneratorConfig) -> Stack:
    if config.local is None:
        raise ValueError(f"a generator of family {config.family} has no local head")
    return config.local
