"""The three networks as plain torch functions of their weights: what the graphs are checked against.

Written for reading, one stream and one position at a time where that is shorter; no caches, no fusion.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from voicestack.runtime import names
from voicestack.runtime.cue_clock import COLUMN_STARTS

from .graph_writer import Weights
from .specs import CodecConfig, GeneratorConfig

Tensors = dict[str, Tensor]


def tensors(weights: Weights) -> Tensors:
    """The same weights as torch tensors."""
    return {name: torch.from_numpy(np.asarray(array, np.float32)) for name, array in weights.items()}


def backbone_forward(w: Tensors, config: GeneratorConfig, text_ids: Tensor, codes: Tensor) -> Tensor:
    """Rows text_ids [S,9] and codes [S,n_vq] of one stream -> the normed hidden states [S,d_model]."""
    x = w["text_table.weight"][text_ids + torch.tensor(COLUMN_STARTS)].sum(1)
    vectors = F.pad(w["codebooks"], (0, 0, 0, 1))[torch.arange(config.n_vq), codes]
    x = x + vectors.flatten(1) @ w["code_in.weight"].T
    for layer in range(config.layers):
        x = _layer(w, f"layers.{layer}.", x, config.heads, config.kv_heads, config.eps, config.rope_theta)
    return _norm(x, w["norm.weight"], config.eps)


@dataclass(frozen=True, slots=True)
class HeadInputs:
    """What a head takes for one stream beside the hidden state; the names and shapes are the graph's without batch."""

    uniforms: Tensor
    channel_bias: Tensor
    inv_temperature: Tensor
    rank_bias: Tensor
    top_p: Tensor
    recent_codes: Tensor
    penalty: Tensor
    residuals: Tensor | None = None


def delay_head_logits(w: Tensors, hidden: Tensor, depth: int, left: Tensor | None) -> list[Tensor]:
    """Raw logits of channel 0 [3] and of the layers [codebook]; `left` [depth,latent] of a head that has residuals."""
    logits = [hidden @ w["channel_out.weight"].T + w["channel_out.bias"]]
    for j in range(depth):
        narrow = hidden @ w["delay_out"][j]
        if left is not None:
            narrow = narrow + left[j] @ w["delay_residual"][j]
        logits.append(narrow @ w["codebooks"][j].T + w["delay_bias"][j])
    return logits


def foretold_latent(w: Tensors, hidden: Tensor) -> Tensor:
    """What a hidden state [d_model] foretells of its frame's latent [latent]."""
    return w["latent_out.weight"] @ hidden + w["latent_out.bias"]


def delay_left(w: Tensors, hidden: Tensor, residuals: Tensor) -> Tensor:
    """What is left of each layer's frame [depth,latent], from what was carried along [depth-1,latent]."""
    return torch.cat([foretold_latent(w, hidden)[None], residuals])


def next_residuals(w: Tensors, left: Tensor, codes: Tensor) -> Tensor:
    """What is left [depth-1,latent] for the layers behind those that made these codes [depth]."""
    return (left - w["codebooks"][torch.arange(len(codes)), codes])[:-1]


def head_logits(w: Tensors, config: GeneratorConfig, hidden: Tensor, channel: int, codes: Tensor) -> list[Tensor]:
    """Raw logits of channel 0 [3] and of a local head's layers [codebook], each given the channel and codes before."""
    depth = len(codes)
    base = hidden @ w["local_in.weight"].T
    rows = [torch.zeros_like(base), w["channel_in.weight"][channel]]
    rows += [w["codebooks"][j, codes[j]] @ w["local_code_in"][j] for j in range(depth - 1)]
    x = base + w["local_pos"][: depth + 1] + torch.stack(rows)
    for layer in range(config.local_layers):
        x = _layer(w, f"local_layers.{layer}.", x, config.local_heads, config.local_heads, config.eps, None)
    x = _norm(x, w["local_norm.weight"], config.eps)
    logits = [x[0] @ w["channel_out.weight"].T + w["channel_out.bias"]]
    left = foretold_latent(w, hidden)
    for j in range(depth):
        narrow = config.pull * (x[j + 1] @ w["local_out"][j] + left)
        logits.append(narrow @ w["codebooks"][j].T + w["local_bias"][j])
        left = left - w["codebooks"][j, codes[j]]
    return logits


def head_forward(w: Tensors, config: GeneratorConfig, hidden: Tensor, inputs: HeadInputs) -> tuple[int, Tensor]:
    """Sample the channel and the codes [depth] of one stream, depth being that of the inputs."""
    depth = len(inputs.recent_codes)
    none = torch.zeros(1, dtype=torch.long)
    channel = sample_channel(head_logits(w, config, hidden, 0, none)[0], inputs)
    codes = torch.zeros(depth, dtype=torch.long)
    for j in range(depth):
        logits = head_logits(w, config, hidden, channel, codes[: j + 1])[j + 1]
        codes[j] = sample_layer(logits, inputs, j)
    return channel, codes


def sample_channel(logits: Tensor, inputs: HeadInputs) -> int:
    """The class of channel 0 from its raw logits [3]."""
    scaled = (logits + inputs.channel_bias) * inputs.inv_temperature[0]
    greedy = bool(inputs.rank_bias[1] < 0)
    return int(scaled.argmax()) if greedy else _inverse_cdf(scaled.softmax(-1), inputs.uniforms[0])


def penalise(logits: Tensor, inputs: HeadInputs, layer: int) -> Tensor:
    """Logits of one layer (0 = coarsest) with its recent codes made less likely."""
    recent = inputs.recent_codes[layer]
    recent = torch.unique(recent[recent < len(logits)])
    chosen = logits[recent]
    result = logits.clone()
    result[recent] = torch.where(chosen > 0, chosen / inputs.penalty, chosen * inputs.penalty)
    return result


def sample_layer(logits: Tensor, inputs: HeadInputs, layer: int) -> int:
    """The code of one layer (0 = coarsest) from its raw logits [codebook]."""
    values, ranks = (penalise(logits, inputs, layer) * inputs.inv_temperature[layer + 1]).topk(names.TOP_K)
    probabilities = (values + inputs.rank_bias).softmax(-1)
    before = probabilities.cumsum(-1) - probabilities
    kept = torch.where(before < inputs.top_p, probabilities, 0.0)
    return int(ranks[_inverse_cdf(kept, inputs.uniforms[layer + 1])])


def codec_forward(w: Tensors, config: CodecConfig, codes: Tensor) -> Tensor:
    """Codes [B,F,n_vq] of whole streams -> samples [B,F*frame_samples], late by n_fft - hop samples."""
    table = F.pad(w["codebooks"], (0, 0, 0, 1))
    latent = sum(table[j][codes[..., j]] for j in range(config.n_vq))
    x = F.linear(torch.as_tensor(latent), w["latent_in.weight"], w["latent_in.bias"])
    for stage, blocks in enumerate(config.blocks):
        for block in range(blocks):
            x = x + _codec_block(w, f"stages.{stage}.{block}.", x, config.eps)
        if stage + 1 < len(config.blocks):
            x = F.linear(x, w[f"upsamples.{stage}.weight"], w[f"upsamples.{stage}.bias"])
            x = x.reshape(len(x), -1, config.d)
    y = _norm(x, w["out_norm.weight"], config.eps)
    log_magnitude, phase = F.linear(y, w["out.weight"], w["out.bias"]).chunk(2, -1)
    octaves = F.linear(y, w["pitch.weight"], w["pitch.bias"]).clamp(config.lowest_octave, config.highest_octave)
    bins = torch.polar(log_magnitude.clamp(max=config.max_log_magnitude).exp(), phase)
    bins = bins * _harmonic_turns(octaves, config)
    pieces = torch.fft.irfft(bins, config.n_fft) * torch.hann_window(config.n_fft) / 2
    steps = pieces.shape[1]
    length = (steps - 1) * config.hop + config.n_fft
    summed = F.fold(pieces.transpose(1, 2), (1, length), (1, config.n_fft), stride=(1, config.hop))
    return summed.flatten(1)[:, : steps * config.hop]


def _harmonic_turns(octaves: Tensor, config: CodecConfig) -> Tensor:
    """How far each bin's harmonic of the pitch, octaves [B,T,1], has turned: complex [B,T,bins]."""
    pitch_hz = config.pitch_hz * octaves.double().exp2()
    turns = (pitch_hz * config.hop / config.sample_rate_hz).cumsum(1)
    ratio = torch.linspace(0, config.sample_rate_hz / 2, config.n_fft // 2 + 1) / pitch_hz
    share = (config.harmonic_slope * (ratio.frac() - 0.5) + 0.5).clamp(0, 1)
    below, above = (torch.exp(2j * torch.pi * (ratio.floor() + more) * turns) for more in (0, 1))
    return (below * (1 - share) + above * share).to(torch.complex64)


def _codec_block(w: Tensors, prefix: str, x: Tensor, eps: float) -> Tensor:
    kernel = w[f"{prefix}conv.weight"]
    past = F.pad(x.transpose(1, 2), (kernel.shape[-1] - 1, 0))
    y = F.conv1d(past, kernel, w[f"{prefix}conv.bias"], groups=x.shape[-1]).transpose(1, 2)
    y = F.linear(_norm(y, w[f"{prefix}norm.weight"], eps), w[f"{prefix}up.weight"], w[f"{prefix}up.bias"])
    return F.linear(F.silu(y), w[f"{prefix}down.weight"], w[f"{prefix}down.bias"])


def _layer(w: Tensors, prefix: str, x: Tensor, heads: int, kv_heads: int, eps: float, rope: float | None) -> Tensor:
    y = _norm(x, w[f"{prefix}attn_norm.weight"], eps)
    q, k, v = (
        (y @ w[f"{prefix}{name}.weight"].T).reshape(len(y), count, -1).transpose(0, 1)
        for name, count in (("q", heads), ("k", kv_heads), ("v", kv_heads))
    )
    q, k = _norm(q, w[f"{prefix}q_norm.weight"], eps), _norm(k, w[f"{prefix}k_norm.weight"], eps)
    if rope is not None:
        q, k = _rotate(q, rope), _rotate(k, rope)
    mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=heads != kv_heads)
    x = x + mixed.transpose(0, 1).flatten(1) @ w[f"{prefix}o.weight"].T
    y = _norm(x, w[f"{prefix}ffn_norm.weight"], eps)
    y = F.silu(y @ w[f"{prefix}gate.weight"].T) * (y @ w[f"{prefix}up.weight"].T)
    return x + y @ w[f"{prefix}down.weight"].T


def _norm(x: Tensor, weight: Tensor, eps: float) -> Tensor:
    return F.rms_norm(x, (x.shape[-1],), weight, eps)


def _rotate(x: Tensor, theta: float) -> Tensor:
    positions = torch.arange(x.shape[-2], dtype=torch.float64)
    angles = positions[:, None] * theta ** (-torch.arange(0, x.shape[-1], 2, dtype=torch.float64) / x.shape[-1])
    cos, sin = angles.cos().float(), angles.sin().float()
    first, second = x.chunk(2, -1)
    return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)


def _inverse_cdf(weights: Tensor, uniform: Tensor) -> int:
    """The first index whose cumulative weight exceeds uniform times the whole."""
    total = weights.cumsum(-1)
    return min(int((total <= uniform * total[-1]).sum()), len(weights) - 1)
