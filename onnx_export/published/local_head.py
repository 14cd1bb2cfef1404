"""The local heads as graphs: the hidden state of a frame in, its stack of codes out, drawn inside.

The positions of a frame are the turns of a Loop, so that a head of any depth holds its layers once (written out, they
are packed for the kernels once a position at load, which takes seconds for the large heads). Each position attends to
those before it, whose keys and values the Loop carries. What differs by family is what a position is given and which
head reads it; what stands before the bar comes before the Loop:

    family       position 0          | turn 0                      turn j
    local        in(hidden): text    | in(text): code 0            in(code j-1): code j
    local_v1.5                       | hidden: decision, code 0    code j-1: code j
    realtime                         | hidden: code 0              code j-1: code j
    nano         hidden: decision    | slot: code 0                code j-1: code j

Each turn has a head of its own. A tree of Ifs finds it: so its weights are constants, which ONNX Runtime packs for
its kernels, and which can be of few bits.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import TensorProto

from voicestack.runtime import names
from voicestack.runtime.published import generator_info as info
from voicestack.runtime.published.generator_info import Family, GeneratorInfo

from ..graph_writer import MICROSOFT, Shape
from .blocks import Attend, final_norm, rotary_tables, run_layers, swiglu
from .draws import Wishes, declare_wishes, draw_code, draw_decision, draw_token
from .generator_config import GeneratorConfig
from .stacks import Stack
from .streamed_graph import StreamedGraph, Value

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
_NORM_EPS = 1e-6
"""Of the norms before the first MossTTSLocal's heads, which its config does not tell."""
_OWN_POSITION = (Family.LOCAL, Family.NANO)
"""The families whose channel 0 has a position of its own."""


@dataclass(frozen=True, slots=True)
class _Head:
    """What all positions share; `rotary` are cosines and sines of all of them, None without positions."""

    g: StreamedGraph
    config: GeneratorConfig
    local: Stack
    rotary: tuple[str, str] | None


def build_local_head(g: StreamedGraph, config: GeneratorConfig, sizes: GeneratorInfo, depth: int) -> onnx.ModelProto:
    """The graph hidden [B,H] and sampling inputs -> text [B], codes [B,depth], text_logits, logits [B,depth,W]."""
    local = config.local
    if local is None:
        raise ValueError(f"a generator of family {config.family} has no local head")
    hidden = g.input(names.HIDDEN, FLOAT, ["batch", config.backbone.hidden])
    with_text = config.text_head is not None
    wishes = declare_wishes(g, depth, config.code_classes, sizes.text_ranks, sizes.code_ranks, with_text=with_text)
    rotary = None
    if local.theta is not None:
        rotary = rotary_tables(g, local.theta, local.head_dim, 1 + depth, local.head_dim)
    head = _Head(g, config, local, rotary)
    x = g.lowered(g.op("Unsqueeze", hidden, g.ints(1)))
    past = _no_positions(head, hidden)
    first = 0
    if config.family in _OWN_POSITION:
        state, past = _position(head, x, g.ints(0), past)
        x, first = _text_embedding(head, _text_channel(head, sizes, state, wishes), x), 1
    first_state = _turns(head, x, past, wishes, depth, first)
    if config.family is Family.LOCAL_V15:
        _text_channel(head, sizes, first_state, wishes)
    return g.model()


def _text_channel(head: _Head, sizes: GeneratorInfo, state: str, wishes: Wishes) -> str:
    """Draw channel 0 from the state of position 0: a token or a decision [B,1]."""
    g, config = head.g, head.config
    rows = slice(None) if config.text_head_rows is None else list(config.text_head_rows)
    logits = g.logits(_head_input(head, 0, state), str(config.text_head), rows)
    if config.family is Family.LOCAL:
        text = draw_token(g, logits, sizes.text_ranks, wishes)
    else:
        text = draw_decision(g, logits, wishes)
    g.output(info.TEXT, g.op("Squeeze", text, g.ints(1)), INT64, ["batch"])
    g.output(info.TEXT_LOGITS, logits, FLOAT, ["batch", config.text_classes])
    return text


def _text_embedding(head: _Head, text: str, like: str) -> str:
    """What follows channel 0's own position: the embedding of what was drawn [B,1,H]."""
    g, table = head.g, head.g.loaded(head.config.text_table)
    if head.config.family is Family.LOCAL:
        return g.op("Gather", table, text)
    # The slot's embedding is put in whatever was decided: at the end nobody reads the codes.
    slot = g.op("Gather", table, g.const(np.array([[head.config.ids.slot]], np.int64)))
    return g.op("Expand", slot, g.op("Shape", like))


def _turns(head: _Head, x: str, past: list[str], wishes: Wishes, depth: int, first: int) -> str:
    """Draw all codes, the turns of a Loop that begins at position `first`; gives the state of turn 0 [B,1,local]."""
    g, config = head.g, head.config
    turn, go = "turn", "go"
    cache: Shape = ["batch", head.local.kv_heads, "positions", head.local.head_dim]
    carried: list[Value] = [("x", g.number, ["batch", 1, config.backbone.hidden])]
    carried += [(f"past_{place}", g.number, cache) for place in range(len(past))]

    def body() -> list[Value]:
        layer = g.op("Unsqueeze", turn, g.ints(0))
        place = g.op("Add", layer, g.ints(first)) if first else layer
        state, present = _position(head, "x", place, [name for name, *_ in carried[1:]])
        logits = _choose(g, turn, 0, depth, lambda j: _code_logits(head, j, state))
        code = draw_code(g, logits, layer, wishes)
        again: Value = (g.op("Identity", go), BOOL, [])
        kept: list[Value] = [(name, g.number, cache) for name in present]
        following: Value = (_code_embedding(head, layer, code), *carried[0][1:])
        given: list[Value] = [(code, INT64, ["batch", 1]), (logits, FLOAT, ["batch", config.code_classes])]
        given.append((state, g.number, ["batch", 1, head.local.hidden]))
        return [again, following, *kept, *given]

    inner = g.body("position", [(turn, INT64, []), (go, BOOL, []), *carried], body)
    count = g.const(np.array(depth, np.int64))
    out = g.ops("Loop", count, "", x, *past, out=len(carried) + 3, body=inner)
    codes, logits, states = out[-3:]
    codes = g.op("Transpose", g.op("Squeeze", codes, g.ints(2)), perm=[1, 0])
    g.output(names.CODES, codes, INT64, ["batch", depth])
    logits = g.op("Transpose", logits, perm=[1, 0, 2])
    g.output(info.LOGITS, logits, FLOAT, ["batch", depth, config.code_classes])
    return g.op("Gather", states, g.const(np.array(0, np.int64)))


def _choose(g: StreamedGraph, turn: str, low: int, high: int, build: Callable[[int], str]) -> str:
    """The value [B,W] that `build` makes for the turn at hand, one of low .. high - 1: a tree of Ifs."""
    if high - low == 1:
        return build(low)
    middle = (low + high) // 2

    def branch(begin: int, end: int) -> onnx.GraphProto:
        return g.branch(f"turns_{begin}_{end}", lambda: [(_choose(g, turn, begin, end, build), FLOAT, None)])

    early = g.op("Less", turn, g.const(np.array(middle, np.int64)))
    return g.op("If", early, then_branch=branch(low, middle), else_branch=branch(middle, high))


def _code_logits(head: _Head, layer: int, state: str) -> str:
    """The logits [B,W] of one layer's codes."""
    rows = slice(head.config.code_classes)
    return head.g.logits(_head_input(head, 1 + layer, state), head.config.code_heads[layer], rows)


def _code_embedding(head: _Head, layer: str, code: str) -> str:
    """The embedding [B,1,H] of a layer's code [B,1]; behind each layer's rows in the table is that of the null code."""
    g, config = head.g, head.config
    tables, rows = config.local_code_tables, config.codes_embedded + 1
    shape = (len(tables) * rows, config.backbone.hidden)
    table = g.stacked("local_code_tables", tables, shape, zero_rows=True)
    place = g.op("Add", code, g.op("Mul", layer, g.ints(rows)))
    # Nobody reads what follows the last code, for which there may be no table.
    return g.op("Gather", table, g.op("Min", place, g.ints(shape[0] - 1)))


def _position(head: _Head, x: str, place: str, past: list[str]) -> tuple[str, list[str]]:
    """Run one position x [B,1,H] through the local layers: its normed state [B,1,local], all keys and values."""
    g, config = head.g, head.config
    if config.mlp_ffn is not None:
        x = swiglu(g, "speech_embedding_to_local_mlp", x)
    present: list[str] = []
    state = final_norm(g, head.local, run_layers(g, head.local, x, _attention(head, place, past, present)))
    return state, present


def _head_input(head: _Head, channel: int, state: str) -> str:
    """What the head of a channel reads of a state [B,1,local]: [B,H]."""
    g = head.g
    if head.config.mlp_ffn is not None:
        wide = swiglu(g, f"local_to_speech_embedding_mlps.{channel}", state)
        state = g.rms_norm(wide, g.loaded(f"layer_norm_before_lm_heads.{channel}.weight"), _NORM_EPS)
    return g.reshape(state, 0, -1)


def _no_positions(head: _Head, hidden: str) -> list[str]:
    """Keys and values [B,kv_heads,0,head_dim] of each layer before the first position."""
    g, local = head.g, head.local
    batch = g.op("Shape", hidden, start=0, end=1)
    shape = g.op("Concat", batch, g.ints(local.kv_heads, 0, local.head_dim), axis=0)
    nothing = onnx.helper.make_tensor("value", g.number, [1], [0])
    return [g.op("ConstantOfShape", shape, value=nothing)] * (2 * local.layers)


def _attention(head: _Head, place: str, past: list[str], present: list[str]) -> Attend:
    """Attention of one position to itself and those before it; adds what is kept to `present`."""
    g, local = head.g, head.local
    heads, kv_heads, size = local.heads, local.kv_heads, local.head_dim

    def attend(layer: int, q: str, k: str, v: str) -> str:
        query, key = (_turned(head, place, value, n) for value, n in ((q, heads), (k, kv_heads)))
        query, value = g.reshape(query, 0, kv_heads, heads // kv_heads, size), g.reshape(v, 0, kv_heads, 1, size)
        key, value = (
            g.op("Concat", old, new, axis=2)
            for old, new in zip(past[2 * layer : 2 * layer + 2], (key, value), strict=True)
        )
        present.extend((key, value))
        scores = g.op("FusedMatMul", query, key, domain=MICROSOFT, transB=1, alpha=float(size**-0.5))
        mixed = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
        return g.reshape(mixed, 0, 1, heads * size)

    return attend


def _turned(head: _Head, place: str, value: str, heads: int) -> str:
    """Heads [B,1,heads,size] as [B,heads,1,size], turned to the present position."""
    g, local = head.g, head.local
    value = g.reshape(value, 0, heads, 1, local.head_dim)
    if head.rotary is None:
        return value
    turn = int(local.interleaved)
    return g.op("RotaryEmbedding", value, place, *head.rotary, domain=MICROSOFT, interleaved=turn)
