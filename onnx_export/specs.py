"""Sizes of the embedded voice's networks, shared by the recipe and the graph writers; knows no torch."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class GeneratorConfig:
    """Backbone (Qwen3-style) and head; a delay head has none of the `local_` sizes."""

    head: Literal["local", "delay"] = "local"
    d_model: int = 320
    layers: int = 7
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    ffn: int = 896
    local_d: int = 192
    local_layers: int = 2
    local_heads: int = 3
    local_head_dim: int = 64
    local_ffn: int = 512
    latent: int = 64
    n_vq: int = 32
    codebook: int = 1024
    rope_theta: float = 10_000.0
    eps: float = 1e-6
    pull: float = 4.0
    """How strongly a local head's codes are drawn to the latent that its hidden state foretells: what a code's
    log-probability loses for each half square of the distance that it and those above it leave. A power of two, so
    that folding it into float16 weights rounds nothing."""


@dataclass(frozen=True, slots=True)
class CodecConfig:
    """Causal codec: log-mel analysis, RVQ, ConvNeXt-like synthesis with an inverse short-time Fourier transform."""

    d: int = 288
    latent: int = 64
    ffn: int = 864
    blocks: tuple[int, ...] = (2, 2, 3, 5)
    kernels: tuple[int, ...] = (7, 5, 5, 5)
    n_fft: int = 960
    hop: int = 240
    n_vq: int = 32
    codebook: int = 1024
    frame_samples: int = 1920
    sample_rate_hz: int = 24_000
    eps: float = 1e-6
    max_log_magnitude: float = 7.0
    pitch_hz: float = 128.0
    """The decoder tells its pitch in octaves above this one."""
    lowest_octave: float = -1.5
    highest_octave: float = 2.0
    harmonic_slope: float = 4.0
    """How steeply, over the bins from one harmonic to the next, the next one's turn takes over."""
    mel_bands: int = 100
    encoder_d: int = 384
    encoder_blocks: int = 4
    encoder_kernel: int = 5

    @property
    def late_samples(self) -> int:
        """How far the sound made of a frame lags behind the sound it is of."""
        return self.n_fft - self.hop
