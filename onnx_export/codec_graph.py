"""The codec decoder as an ONNX graph: codes to samples, streaming state in and out, any chunking exact.

codes -> latent (12.5 Hz) -> stages at 12.5, 25, 50, 100 Hz -> spectrum -> 960-sample pieces, one each 240
step m makes samples 240m - 720 .. 240m + 240; its first 240 are final, the rest waits in the overlap state:

    step m      |aaaa|bbbb|cccc|dddd|
    step m+1         |aaaa|bbbb|cccc|dddd|
    final after m+1: ^^^^

Phases ride on a pitch that the decoder tells and integrates (`training/codec_model.py`); how far that has turned by the
last step is a state, too.
"""

import numpy as np
import onnx
from onnx import TensorProto

from voicestack.runtime import names
from voicestack.runtime.manifest import StateSpec

from .backbone_graph import with_null_row
from .graph_writer import GraphWriter, WeightFile, Weights
from .specs import CodecConfig

FLOAT, DOUBLE, INT64 = TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.INT64


def delay_samples(config: CodecConfig) -> int:
    """How many samples the decoder's output is late."""
    return config.n_fft - config.hop


def codec_states(config: CodecConfig) -> tuple[StateSpec, ...]:
    """The decoder's state tensors: the last inputs of each convolution, the turn of the pitch, the overlap tail."""
    states = [
        StateSpec(names.conv_state(stage, block), (config.kernels[stage] - 1, config.d))
        for stage, blocks in enumerate(config.blocks)
        for block in range(blocks)
    ]
    return (*states, StateSpec(names.TURN_STATE, (1,)), StateSpec(names.OVERLAP_STATE, (delay_samples(config),)))


def build_codec_decoder(weights: Weights, config: CodecConfig, shared: WeightFile) -> onnx.ModelProto:
    """The graph codes [B,F,n_vq] and states -> pcm [B,F*frame_samples] and next states."""
    # Never in 8 bits: its matrices meet many rows at once, where those are slower without int8 dot products, and what
    # rounding does to it can be heard more directly than what it does to a choice of codes.
    g = GraphWriter("codec_decoder", shared, names.WEIGHTS_FILE)
    codes = g.input(names.CODES, INT64, ["batch", "frames", config.n_vq])
    states = {
        state.name: g.input(names.STATE_PREFIX + state.name, FLOAT, ["batch", *state.shape])
        for state in codec_states(config)
    }
    table = g.reshape(g.weight("codebooks", with_null_row(weights["codebooks"])), -1, config.latent)
    offsets = g.ints(*(np.arange(config.n_vq) * (config.codebook + 1)).tolist())
    vectors = g.op("Gather", table, g.op("Add", codes, offsets))
    latent = g.op("ReduceSum", vectors, g.ints(2), keepdims=0)
    x = g.linear(latent, "latent_in", weights["latent_in.weight"], weights["latent_in.bias"])
    for stage, blocks in enumerate(config.blocks):
        taps = _tap_places(g, x, config.kernels[stage])
        for block in range(blocks):
            x = _block(g, weights, config, (stage, block), x, states[names.conv_state(stage, block)], taps)
        if stage + 1 < len(config.blocks):
            name = f"upsamples.{stage}"
            x = g.reshape(g.linear(x, name, weights[f"{name}.weight"], weights[f"{name}.bias"]), 0, -1, config.d)
    pieces, turn = _synthesise(g, weights, config, x, states[names.TURN_STATE])
    pcm, tail = _overlap_add(g, config, pieces, states[names.OVERLAP_STATE])
    g.output(names.PCM, pcm, FLOAT, ["batch", "samples"])
    g.output(names.NEXT_STATE_PREFIX + names.TURN_STATE, turn, FLOAT, ["batch", 1])
    g.output(names.NEXT_STATE_PREFIX + names.OVERLAP_STATE, tail, FLOAT, ["batch", delay_samples(config)])
    return g.model()


def _block(
    g: GraphWriter, weights: Weights, config: CodecConfig, place: tuple[int, int], x: str, state: str, taps: str
) -> str:
    """One block: x + down(silu(up(norm(causal depthwise conv(x)))))."""
    stage, block = place
    name, kernel = f"stages.{stage}.{block}", config.kernels[stage]
    history = g.op("Concat", state, x, axis=1)
    end = g.ints(np.iinfo(np.int64).max)
    kept = g.op("Slice", history, g.ints(1 - kernel), end, g.ints(1))
    next_name = names.NEXT_STATE_PREFIX + names.conv_state(stage, block)
    g.output(next_name, kept, FLOAT, ["batch", kernel - 1, config.d])
    conv = _depthwise(g, weights, name, history, taps)
    y = g.rms_norm(conv, g.weight(f"{name}.norm.weight", weights[f"{name}.norm.weight"]), config.eps)
    y = g.silu(g.linear(y, f"{name}.up", weights[f"{name}.up.weight"], weights[f"{name}.up.bias"]))
    y = g.linear(y, f"{name}.down", weights[f"{name}.down.weight"], weights[f"{name}.down.bias"])
    return g.op("Add", x, y)


def _tap_places(g: GraphWriter, x: str, kernel: int) -> str:
    """For each step of x, where the convolution's taps are in the history before and with it; int64 [T,kernel]."""
    steps = g.op("Squeeze", g.op("Shape", x, start=1, end=2), g.ints(0))
    first = g.op("Range", g.const(np.array(0, np.int64)), steps, g.const(np.array(1, np.int64)))
    return g.op("Add", g.op("Unsqueeze", first, g.ints(1)), g.ints(*range(kernel)))


def _depthwise(g: GraphWriter, weights: Weights, name: str, history: str, taps: str) -> str:
    # Gather, multiply and sum: a tenth to a fifth of the whole decoder faster than Conv between two Transposes.
    kernel = np.ascontiguousarray(weights[f"{name}.conv.weight"][:, 0].T)
    products = g.op("Mul", g.op("Gather", history, taps, axis=1), g.weight(f"{name}.conv.taps", kernel))
    conv = g.op("ReduceSum", products, g.ints(2), keepdims=0)
    return g.op("Add", conv, g.weight(f"{name}.conv.bias", weights[f"{name}.conv.bias"]))


def _synthesise(g: GraphWriter, weights: Weights, config: CodecConfig, x: str, turn: str) -> tuple[str, str]:
    """Spectra -> windowed pieces [B,T,n_fft] of sound, and the turn [B,1] of the last step."""
    bins = config.n_fft // 2 + 1
    y = g.rms_norm(x, g.weight("out_norm.weight", weights["out_norm.weight"]), config.eps)
    octaves = g.linear(y, "pitch", weights["pitch.weight"], weights["pitch.bias"])
    turns, below, share = _harmonics(g, config, octaves, turn)
    log_magnitude, phase = g.split(g.linear(y, "out", weights["out.weight"], weights["out.bias"]), bins, bins)
    magnitude = g.op("Exp", g.op("Min", log_magnitude, g.scalar(config.max_log_magnitude)))
    angles = g.op("Mul", turns, g.scalar(2 * np.pi))
    phase = g.op("Add", phase, g.op("Mul", below, angles))
    real, imaginary = (g.op("Mul", magnitude, g.op(kind, phase)) for kind in ("Cos", "Sin"))
    # 1 + share * (exp(i angle) - 1): the way from one harmonic's turn to that of the next.
    cos_on = g.op("Add", g.op("Mul", share, g.op("Sub", g.op("Cos", angles), g.scalar(1.0))), g.scalar(1.0))
    sin_on = g.op("Mul", share, g.op("Sin", angles))
    turned = (
        g.op("Sub", g.op("Mul", real, cos_on), g.op("Mul", imaginary, sin_on)),
        g.op("Add", g.op("Mul", real, sin_on), g.op("Mul", imaginary, cos_on)),
    )
    pieces = g.op("MatMul", g.op("Concat", *turned, axis=-1), _inverse_dft(g, config))
    last = g.op("Slice", turns, g.ints(-1), g.ints(np.iinfo(np.int64).max), g.ints(1))
    return pieces, g.reshape(last, 0, 1)


def _harmonics(g: GraphWriter, config: CodecConfig, octaves: str, turn: str) -> tuple[str, str, str]:
    """Octaves [B,T,1] and the turn [B,1] before -> turns [B,T,1]; each bin's harmonic below, share of the next."""
    # In double precision: what a single one loses over many steps, the highest harmonics have a hundredfold.
    clipped = g.op("Clip", octaves, g.scalar(config.lowest_octave), g.scalar(config.highest_octave))
    octaves, turn = (g.op("Cast", value, to=DOUBLE) for value in (clipped, g.op("Unsqueeze", turn, g.ints(2))))
    factor = g.op("Exp", g.op("Mul", octaves, g.const(np.array(np.log(2.0)))))
    steps = g.op("Mul", factor, g.const(np.array(config.pitch_hz * config.hop / config.sample_rate_hz)))
    run = g.op("Add", g.op("CumSum", steps, g.const(np.array(1, np.int64))), turn)
    turns = g.op("Cast", g.op("Mod", run, g.const(np.array(1.0)), fmod=1), to=FLOAT)
    bins = np.arange(config.n_fft // 2 + 1) * (config.sample_rate_hz / config.n_fft / config.pitch_hz)
    ratio = g.op("Div", g.const(bins.astype(np.float32)), g.op("Cast", factor, to=FLOAT))
    below = g.op("Floor", ratio)
    rise = g.op("Mul", g.op("Sub", ratio, below), g.scalar(config.harmonic_slope))
    share = g.op("Sub", rise, g.scalar((config.harmonic_slope - 1) / 2))
    return turns, below, g.op("Clip", share, g.scalar(0.0), g.scalar(1.0))


def _inverse_dft(g: GraphWriter, config: CodecConfig) -> str:
    """The windowed inverse real DFT as a matrix [2 * bins, n_fft], made by the graph when it is loaded.

    A float16 matrix would add noise and a float32 one would be an eighth of the bundle; made here it is exact and free.
    """
    size, bins = config.n_fft, config.n_fft // 2 + 1
    ranges = [g.op("Range", *(g.const(np.array(v, np.int64)) for v in (0, end, 1))) for end in (bins, size)]
    turns = g.op("Mod", g.op("Mul", g.op("Unsqueeze", ranges[0], g.ints(1)), ranges[1]), g.ints(size))
    angles = g.op("Mul", g.op("Cast", turns, to=FLOAT), g.scalar(2 * np.pi / size))
    # The bins between 0 and the middle stand for two each.
    share = np.full((bins, 1), 2.0 / size)
    share[[0, -1]] = 1.0 / size
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    cos_scale = g.const(share.astype(np.float32))
    sin_scale = g.const(-share.astype(np.float32))
    rows = [g.op("Mul", g.op("Cos", angles), cos_scale), g.op("Mul", g.op("Sin", angles), sin_scale)]
    # Four shifted Hann windows add up to 2.
    return g.op("Mul", g.op("Concat", *rows, axis=0), g.const((hann / 2).astype(np.float32)))


def _overlap_add(g: GraphWriter, config: CodecConfig, pieces: str, tail: str) -> tuple[str, str]:
    """Add the pieces at their places behind the tail; returns the final samples and the next tail."""
    quarters = config.n_fft // config.hop
    parts = g.split(pieces, *[config.hop] * quarters)
    placed = [g.op("Pad", part, g.ints(0, index, 0, 0, quarters - 1 - index, 0)) for index, part in enumerate(parts)]
    summed = g.op("Sum", *placed)
    samples = g.reshape(summed, 0, -1)
    late = delay_samples(config)
    end = g.ints(np.iinfo(np.int64).max)
    first = g.op("Slice", samples, g.ints(0), g.ints(late), g.ints(1))
    rest = g.op("Slice", samples, g.ints(late), end, g.ints(1))
    line = g.op("Concat", g.op("Add", first, tail), rest, axis=1)
    pcm = g.op("Slice", line, g.ints(0), g.ints(-late), g.ints(1))
    return pcm, g.op("Slice", line, g.ints(-late), end, g.ints(1))
