"""The codec's networks: causal log-mel analysis, residual vector quantiser, causal synthesis.

Analysis reads only log-mel magnitudes, so phase, which no text predicts, costs the codes nothing; synthesis
makes up a phase of its own, on a pitch of its own. Synthesis windows end with the frame they belong to: streaming is
exact, and the sound is `n_fft - hop` samples (30 ms) late. Residual streams stay float32 where products are made in
bfloat16.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from voicestack.onnx_export.specs import CodecConfig

LOG_FLOOR = 5e-3
"""About 80 dB below the loudest band: what lies under it is not heard, and codes spent on it are lost to speech."""


def mel_matrix(sample_rate_hz: int, n_fft: int, bands: int) -> Tensor:
    """Triangular mel filters, float32 [n_fft // 2 + 1, bands], 0 Hz to Nyquist, HTK scale."""
    top = 2595 * math.log10(1 + sample_rate_hz / 2 / 700)
    edges_hz = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    frequencies_hz = torch.linspace(0, sample_rate_hz / 2, n_fft // 2 + 1)[:, None]
    rising = (frequencies_hz - edges_hz[:-2]) / (edges_hz[1:-1] - edges_hz[:-2])
    falling = (edges_hz[2:] - frequencies_hz) / (edges_hz[2:] - edges_hz[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)


class LogMel(nn.Module):
    """Log-mel magnitudes; `causal` windows end at the hop they describe, otherwise they are centred."""

    window: Tensor
    mel: Tensor

    def __init__(self, sample_rate_hz: int, n_fft: int, hop: int, bands: int, *, causal: bool) -> None:
        super().__init__()
        self.n_fft, self.hop, self.causal = n_fft, hop, causal
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("mel", mel_matrix(sample_rate_hz, n_fft, bands), persistent=False)

    def magnitude(self, pcm: Tensor) -> Tensor:
        """Of pcm float32 [B, samples] -> float32 [B, samples // hop, n_fft // 2 + 1]."""
        before = self.n_fft - self.hop if self.causal else (self.n_fft - self.hop) // 2
        after = 0 if self.causal else self.n_fft - self.hop - before
        frames = F.pad(pcm, (before, after)).unfold(1, self.n_fft, self.hop)
        return torch.fft.rfft(frames * self.window).abs()

    def forward(self, pcm: Tensor) -> Tensor:
        """Of pcm float32 [B, samples] -> log-mel float32 [B, samples // hop, bands]."""
        return torch.log(self.magnitude(pcm) @ self.mel + LOG_FLOOR)


class CausalConv(nn.Module):
    """Depthwise causal convolution over time; a sum of shifted products, which CPUs run faster than grouped kernels."""

    def __init__(self, d: int, kernel: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(d, 1, kernel) / math.sqrt(kernel))
        self.bias = nn.Parameter(torch.zeros(d))

    def forward(self, x: Tensor) -> Tensor:
        """X float32 [B, T, d] -> [B, T, d]."""
        kernel, steps = self.weight.shape[2], x.shape[1]
        padded = F.pad(x, (0, 0, kernel - 1, 0))
        total = self.bias.expand_as(x)
        for tap in range(kernel):
            total = torch.addcmul(total, padded[:, tap : tap + steps], self.weight[:, 0, tap])
        return total


class Block(nn.Module):
    """x + down(silu(up(norm(conv(x)))))."""

    def __init__(self, d: int, ffn: int, kernel: int, eps: float) -> None:
        super().__init__()
        self.conv = CausalConv(d, kernel)
        self.norm = nn.RMSNorm(d, eps)
        self.up = nn.Linear(d, ffn)
        self.down = nn.Linear(ffn, d)
        nn.init.normal_(self.down.weight, std=0.3 / math.sqrt(ffn))
        nn.init.zeros_(self.down.bias)

    def forward(self, x: Tensor) -> Tensor:
        """X float32 [B, T, d] -> [B, T, d]."""
        return x + self.down(F.silu(self.up(self.norm(self.conv(x)))))


class Encoder(nn.Module):
    """PCM -> latent: the eight causal log-mel columns of a frame as one patch, causal blocks at 12.5 Hz."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.log_mel = LogMel(config.sample_rate_hz, 1024, config.hop, config.mel_bands, causal=True)
        self.columns = config.frame_samples // config.hop
        d = config.encoder_d
        self.patch_in = nn.Linear(self.columns * config.mel_bands, d)
        self.blocks = nn.Sequential(
            *(Block(d, 3 * d, config.encoder_kernel, config.eps) for _ in range(config.encoder_blocks))
        )
        self.norm = nn.RMSNorm(d, config.eps)
        self.latent_out = nn.Linear(d, config.latent)

    def patches(self, pcm: Tensor) -> Tensor:
        """Of pcm float32 [B, frames * 1920] -> normalised log-mel patches [B, frames, 8 * bands]."""
        log_mel = (self.log_mel(pcm) + 2.2) / 2.0
        return log_mel.reshape(log_mel.shape[0], -1, self.columns * self.config.mel_bands)

    def forward(self, patches: Tensor) -> Tensor:
        """Patches [B, frames, 8 * bands] -> latent [B, frames, latent]."""
        return self.latent_out(self.norm(self.blocks(self.patch_in(patches).float()))).float()


class PatchDecoder(nn.Module):
    """Training aid of the analysis phase: latent -> log-mel patch, so that codes exist before any sound does."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        d = config.encoder_d
        self.latent_in = nn.Linear(config.latent, d)
        self.blocks = nn.Sequential(*(Block(d, 3 * d, config.encoder_kernel, config.eps) for _ in range(3)))
        self.norm = nn.RMSNorm(d, config.eps)
        self.patch_out = nn.Linear(d, config.frame_samples // config.hop * config.mel_bands)

    def forward(self, latent: Tensor) -> Tensor:
        """Latent [B, frames, latent] -> patches [B, frames, 8 * bands]."""
        return self.patch_out(self.norm(self.blocks(self.latent_in(latent).float()))).float()


class ResidualQuantiser(nn.Module):
    """32 Euclidean codebooks in sequence, each fitted by k-means to what the ones before it left over.

    Moving averages under a moving encoder were tried first: the latents grew away from the lagging entries, and the
    first layers collapsed to two entries in use. Fitted after the encoder is done, all entries are used.
    """

    codebooks: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.register_buffer("codebooks", torch.zeros(config.n_vq, config.codebook, config.latent))

    @torch.no_grad()
    def fit(self, latents: Tensor, generator: torch.Generator, rounds: int = 10) -> None:
        """Fit every codebook to latents float32 [N, latent]."""
        residual = latents.clone()
        for layer in range(self.codebooks.shape[0]):
            picks = torch.randperm(len(residual), generator=generator)[: self.codebooks.shape[1]]
            entries = residual[picks].clone()
            for _ in range(rounds):
                nearest = _nearest(residual, entries)
                counts = torch.bincount(nearest, minlength=len(entries)).float()
                sums = torch.zeros_like(entries).index_add_(0, nearest, residual)
                entries = torch.where(counts[:, None] > 0, sums / counts.clamp(min=1)[:, None], entries)
            self.codebooks[layer] = entries
            residual = residual - entries[_nearest(residual, entries)]

    @torch.no_grad()
    def encode(self, latents: Tensor) -> Tensor:
        """Latents [N, latent] -> codes int64 [N, n_vq]."""
        residual, codes = latents.clone(), []
        for entries in self.codebooks:
            nearest = _nearest(residual, entries)
            residual = residual - entries[nearest]
            codes.append(nearest)
        return torch.stack(codes, -1)

    def vectors(self, codes: Tensor) -> Tensor:
        """Codes int64 [..., n_vq] -> codebook vectors [..., n_vq, latent]; code 1024 gives zeros."""
        padded = F.pad(self.codebooks, (0, 0, 0, 1))
        return padded[torch.arange(codes.shape[-1]), codes]


class CodecDecoder(nn.Module):
    """Latent at 12.5 Hz -> PCM: causal blocks at 12.5, 25, 50, 100 Hz, pitch, magnitude and phase, overlap-add.

    Codes say the same of every frame of a held vowel, so phases made of them alone are those of the frame before, and
    cannot follow a period that does not fit into 80 ms: a low voice gets hoarse. So the decoder tells a pitch,
    integrates it, and turns every bin's phase with the harmonic it is nearest to. That a source at a told pitch helps
    is from Wang et al. 2019, "Neural source-filter waveform models for statistical parametric speech synthesis".
    """

    window: Tensor
    bins_hz: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        d, bins = config.d, config.n_fft // 2 + 1
        self.latent_in = nn.Linear(config.latent, d)
        stages = [
            nn.Sequential(*(Block(d, config.ffn, kernel, config.eps) for _ in range(count)))
            for count, kernel in zip(config.blocks, config.kernels, strict=True)
        ]
        self.stages = nn.ModuleList(stages)
        self.upsamples = nn.ModuleList(nn.Linear(d, 2 * d) for _ in config.blocks[1:])
        self.out_norm = nn.RMSNorm(d, config.eps)
        self.pitch = nn.Linear(d, 1)
        self.out = nn.Linear(d, 2 * bins)
        self.register_buffer("window", torch.hann_window(config.n_fft) / 2, persistent=False)
        self.register_buffer("bins_hz", torch.linspace(0, config.sample_rate_hz / 2, bins), persistent=False)

    @property
    def blocks(self) -> list[nn.Module]:
        """All blocks of all stages."""
        return [module for module in self.stages.modules() if isinstance(module, Block)]

    def forward(self, latent: Tensor) -> Tensor:
        """Latent float32 [B, frames, latent] -> pcm float32 [B, frames * 1920], `n_fft - hop` samples late."""
        features = self.features(latent)
        return self.sound(features, self.octaves(features))

    def features(self, latent: Tensor) -> Tensor:
        """Latent float32 [B, frames, latent] -> features float32 [B, steps, d], one step every `hop` samples."""
        x = self.latent_in(latent).float()
        for index, stage in enumerate(self.stages):
            if index:
                doubled = self.upsamples[index - 1](x).float()
                x = doubled.reshape(x.shape[0], 2 * x.shape[1], x.shape[2])
            x = stage(x)
        features: Tensor = self.out_norm(x)
        return features

    def octaves(self, features: Tensor) -> Tensor:
        """The pitch [B, steps] that features tell, in octaves above `config.pitch_hz`."""
        octaves: Tensor = self.pitch(features)[..., 0].float()
        return octaves.clamp(self.config.lowest_octave, self.config.highest_octave)

    def sound(self, features: Tensor, octaves: Tensor) -> Tensor:
        """Pcm float32 [B, steps * hop] of features [B, steps, d] at a pitch [B, steps]."""
        log_magnitude, phase = self.out(features).float().chunk(2, -1)
        magnitude = torch.exp(log_magnitude.clamp(max=self.config.max_log_magnitude))
        angle, below, share = self._harmonics(octaves)
        spectrum = torch.polar(magnitude, phase + below * angle)
        # The way from one harmonic's turn to that of the next, smooth lest rounding decide between the two.
        next_turn = torch.polar(torch.ones_like(angle), angle)
        segments = torch.fft.irfft(spectrum * (1 + share * (next_turn - 1)), self.config.n_fft) * self.window
        return overlap_add(segments, self.config.hop)

    def _harmonics(self, octaves: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """How far the pitch has turned [B, steps, 1]; each bin's harmonic below, share of the next [B, steps, bins]."""
        config = self.config
        pitch_hz = config.pitch_hz * torch.exp2(octaves.double())[..., None]
        turns = (pitch_hz * (config.hop / config.sample_rate_hz)).cumsum(1) % 1
        ratio = self.bins_hz / pitch_hz.float()
        below = ratio.floor()
        share = (config.harmonic_slope * (ratio - below - 0.5) + 0.5).clamp(0, 1)
        return (2 * math.pi * turns).float(), below, share


def overlap_add(segments: Tensor, hop: int) -> Tensor:
    """Segments [B, T, n * hop] -> [B, T * hop]; what reaches past the last hop is left out."""
    batch, steps, size = segments.shape
    total = segments.new_zeros(batch, steps + size // hop - 1, hop)
    for place, part in enumerate(segments.split(hop, -1)):
        total = total + F.pad(part, (0, 0, place, size // hop - 1 - place))
    return total[:, :steps].reshape(batch, steps * hop)


def _nearest(points: Tensor, entries: Tensor) -> Tensor:
    """Index of each point's nearest entry, in pieces that stay in the cache."""
    sizes = entries.square().sum(-1)
    return torch.cat([torch.addmm(sizes, piece, entries.T, alpha=-2).argmin(-1) for piece in points.split(1024)])
