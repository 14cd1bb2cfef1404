"""The backbone as an ONNX graph: prefill and decode in one, KV caches updated in place.

Rows of different length share a call. Past and present of a layer are to be bound to the same buffer; rows of
it beyond a stream's length are never read.
"""

import numpy as np
import onnx
from onnx import TensorProto

from voicestack.runtime import names
from voicestack.runtime.cue_clock import COLUMN_STARTS

from .graph_writer import MICROSOFT, FloatArray, GraphWriter, WeightFile, Weights
from .specs import GeneratorConfig

FLOAT, INT64, INT32 = TensorProto.FLOAT, TensorProto.INT64, TensorProto.INT32


def with_null_row(codebooks: FloatArray) -> FloatArray:
    """Codebooks [n_vq, size, latent] with the zero row of the null code behind each."""
    return np.pad(codebooks, ((0, 0), (0, 1), (0, 0)))


def build_backbone(weights: Weights, config: GeneratorConfig, shared: WeightFile) -> onnx.ModelProto:
    """The graph text_ids [B,S,9], codes [B,S,n_vq] and caches -> hidden [B,d_model] of each stream's last row."""
    g = shared.graph("backbone")
    text = g.input(names.TEXT, INT64, ["batch", "rows", names.TEXT_IDS])
    codes = g.input(names.CODES, INT64, ["batch", "rows", config.n_vq])
    lengths = [
        g.input(names.SEQLENS_K, INT32, ["batch"]),
        g.input(names.TOTAL_LENGTH, INT32, []),
    ]
    query_lengths = g.input(names.QUERY_SEQLENS, INT32, ["batch"])
    rotary = _rotary_tables(g, config)
    x = _embed(g, weights, config, text, codes)
    skip = ""
    for layer in range(config.layers):
        name = f"layers.{layer}"
        scale = g.weight(f"{name}.attn_norm.weight", weights[f"{name}.attn_norm.weight"])
        if skip:
            normed, x = g.add_rms_norm(x, skip, scale, config.eps)
        else:
            normed = g.rms_norm(x, scale, config.eps)
        mixed = _attention(g, weights, config, layer, normed, lengths, query_lengths, rotary)
        scale = g.weight(f"{name}.ffn_norm.weight", weights[f"{name}.ffn_norm.weight"])
        normed, x = g.add_rms_norm(x, mixed, scale, config.eps)
        skip = feed_forward(g, weights, name, normed)
    last = _last_rows(g, g.op("Add", x, skip), query_lengths)
    hidden = g.rms_norm(last, g.weight("norm.weight", weights["norm.weight"]), config.eps)
    g.output(names.HIDDEN, hidden, FLOAT, ["batch", config.d_model])
    return g.model()


def feed_forward(g: GraphWriter, weights: Weights, name: str, x: str) -> str:
    """down(silu(gate(x)) * up(x)) of one layer."""
    gate = g.linear(x, f"{name}.gate", weights[f"{name}.gate.weight"])
    up = g.linear(x, f"{name}.up", weights[f"{name}.up.weight"])
    return g.linear(g.op("Mul", g.silu(gate), up), f"{name}.down", weights[f"{name}.down.weight"])


def _embed(g: GraphWriter, weights: Weights, config: GeneratorConfig, text: str, codes: str) -> str:
    # One table for all columns: column c's ids start behind the rows of the columns before it.
    rows = g.op("Add", text, g.ints(*COLUMN_STARTS))
    columns = g.gather_bytes("text_table.weight", weights["text_table.weight"], rows)
    words = g.op("ReduceSum", columns, g.ints(2), keepdims=0)
    # One table for all layers: layer j's codes start at row j * (codebook + 1).
    table = g.reshape(g.weight("codebooks", with_null_row(weights["codebooks"])), -1, config.latent)
    offsets = g.ints(*(np.arange(config.n_vq) * (config.codebook + 1)).tolist())
    vectors = g.op("Gather", table, g.op("Add", codes, offsets))
    stack = g.linear(g.reshape(vectors, 0, 0, -1), "code_in", weights["code_in.weight"])
    return g.op("Add", words, stack)


def _attention(
    g: GraphWriter,
    weights: Weights,
    config: GeneratorConfig,
    layer: int,
    x: str,
    lengths: list[str],
    query_lengths: str,
    rotary: tuple[str, str],
) -> str:
    name = f"layers.{layer}"
    width, kv_width = config.heads * config.head_dim, config.kv_heads * config.head_dim
    packed = np.concatenate([weights[f"{name}.{part}.weight"] for part in "qkv"])
    q, k, v = g.split(g.linear(x, f"{name}.qkv", packed), width, kv_width, kv_width)
    normed = []
    for part, value in (("q_norm", q), ("k_norm", k)):
        scale = g.weight(f"{name}.{part}.weight", weights[f"{name}.{part}.weight"])
        heads = g.rms_norm(g.reshape(value, 0, 0, -1, config.head_dim), scale, config.eps)
        normed.append(g.reshape(heads, 0, 0, -1))
    cache: list[str | int] = ["batch", config.kv_heads, "capacity", config.head_dim]
    past = [g.input(of(layer), FLOAT, cache) for of in (names.past_key, names.past_value)]
    present = [names.present_key(layer), names.present_value(layer)]
    mixed, *_ = g.ops(
        "GroupQueryAttention",
        *(*normed, v, *past, *lengths, *rotary, "", "", "", "", "", "", "", query_lengths),
        domain=MICROSOFT,
        out=[f"attention_{layer}", *present],
        num_heads=config.heads,
        kv_num_heads=config.kv_heads,
        do_rotary=1,
        rotary_interleaved=0,
    )
    for out in present:
        g.output(out, out, FLOAT, cache)
    return g.linear(mixed, f"{name}.o", weights[f"{name}.o.weight"])


def _rotary_tables(g: GraphWriter, config: GeneratorConfig) -> tuple[str, str]:
    # In double, since a float32 angle of some thousand radians is off by 2e-4; folded when the graph is loaded.
    half = np.arange(0, config.head_dim, 2, dtype=np.float64) / config.head_dim
    frequencies = g.const(config.rope_theta ** -half[None])
    ends = [g.const(np.array(value, np.float64)) for value in (0, names.MAX_POSITIONS, 1)]
    angles = g.op("Mul", g.op("Unsqueeze", g.op("Range", *ends), g.ints(1)), frequencies)
    cos, sin = (g.op("Cast", g.op(kind, angles), to=FLOAT) for kind in ("Cos", "Sin"))
    return cos, sin


def _last_rows(g: GraphWriter, x: str, query_lengths: str) -> str:
    """Row query_length - 1 of each stream (row 0 of an idle one)."""
    last = g.op("Sub", g.op("Cast", query_lengths, to=INT64), g.ints(1))
    index = g.op("Unsqueeze", g.op("Max", last, g.ints(0)), g.ints(1))
    return g.op("GatherND", x, index, batch_dims=1)
