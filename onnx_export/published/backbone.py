"""The backbone of a published generator as a graph: prefill and decode in one, caches updated in place.

Streams of different length share a call. Past and present of a layer are to be bound to the same buffer; rows of
it beyond a stream's length are never read.

The CPU's attention takes the number of new rows of each stream. That of the CUDA packages of ONNX Runtime, a release
behind, does not: there a call is either one row of each of some streams, or any number of rows of one stream.
"""

import numpy as np
import onnx
from onnx import TensorProto

from voicestack.runtime import names
from voicestack.runtime.published.generator_info import Target

from ..graph_writer import MICROSOFT
from .blocks import Attend, final_norm, rotary_tables, run_layers
from .generator_config import GeneratorConfig
from .stacks import Stack
from .streamed_graph import StreamedGraph

FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32
_HEAD_MULTIPLES = {Target.CPU: 8, Target.CUDA: 16}
"""GroupQueryAttention takes head sizes that are multiples of this; before 1.32, of 16 where it turns them."""


def cache_head_dim(stack: Stack, target: Target) -> int:
    """The head size in the caches: the stack's own, made up to what the attention kernel takes."""
    return -(-stack.head_dim // _HEAD_MULTIPLES[target]) * _HEAD_MULTIPLES[target]


def build_backbone(g: StreamedGraph, config: GeneratorConfig, target: Target = Target.CPU) -> onnx.ModelProto:
    """The graph text_ids [B,S], codes [B,S,n] and caches -> hidden [B,H] of each stream's last row, normed."""
    stack = config.backbone
    text = g.input(names.TEXT, INT64, ["batch", "rows"])
    codes = g.input(names.CODES, INT64, ["batch", "rows", config.n_vq])
    lengths = [g.input(names.SEQLENS_K, INT32, ["batch"]), g.input(names.TOTAL_LENGTH, INT32, [])]
    query_lengths = g.input(names.QUERY_SEQLENS, INT32, ["batch"]) if target is Target.CPU else ""
    attend = _attention(g, config, target, lengths, query_lengths)
    x = run_layers(g, stack, _embed(g, config, text, codes), attend)
    last = _last_rows(g, x, query_lengths) if query_lengths else g.op("Gather", x, g.const(np.array(-1)), axis=1)
    g.output(names.HIDDEN, g.raised(final_norm(g, stack, last)), FLOAT, ["batch", stack.hidden])
    return g.model()


def _embed(g: StreamedGraph, config: GeneratorConfig, text: str, codes: str) -> str:
    """The sum of a row's embeddings [B,S,H]; one table for all codebooks, each with its zero row behind it."""
    rows = config.codes_embedded + 1
    shape = (config.n_vq * rows, config.backbone.hidden)
    table = g.stacked("code_tables", config.code_tables, shape, zero_rows=True)
    places = g.op("Add", codes, g.ints(*(np.arange(config.n_vq) * rows).tolist()))
    stack = g.op("ReduceSum", g.op("Gather", table, places), g.ints(2), keepdims=0)
    return g.op("Add", g.op("Gather", g.loaded(config.text_table), text), stack)


def _attention(
    g: StreamedGraph, config: GeneratorConfig, target: Target, lengths: list[str], query_lengths: str
) -> Attend:
    """Attention over the caches, which are declared as inputs and outputs layer by layer."""
    stack = config.backbone
    size = cache_head_dim(stack, target)
    if stack.theta is None or (size != stack.head_dim and not stack.interleaved):
        multiple = _HEAD_MULTIPLES[target]
        raise ValueError(f"a backbone needs positions, and heads that are a multiple of {multiple} wide")
    rotary = rotary_tables(g, stack.theta, stack.head_dim, config.max_positions, size)
    cache: list[str | int] = ["batch", stack.kv_heads, "capacity", size]

    def attend(layer: int, q: str, k: str, v: str) -> str:
        past = [g.input(of(layer), g.number, cache) for of in (names.past_key, names.past_value)]
        present = [names.present_key(layer), names.present_value(layer)]
        mixed, *_ = g.ops(
            "GroupQueryAttention",
            *(_widened(g, value, size - stack.head_dim) for value in (q, k, v)),
            *(*past, *lengths, *rotary, *(["", "", "", "", "", "", "", query_lengths] if query_lengths else [])),
            domain=MICROSOFT,
            out=[f"attention_{layer}", *present],
            num_heads=stack.heads,
            kv_num_heads=stack.kv_heads,
            scale=float(stack.head_dim**-0.5),
            do_rotary=1,
            rotary_interleaved=int(stack.interleaved),
        )
        for out in present:
            g.output(out, out, g.number, cache)
        return mixed if size == stack.head_dim else _narrowed(g, stack, mixed, size)

    return attend


def _widened(g: StreamedGraph, value: str, extra: int) -> str:
    """Heads side by side [B,S,heads * size], zeros behind each when the kernel wants wider ones."""
    if extra:
        value = g.op("Pad", value, g.ints(0, 0, 0, 0, 0, 0, 0, extra))
    return g.reshape(value, 0, 0, -1)


def _narrowed(g: StreamedGraph, stack: Stack, mixed: str, size: int) -> str:
    """The same without what `_widened` added."""
    heads = g.reshape(mixed, 0, 0, -1, size)
    return g.reshape(g.op("Slice", heads, g.ints(0), g.ints(stack.head_dim), g.ints(3)), 0, 0, -1)


def _last_rows(g: StreamedGraph, x: str, query_lengths: str) -> str:
    """Row query_length - 1 of each stream (row 0 of an idle one)."""
    last = g.op("Sub", g.op("Cast", query_lengths, to=INT64), g.ints(1))
    index = g.op("Unsqueeze", g.op("Max", last, g.ints(0)), g.ints(1))
    return g.op("GatherND", x, index, batch_dims=1)
