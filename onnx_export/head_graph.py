"""The fused local head as an ONNX graph: hidden state in, one whole stack of codes out, sampling inside.

The loop over the layers of a stack is unrolled: position 0 decides channel 0, position j makes the code of layer
j, each attending to the positions before it. All positions share their weights. What the codes so far have left of the
latent that the hidden state foretells goes along the loop, and draws the next code to itself. The graph is called once
a frame and is the largest part of a step, so what can be computed before the loop is, and nodes are few.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx

from voicestack.runtime import names

from .backbone_graph import feed_forward, with_null_row
from .graph_writer import MICROSOFT, FloatArray, GraphWriter, WeightFile, Weights
from .head_sampling import INT64, HeadInputs, channel_logits, declare_inputs, sample_channel, sample_rank
from .specs import GeneratorConfig


@dataclass(frozen=True, slots=True)
class _Sampling:
    """Values of the sampler that do not change over the positions of a call; lists are by position or layer."""

    inputs: HeadInputs
    uniforms: list[str]
    inv_temperature: list[str]
    gain: list[str]
    negative_gain: list[str]


@dataclass(slots=True)
class _Cache:
    """Keys and values of each local layer so far."""

    keys: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)


def build_head(weights: Weights, config: GeneratorConfig, depth: int, shared: WeightFile) -> onnx.ModelProto:
    """The graph hidden [B,d_model] and sampling inputs -> channel [B], codes [B,depth]."""
    g = shared.graph(f"head_{depth}")
    table = with_null_row(weights["codebooks"])
    sampling = _prepare_sampling(g, config, depth)
    hidden = sampling.inputs.hidden
    # [B,1,local_d]: the part of every position's input that comes from the backbone.
    base = g.op("Unsqueeze", g.linear(hidden, "local_in", weights["local_in.weight"]), g.ints(1))
    cache = _Cache()
    state = _position(g, weights, config, base, "", 0, cache)
    logits = g.reshape(channel_logits(g, weights, state), 0, -1)
    channel = sample_channel(g, logits, sampling.inputs, sampling.inv_temperature[0], sampling.uniforms[0])
    step = g.op("Gather", g.weight("channel_in.weight", weights["channel_in.weight"]), channel)
    left = _foretold(g, weights, hidden)
    codes: list[str] = []
    for layer in range(depth):
        if layer:
            before = layer - 1
            vector = g.op("Gather", g.weight(f"codebooks.{before}", table[before]), codes[-1])
            left = g.op("Sub", left, vector)
            step = g.op("MatMul", vector, g.weight(f"local_code_in.{before}", weights["local_code_in"][before]))
        state = _position(g, weights, config, base, step, layer + 1, cache)
        logits = _layer_logits(g, weights, table, layer, state, left, config.pull)
        codes.append(_sample_layer(g, logits, layer, sampling))
    g.output(names.CHANNEL, g.op("Squeeze", channel, g.ints(1)), INT64, ["batch"])
    g.output(names.CODES, g.op("Concat", *codes, axis=1), INT64, ["batch", depth])
    return g.model()


def _position(
    g: GraphWriter, weights: Weights, config: GeneratorConfig, base: str, step: str, position: int, cache: _Cache
) -> str:
    """Run one position through the local layers, appending to the cache; returns its normed state [B,1,local_d]."""
    place = g.weight(f"local_pos.{position}", weights["local_pos"][position])
    x, skip, bias = (base, step, place) if step else (g.op("Add", base, place), "", "")
    for layer in range(config.local_layers):
        name = f"local_layers.{layer}"
        scale = g.weight(f"{name}.attn_norm.weight", weights[f"{name}.attn_norm.weight"])
        if skip:
            normed, x = g.add_rms_norm(x, skip, scale, config.eps, bias)
        else:
            normed = g.rms_norm(x, scale, config.eps)
        mixed = _attention(g, weights, config, layer, normed, position, cache)
        scale = g.weight(f"{name}.ffn_norm.weight", weights[f"{name}.ffn_norm.weight"])
        normed, x = g.add_rms_norm(x, mixed, scale, config.eps)
        skip, bias = feed_forward(g, weights, name, normed), ""
    return g.add_rms_norm(x, skip, g.weight("local_norm.weight", weights["local_norm.weight"]), config.eps)[0]


def _attention(
    g: GraphWriter, weights: Weights, config: GeneratorConfig, layer: int, x: str, position: int, cache: _Cache
) -> str:
    name, heads, size = f"local_layers.{layer}", config.local_heads, config.local_head_dim
    packed, scale = _query_key(weights, name, size)
    both = g.reshape(g.linear(x, f"{name}.qk", packed), 0, 2 * heads, 1, size)
    query, key = g.split(g.rms_norm(both, g.const(scale), config.eps), heads, heads, axis=1)
    value = g.reshape(g.linear(x, f"{name}.v", weights[f"{name}.v.weight"]), 0, heads, 1, size)
    if position == 0:
        cache.keys.append(key)
        cache.values.append(value)
        # The only key gets all the attention.
        mixed = value
    else:
        cache.keys[layer] = key = g.op("Concat", cache.keys[layer], key, axis=2)
        cache.values[layer] = value = g.op("Concat", cache.values[layer], value, axis=2)
        scores = g.op("FusedMatMul", query, key, domain=MICROSOFT, transB=1)
        mixed = g.op("MatMul", g.op("Softmax", scores, axis=-1), value)
    return g.linear(g.reshape(mixed, 0, 1, heads * size), f"{name}.o", weights[f"{name}.o.weight"])


def _query_key(weights: Weights, name: str, size: int) -> tuple[FloatArray, FloatArray]:
    """Packed q and k weights, and the one norm scale [size] that serves both.

    Without rotary positions a score is sum(q * k * q_scale * k_scale), so any two scales with the same product do:
    the root of it on both sides, its sign moved into q, and the softmax's 1 / sqrt(size) along with it.
    """
    product = weights[f"{name}.q_norm.weight"] * weights[f"{name}.k_norm.weight"]
    scale = np.sqrt(np.abs(product) / np.sqrt(size)).astype(np.float32)
    query = weights[f"{name}.q.weight"]
    sign = np.tile(np.where(product < 0, -1, 1), len(query) // size)[:, None].astype(np.float32)
    return np.concatenate([query * sign, weights[f"{name}.k.weight"]]), scale


def _foretold(g: GraphWriter, weights: Weights, hidden: str) -> str:
    """The latent that the hidden state foretells [B,1,latent]; never in 8 bits, whose error would draw every code."""
    latent = g.exact_linear(hidden, "latent_out", weights["latent_out.weight"], weights["latent_out.bias"])
    return g.op("Unsqueeze", latent, g.ints(1))


def _layer_logits(
    g: GraphWriter, weights: Weights, table: FloatArray, layer: int, state: str, left: str, pull: float
) -> str:
    """Logits [B,codebook+1] of one layer, `left` [B,1,latent] to go; the null code's is far below all others."""
    narrow = g.op("MatMul", state, g.weight(f"local_out.{layer}", weights["local_out"][layer]))
    narrow = g.reshape(g.op("Add", narrow, left), 0, -1)
    bias = np.append(weights["local_bias"][layer], np.float32(0))
    masked = np.zeros_like(bias)
    masked[-1] = names.MASKED
    bias_name = g.op("Add", g.weight(f"local_bias.{layer}", bias), g.const(masked))
    codebook = g.weight(f"codebooks.{layer}", table[layer])
    return g.op("Gemm", narrow, codebook, bias_name, alpha=pull, transB=1)


def _prepare_sampling(g: GraphWriter, config: GeneratorConfig, depth: int) -> _Sampling:
    """Declare the sampling inputs and compute what all positions share."""
    inputs = declare_inputs(g, config, depth)
    # A recent code's logit is divided by the penalty when positive and multiplied when negative. With gain = 1/p and
    # negative_gain = p*p that is PRelu(logit * gain, negative_gain); for all other codes both are 1.
    width = config.codebook + 1
    shape = g.op("Concat", g.op("Shape", inputs.uniforms, start=0, end=1), g.ints(depth, width), axis=0)
    ones = g.op("Expand", g.scalar(1.0), shape)
    wide = g.op("Expand", g.op("Unsqueeze", inputs.penalty, g.ints(2)), g.op("Shape", inputs.recent_codes))
    tables = [
        g.op("ScatterElements", ones, inputs.recent_codes, g.op(kind, *factors), axis=2)
        for kind, factors in (("Reciprocal", (wide,)), ("Mul", (wide, wide)))
    ]
    temperatures = g.split(inputs.inv_temperature, *[1] * (1 + depth), axis=1)
    layer_temperature = g.op("Slice", inputs.inv_temperature, g.ints(1), g.ints(1 + depth), g.ints(1))
    tables[0] = g.op("Mul", tables[0], g.op("Unsqueeze", layer_temperature, g.ints(2)))
    gain, negative_gain = (g.split(g.reshape(value, 0, -1), *[width] * depth, axis=1) for value in tables)
    uniforms = g.split(inputs.uniforms, *[1] * (1 + depth), axis=1)
    return _Sampling(inputs, uniforms, temperatures, gain, negative_gain)


def _sample_layer(g: GraphWriter, logits: str, layer: int, sampling: _Sampling) -> str:
    """Draw the code of one layer from its logits; int64 [B,1]."""
    gained = g.op("Mul", logits, sampling.gain[layer])
    penalised = g.op("PRelu", gained, sampling.negative_gain[layer])
    values, codes = g.ops("TopK", penalised, g.ints(names.TOP_K), out=2, axis=-1)
    inputs = sampling.inputs
    rank = sample_rank(g, values, inputs.rank_bias, inputs.top_p, sampling.uniforms[layer + 1])
    return g.op("GatherElements", codes, rank, axis=1)
