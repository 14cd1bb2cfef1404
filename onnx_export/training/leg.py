"""How a leg of training ends: with a mean of the weights it went through and the weights it began with.

All lie in one basin. What single steps learn by chance cancels out along the way (Izmailov et al. 2018, "Averaging
weights leads to wider optima and better generalization"), and what a leg learned by heart is not in what it began with
(as in Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", section 3), so the mean foretells unseen speech
better than any of them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

_SHARES = (1.0, 0.8, 0.6, 0.4, 0.2)


@dataclass(slots=True)
class Trail:
    """The mean of the weights of the steps it has followed."""

    steps: int = 0
    mean: dict[str, Tensor] = field(default_factory=dict)

    def follow(self, weights: Mapping[str, Tensor]) -> None:
        """Take in the weights after a step."""
        self.steps += 1
        for name, value in weights.items():
            if name not in self.mean:
                self.mean[name] = value.clone()
            elif value.is_floating_point():
                self.mean[name].lerp_(value, 1 / self.steps)

    def state(self) -> dict[str, Any]:
        """What `load` takes."""
        return {"steps": self.steps, "mean": self.mean}

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from there."""
        self.steps, self.mean = state["steps"], dict(state["mean"])


def best_mean(
    begun: Mapping[str, Tensor], trail: Mapping[str, Tensor], cost: Callable[[Mapping[str, Tensor]], float]
) -> tuple[float, dict[str, Tensor]]:
    """The share of `trail` in the mean that costs least, and that mean; `cost` takes weights of the same names."""
    means = {share: mean_of(begun, trail, share) for share in _SHARES}
    share = min(_SHARES, key=lambda share: cost(means[share]))
    return share, means[share]


def mean_of(begun: Mapping[str, Tensor], trail: Mapping[str, Tensor], share: float) -> dict[str, Tensor]:
    """The weighted mean of where a leg began and of what it went through; `share` is the latter's weight."""
    return {
        name: torch.lerp(begun[name], value, share) if value.is_floating_point() else value
        for name, value in trail.items()
    }
