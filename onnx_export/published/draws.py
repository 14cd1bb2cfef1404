"""Drawing inside a local head's graph: penalty, temperature, top-k, top-p, and the inverse of the distribution.

The uniforms come from the host. Every input is by stream, so streams with different wishes share a call.
"""

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto

from voicestack.runtime import names
from voicestack.runtime.published import generator_info as info

from .streamed_graph import StreamedGraph

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


@dataclass(frozen=True, slots=True)
class Wishes:
    """The sampling inputs, prepared once for all draws of a call.

    Those of channel 0 [B,1] and those of all codes apart: [B,depth], and with a column for each class [B,depth,W].
    `forced` are ids to take instead of drawing, where `is_forced`.
    """

    text_uniform: str
    text_inv_temperature: str
    text_rank_bias: str
    text_top_p: str
    text_forced: str
    text_is_forced: str
    uniforms: str
    rank_bias: str
    top_p: str
    gain: str
    negative_gain: str
    forced: str
    is_forced: str
    code_ranks: int


def declare_wishes(
    g: StreamedGraph, depth: int, classes: int, text_ranks: int, code_ranks: int, *, with_text: bool
) -> Wishes:
    """Declare the sampling inputs of a head of `depth` codes out of `classes`, and compute what all draws share."""
    channels = 1 + depth
    uniforms = g.input(names.UNIFORMS, FLOAT, ["batch", channels])
    inv_temperature = g.input(names.INV_TEMPERATURE, FLOAT, ["batch", channels])
    text_rank_bias, text_top_p = "", ""
    if with_text:
        text_rank_bias = g.input(info.TEXT_RANK_BIAS, FLOAT, ["batch", text_ranks])
        text_top_p = g.input(info.TEXT_TOP_P, FLOAT, ["batch", 1])
    rank_bias = g.input(names.RANK_BIAS, FLOAT, ["batch", code_ranks])
    top_p = g.input(names.TOP_P, FLOAT, ["batch", 1])
    seen = g.input(info.SEEN, BOOL, ["batch", depth, classes])
    penalty = g.op("Unsqueeze", g.input(names.PENALTY, FLOAT, ["batch", 1]), g.ints(2))
    forced = g.input(info.FORCED, INT64, ["batch", channels])
    text_inv_temperature, of_codes = g.split(inv_temperature, 1, depth, axis=1)
    # A seen code's logit is divided by the penalty when positive and multiplied when negative. With gain = 1/p and
    # negative_gain = p*p that is PRelu(logit * gain, negative_gain); for all other codes both are 1.
    gain = g.op("Where", seen, g.op("Reciprocal", penalty), g.scalar(1.0))
    gain = g.op("Mul", gain, g.op("Unsqueeze", of_codes, g.ints(2)))
    text_uniform, of_codes = g.split(uniforms, 1, depth, axis=1)
    text_forced, forced_codes = g.split(forced, 1, depth, axis=1)
    return Wishes(
        text_uniform=text_uniform,
        text_inv_temperature=text_inv_temperature,
        text_rank_bias=text_rank_bias,
        text_top_p=text_top_p,
        text_forced=text_forced,
        text_is_forced=g.op("GreaterOrEqual", text_forced, g.ints(0)),
        uniforms=of_codes,
        rank_bias=rank_bias,
        top_p=top_p,
        gain=gain,
        negative_gain=g.op("Where", seen, g.op("Mul", penalty, penalty), g.scalar(1.0)),
        forced=forced_codes,
        is_forced=g.op("GreaterOrEqual", forced_codes, g.ints(0)),
        code_ranks=code_ranks,
    )


def draw_code(g: StreamedGraph, logits: str, layer: str, wishes: Wishes) -> str:
    """The code of one layer, an int64 value [1], from its logits [B,W]; int64 [B,1]."""
    uniform, forced, is_forced = (
        g.op("Gather", value, layer, axis=1) for value in (wishes.uniforms, wishes.forced, wishes.is_forced)
    )
    alone = g.op("Squeeze", layer, g.ints(0))
    gain, negative_gain = (g.op("Gather", value, alone, axis=1) for value in (wishes.gain, wishes.negative_gain))
    penalised = g.op("PRelu", g.op("Mul", logits, gain), negative_gain)
    code = _draw_ranked(g, penalised, wishes.code_ranks, wishes.rank_bias, wishes.top_p, uniform)
    return g.op("Where", is_forced, forced, code)


def draw_token(g: StreamedGraph, logits: str, ranks: int, wishes: Wishes) -> str:
    """The token of channel 0 from the logits [B,V] of a whole vocabulary; int64 [B,1]."""
    scaled = g.op("Mul", logits, wishes.text_inv_temperature)
    token = _draw_ranked(g, scaled, ranks, wishes.text_rank_bias, wishes.text_top_p, wishes.text_uniform)
    return g.op("Where", wishes.text_is_forced, wishes.text_forced, token)


def draw_decision(g: StreamedGraph, logits: str, wishes: Wishes) -> str:
    """Go on (0) or end (1) from two logits [B,2]; int64 [B,1].

    Drawn in the order of the classes, as the published Nano graphs do: go on while the uniform is not above its
    probability.
    """
    scaled = g.op("Mul", logits, wishes.text_inv_temperature)
    probabilities = g.op("Softmax", scaled, axis=-1)
    go_on = g.op("Slice", probabilities, g.ints(0), g.ints(1), g.ints(1))
    drawn = g.op("Cast", g.op("Less", go_on, wishes.text_uniform), to=INT64)
    best = g.op("ArgMax", scaled, axis=1, keepdims=1)
    # Only the likelier one is left when top-k is 1, or when it alone exceeds top-p.
    second = g.op("Slice", wishes.text_rank_bias, g.ints(1), g.ints(2), g.ints(1))
    largest = g.op("ReduceMax", probabilities, g.ints(1))
    single = g.op("Or", g.op("Less", second, g.scalar(0.0)), g.op("Less", wishes.text_top_p, largest))
    return g.op("Where", wishes.text_is_forced, wishes.text_forced, g.op("Where", single, best, drawn))


def _draw_ranked(g: StreamedGraph, logits: str, ranks: int, rank_bias: str, top_p: str, uniform: str) -> str:
    """A draw from the likeliest ranks, walked from the likeliest down; int64 [B,1]."""
    values, ids = g.ops("TopK", logits, g.ints(ranks), out=2, axis=-1)
    probabilities = g.op("Softmax", g.op("Add", values, rank_bias), axis=-1)
    total = g.op("CumSum", probabilities, g.const(np.array(1, np.int64)))
    # Top-p keeps the ranks before which at most top_p has gathered; they are a prefix, so the kept mass is the
    # largest kept total, and the first total that reaches uniform * mass is the rank drawn.
    kept = g.op("LessOrEqual", g.op("Sub", total, probabilities), top_p)
    mass = g.op("ReduceMax", g.op("Where", kept, total, g.scalar(0.0)), g.ints(1))
    below = g.op("Less", total, g.op("Mul", mass, uniform))
    rank = g.op("ReduceSum", g.op("Cast", below, to=INT64), g.ints(1))
    return g.op("GatherElements", ids, rank, axis=1)
