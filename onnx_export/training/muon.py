"""Muon (Jordan et al. 2024): momentum orthogonalised by a Newton-Schulz iteration, for the hidden matrices.

Same-shaped matrices go through the iteration as one batch, in bfloat16 where the processor multiplies it.
"""

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

from .precision import bfloat16


class Muon(torch.optim.Optimizer):
    """Parameters are matrices [out, in] (or stacks of them)."""

    def __init__(self, parameters: Iterable[Tensor], *, base_lr: float, momentum: float = 0.95) -> None:
        super().__init__([{"params": list(parameters), "base_lr": base_lr}], {"lr": base_lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape[parameter.shape].append(parameter)
            for shape, parameters in by_shape.items():
                updates = torch.stack([self._momentum(p, group["momentum"]) for p in parameters])
                scale = max(1.0, shape[-2] / shape[-1]) ** 0.5
                for parameter, update in zip(parameters, orthogonal(updates), strict=True):
                    parameter.add_(update, alpha=-group["lr"] * scale)

    def _momentum(self, parameter: Tensor, momentum: float) -> Tensor:
        assert parameter.grad is not None
        state = self.state[parameter]
        if "momentum" not in state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - momentum)
        return parameter.grad.lerp(state["momentum"], momentum)


def orthogonal(matrices: Tensor, rounds: int = 5) -> Tensor:
    """The nearest semi-orthogonal matrices, roughly: float32 [..., m, n] -> the same shape, singular values near 1."""
    tall = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.transpose(-1, -2) if tall else matrices
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    with bfloat16():
        for _ in range(rounds):
            gram = x @ x.transpose(-1, -2)
            x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x.transpose(-1, -2) if tall else x
