"""What the local head learns: the cue of a frame, and its stack in natural order, teacher-forced."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import Batch
from .generator_model import LocalGenerator

_SHALLOW_DEPTH, _BRIEF_DEPTH = 8, 3
_FULL_SHARE, _SHALLOW_SHARE = 0.02, 0.33
"""Shares of the frames whose stack is scored at full depth, and at 8 layers only.

Of all other spoken frames the first three layers are, which hold most of what is said; channel 0 is scored on all.
"""


def losses(
    model: LocalGenerator, batch: Batch, history: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(hidden [B, S, d], channel NLL, NLL per layer [n_vq]); without a generator every frame is scored in full."""
    hidden = model.backbone(batch.text_ids, history)
    scored = batch.channel >= 0
    states, channel, codes = hidden[scored], batch.channel[scored], batch.codes[scored]
    spoken = codes[:, 0] != 1024
    draw = torch.zeros(len(codes)) if generator is None else torch.rand(len(codes), generator=generator)
    full = spoken & (draw < _FULL_SHARE)
    shallow = spoken & ~full & (draw < _FULL_SHARE + _SHALLOW_SHARE)
    n_vq = codes.shape[1]
    parts = [(full, n_vq), (shallow, _SHALLOW_DEPTH), (spoken & ~(full | shallow), _BRIEF_DEPTH), (~spoken, 0)]
    channel_total, layer_sums, layer_counts = torch.zeros(()), [torch.zeros(())] * n_vq, [0] * n_vq
    for chosen, depth in parts:
        count = int(chosen.sum())
        if not count:
            continue
        channel_logits, logits = model.local(states[chosen], channel[chosen], codes[chosen][:, :depth])
        channel_total = channel_total + F.cross_entropy(channel_logits, channel[chosen], reduction="sum")
        for layer, layer_logits in enumerate(logits):
            layer_sums[layer] = layer_sums[layer] + F.cross_entropy(
                layer_logits, codes[chosen][:, layer], reduction="sum"
            )
            layer_counts[layer] += count
    layers_nll = torch.stack([total / max(1, count) for total, count in zip(layer_sums, layer_counts, strict=True)])
    return hidden, channel_total / len(channel), layers_nll
