"""Quantiser dropout: what synthesis learns from, so that it decodes however many layers there are.

After Zeghidour et al. 2021, "SoundStream", section III-C; here the depth may also change within a clip, as it does
where a machine makes frames shallower under load.
"""

import torch
from torch import Tensor

from .codec_model import Encoder, ResidualQuantiser
from .voices import SAMPLING


def random_depths(clips: int, frames: int, n_vq: int, generator: torch.Generator) -> Tensor:
    """Quantiser dropout: half the clips as deep as voices speak, a fifth in full, the rest at any depth or depth ramp.

    Returns layers kept, float32 [clips, frames].
    """
    draw = torch.rand(clips, generator=generator)
    ends = torch.randint(1, n_vq + 1, (clips, 2), generator=generator)
    ends[draw < 0.85, 1] = ends[draw < 0.85, 0]
    settle(ends, draw, SAMPLING.depth, n_vq)
    return ramps(ends, frames)


def settle(depths: Tensor, draw: Tensor, usual_depth: int, n_vq: int) -> None:
    """Make half of the depths the usual one and a fifth full, in place, by a number of 0..1 drawn for each."""
    depths[draw < 0.7] = usual_depth
    depths[draw < 0.2] = n_vq


def ramps(ends: Tensor, frames: int) -> Tensor:
    """Depths float32 [clips, frames] that go evenly from the first to the second of `ends`, int64 [clips, 2]."""
    return (ends[:, :1] + (ends[:, 1:] - ends[:, :1]) * torch.linspace(0, 1, frames)).round()


def cut(vectors: Tensor, depths: Tensor) -> Tensor:
    """The latent float32 [B, frames, latent] of each frame's first layers.

    vectors: float32 [B, frames, n_vq, latent]. depths: float32 [B, frames].
    """
    kept = torch.arange(vectors.shape[2]) < depths[..., None]
    return (vectors * kept[..., None]).sum(2)


@torch.no_grad()
def layers_of(encoder: Encoder, quantiser: ResidualQuantiser, pcm: Tensor) -> Tensor:
    """What each layer adds to the latent of pcm [B, samples]; float32 [B, frames, n_vq, latent]."""
    latent = encoder(encoder.patches(pcm))
    return quantiser.vectors(quantiser.encode(latent.flatten(0, 1))).unflatten(0, latent.shape[:2])


def coarse_latent(encoder: Encoder, quantiser: ResidualQuantiser, pcm: Tensor, generator: torch.Generator) -> Tensor:
    """The quantised latent [B, frames, latent] of pcm [B, samples], each clip at depths of its own."""
    vectors = layers_of(encoder, quantiser, pcm)
    clips, frames, n_vq = vectors.shape[:3]
    return cut(vectors, random_depths(clips, frames, n_vq, generator))
