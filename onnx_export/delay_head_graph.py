"""The delay head as an ONNX graph: hidden state in, the codes of all layers out, drawn side by side.

No layer waits for another: each belongs to another frame (layer j lags j frames), so a handful of batched nodes do
what the local head needs a loop for. Inside, values are [depth,B,..], and so need no transposing between products.

A head may carry residuals: in the step of its first layer a frame's whole latent is foreseen, each layer is told what
the layers before it have left of that, and hands on what it leaves itself to the next, in the step behind.
"""

import numpy as np
import onnx

from voicestack.runtime import names

from .backbone_graph import with_null_row
from .graph_writer import MICROSOFT, FloatArray, GraphWriter, WeightFile, Weights
from .head_sampling import FLOAT, INT64, channel_logits, declare_inputs, sample_channel, sample_rank
from .specs import GeneratorConfig


def build_delay_head(weights: Weights, config: GeneratorConfig, depth: int, shared: WeightFile) -> onnx.ModelProto:
    """The graph hidden [B,d_model] and sampling inputs -> channel [B], codes [B,depth], as the local head's."""
    g = shared.graph(f"head_{depth}")
    inputs = declare_inputs(g, config, depth)
    uniform, uniforms = g.split(inputs.uniforms, 1, depth, axis=1)
    inv_temperature, inv_temperatures = g.split(inputs.inv_temperature, 1, depth, axis=1)
    channel = sample_channel(g, channel_logits(g, weights, inputs.hidden), inputs, inv_temperature, uniform)
    left = _left(g, weights, config, depth, inputs.hidden) if carries_residuals(weights) else ""
    logits = _logits(g, weights, config, depth, inputs.hidden, left)
    penalised = _penalised(g, logits, inputs.recent_codes, inputs.penalty)
    values, codes = g.ops("TopK", penalised, g.ints(names.TOP_K), out=2, axis=-1)
    # The order is the same at any temperature, so it is enough to scale the ranks that are kept.
    values = g.op("Mul", values, _by_layer(g, inv_temperatures))
    rank = sample_rank(g, values, inputs.rank_bias, inputs.top_p, _by_layer(g, uniforms))
    drawn = g.op("Squeeze", g.op("GatherElements", codes, rank, axis=2), g.ints(2))
    g.output(names.CHANNEL, g.op("Squeeze", channel, g.ints(1)), INT64, ["batch"])
    g.output(names.CODES, g.op("Transpose", drawn, perm=[1, 0]), INT64, ["batch", depth])
    if left:
        residuals = _next_residuals(g, weights, config, depth, left, drawn)
        g.output(names.NEXT_RESIDUALS, residuals, FLOAT, ["batch", depth - 1, config.latent])
    return g.model()


def carries_residuals(weights: Weights) -> bool:
    """Whether these are the weights of a head that carries residuals."""
    return "delay_residual" in weights


def place_weights(weights: Weights, shared: WeightFile) -> None:
    """Store what the graphs of all depths read their first layers of."""
    tables = [with_null_row(weights["codebooks"]), weights["delay_out"], _biases(weights)]
    for table in (*tables, *([weights["delay_residual"]] if carries_residuals(weights) else [])):
        shared.place_table(table, names.HEAD_DEPTHS)


def _by_layer(g: GraphWriter, values: str) -> str:
    """Values [B,depth] as [depth,B,1]."""
    return g.op("Unsqueeze", g.op("Transpose", values, perm=[1, 0]), g.ints(2))


def _left(g: GraphWriter, weights: Weights, config: GeneratorConfig, depth: int, hidden: str) -> str:
    """What is left of each layer's frame [depth,B,latent]: of the first layer's all that is foreseen of it now."""
    carried = g.input(names.RESIDUALS, FLOAT, ["batch", depth - 1, config.latent])
    foreseen = g.linear(hidden, "latent_out", weights["latent_out.weight"], weights["latent_out.bias"])
    first = g.op("Unsqueeze", foreseen, g.ints(0))
    return g.op("Concat", first, g.op("Transpose", carried, perm=[1, 0, 2]), axis=0)


def _next_residuals(
    g: GraphWriter, weights: Weights, config: GeneratorConfig, depth: int, left: str, codes: str
) -> str:
    """What codes [depth,B] leave of the frames for the layers behind them, [B,depth-1,latent]."""
    # One table for all layers, as in the backbone: layer j's codes start at row j * (codebook + 1).
    table = g.reshape(_codebooks(g, weights, depth), -1, config.latent)
    offsets = g.const((np.arange(depth) * (config.codebook + 1))[:, np.newaxis])
    rest = g.op("Sub", left, g.op("Gather", table, g.op("Add", codes, offsets)))
    return g.op("Transpose", g.op("Slice", rest, g.ints(0), g.ints(depth - 1), g.ints(0)), perm=[1, 0, 2])


def _codebooks(g: GraphWriter, weights: Weights, depth: int) -> str:
    return g.weight("codebooks", with_null_row(weights["codebooks"])[:depth])


def _logits(g: GraphWriter, weights: Weights, config: GeneratorConfig, depth: int, hidden: str, left: str) -> str:
    """Logits [depth,B,codebook+1] of all layers; the null code's is far below all others."""
    narrow = g.op("MatMul", hidden, g.weight("delay_out", weights["delay_out"][:depth]))
    if left:
        mixed = g.op("MatMul", left, g.weight("delay_residual", weights["delay_residual"][:depth]))
        narrow = g.op("Add", narrow, mixed)
    logits = g.op("FusedMatMul", narrow, _codebooks(g, weights, depth), domain=MICROSOFT, transB=1)
    bias = g.weight("delay_bias", _biases(weights)[:depth])
    masked = np.zeros((1, 1, config.codebook + 1), np.float32)
    masked[..., -1] = names.MASKED
    return g.op("Add", logits, g.op("Add", bias, g.const(masked)))


def _biases(weights: Weights) -> FloatArray:
    """Biases [n_vq,1,codebook+1] with one for the null code, which is masked in the graph."""
    return np.pad(weights["delay_bias"], ((0, 0), (0, 1)))[:, np.newaxis]


def _penalised(g: GraphWriter, logits: str, recent: str, penalty: str) -> str:
    """The logits with those of recent codes [B,depth,window] made less likely by the penalty [B,1]."""
    recent = g.op("Transpose", recent, perm=[1, 0, 2])
    chosen = g.op("GatherElements", logits, recent, axis=2)
    smaller = g.op(
        "Where", g.op("Greater", chosen, g.scalar(0.0)), g.op("Div", chosen, penalty), g.op("Mul", chosen, penalty)
    )
    # A code seen twice is written twice, with the same value.
    return g.op("ScatterElements", logits, recent, smaller, axis=2)
