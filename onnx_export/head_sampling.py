"""Drawing from logits inside a graph: what the heads of both kinds declare alike and draw alike."""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from voicestack.runtime import names

from .graph_writer import GraphWriter, Weights
from .specs import GeneratorConfig

FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


@dataclass(frozen=True, slots=True)
class HeadInputs:
    """The names of a head's inputs; their shapes are those of `head_signature`."""

    hidden: str
    uniforms: str
    channel_bias: str
    inv_temperature: str
    rank_bias: str
    top_p: str
    recent_codes: str
    penalty: str


def declare_inputs(g: GraphWriter, config: GeneratorConfig, depth: int) -> HeadInputs:
    """Declare what every head takes: hidden [B,d_model] and what a stream's sampling brings."""
    return HeadInputs(
        hidden=g.input(names.HIDDEN, FLOAT, ["batch", config.d_model]),
        channel_bias=g.input(names.CHANNEL_BIAS, FLOAT, ["batch", names.CHANNEL_CLASSES]),
        uniforms=g.input(names.UNIFORMS, FLOAT, ["batch", 1 + depth]),
        inv_temperature=g.input(names.INV_TEMPERATURE, FLOAT, ["batch", 1 + depth]),
        rank_bias=g.input(names.RANK_BIAS, FLOAT, ["batch", names.TOP_K]),
        top_p=g.input(names.TOP_P, FLOAT, ["batch", 1]),
        recent_codes=g.input(names.RECENT_CODES, INT64, ["batch", depth, names.PENALTY_WINDOW]),
        penalty=g.input(names.PENALTY, FLOAT, ["batch", 1]),
    )


def channel_logits(g: GraphWriter, weights: Weights, state: str) -> str:
    """Logits of channel 0 from a state [..,d]."""
    return g.linear(state, "channel_out", weights["channel_out.weight"], weights["channel_out.bias"])


def sample_channel(g: GraphWriter, logits: str, inputs: HeadInputs, inv_temperature: str, uniform: str) -> str:
    """Draw channel 0 from logits [B,3], or take its most likely class when the rank bias leaves one; int64 [B,1].

    `inv_temperature` and `uniform` [B,1] are channel 0's.
    """
    scaled = g.op("Mul", g.op("Add", logits, inputs.channel_bias), inv_temperature)
    total = g.op("CumSum", g.op("Softmax", scaled, axis=-1), g.const(np.array(1, np.int64)))
    ends = g.op("Slice", total, g.ints(0), g.ints(names.CHANNEL_CLASSES - 1), g.ints(1))
    drawn = _count_not_above(g, ends, uniform)
    best = g.op("ArgMax", scaled, axis=1, keepdims=1)
    second_rank = g.op("Slice", inputs.rank_bias, g.ints(1), g.ints(2), g.ints(1))
    return g.op("Where", g.op("Less", second_rank, g.scalar(0.0)), best, drawn)


def sample_rank(g: GraphWriter, values: str, rank_bias: str, top_p: str, uniform: str) -> str:
    """Draw a rank from scaled logits [..,TOP_K], sorted from high to low; int64 [..,1]."""
    probabilities = g.op("Softmax", g.op("Add", values, rank_bias), axis=-1)
    total = g.op("CumSum", probabilities, g.const(np.array(-1, np.int64)))
    # Top-p keeps the ranks before which less than top_p has gathered; they are a prefix, so the kept mass is the
    # largest kept total, and the first total above uniform * mass is the rank drawn.
    kept = g.op("Less", g.op("Sub", total, probabilities), top_p)
    mass = g.op("ReduceMax", g.op("Where", kept, total, g.scalar(0.0)), g.ints(-1))
    return _count_not_above(g, total, g.op("Mul", mass, uniform))


def _count_not_above(g: GraphWriter, values: str, limit: str) -> str:
    """How many values [..,n] are at most the limit [..,1]; int64 [..,1]."""
    return g.op("ReduceSum", g.op("Cast", g.op("LessOrEqual", values, limit), to=INT64), g.ints(-1))
