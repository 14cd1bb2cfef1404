"""What the delay head learns: the cue of a frame, and layer j of the frame j rows back, all from one hidden state."""

import torch
import torch.nn.functional as F
from torch import Tensor

from .batches import Batch
from .generator_model import DelayGenerator

_SHALLOW_DEPTH = 8
_DEEP_SHARE = 0.25
"""The share of the rows on which the layers below the shallow ones are scored; they cost most and matter least."""


def losses(
    model: DelayGenerator, batch: Batch, history: Tensor, generator: torch.Generator | None
) -> tuple[Tensor, Tensor, Tensor]:
    """(hidden [B, S, d], channel NLL, NLL per layer [n_vq]); without a generator every row is scored in full."""
    hidden = model.backbone(batch.text_ids, history)
    scored = batch.channel >= 0
    channel_nll = F.cross_entropy(model.channel_out(hidden[scored]).float(), batch.channel[scored])
    live = (batch.codes != 1024).any(-1)
    residuals = model.residuals(hidden, batch.stacks)
    states, left, codes = hidden[live], residuals[live], batch.codes[live]
    if generator is None:
        return hidden, channel_nll, _layers_nll(model, states, left, codes, slice(0, codes.shape[1]))
    chosen = torch.rand(len(codes), generator=generator) < _DEEP_SHARE
    shallow = _layers_nll(model, states, left, codes, slice(0, _SHALLOW_DEPTH))
    deep = _layers_nll(model, states[chosen], left[chosen], codes[chosen], slice(_SHALLOW_DEPTH, codes.shape[1]))
    return hidden, channel_nll, torch.cat([shallow, deep])


def _layers_nll(model: DelayGenerator, states: Tensor, left: Tensor, codes: Tensor, layers: slice) -> Tensor:
    """Mean NLL of each of the layers over the rows in which it is live.

    states float32 [N, d], left float32 [N, n_vq, latent], codes int64 [N, n_vq].
    """
    logits = model.delayed(states, left, layers)
    targets = torch.where(codes[:, layers] == 1024, -100, codes[:, layers]).T
    nll = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view_as(targets)
    return nll.sum(1) / (targets >= 0).sum(1).clamp(min=1)
