"""How a leg of training ends: with a mean of the weights it came to and the weights it began with.

Both lie in one basin, and what either has learned by heart is not in the other, so the mean foretells unseen speech
better than both (as in Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", section 3).
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

_SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)


def best_mean(
    begun: Mapping[str, Tensor], ended: Mapping[str, Tensor], cost: Callable[[Mapping[str, Tensor]], float]
) -> tuple[float, dict[str, Tensor]]:
    """The share of `ended` in the mean that costs least, and that mean; `cost` takes weights of the same names."""
    means = {share: _mean(begun, ended, share) for share in _SHARES}
    share = min(_SHARES, key=lambda share: cost(means[share]))
    return share, means[share]


def _mean(begun: Mapping[str, Tensor], ended: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    return {
        name: torch.lerp(begun[name], value, share) if value.is_floating_point() else value
        for name, value in ended.items()
    }
