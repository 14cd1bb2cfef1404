"""What every training stage shares: a loss log, timed checkpoints that survive a crash, and learning-rate shape."""

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from .lines import append_line
from .paths import whole_file

CHECKPOINT_EVERY_S = 120.0
DECAY_SHARE = 0.3
"""The share of its steps over which a trapezoid falls, unless told otherwise."""


class LossLog:
    """One JSON line per report in `<folder>/log.jsonl`."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "log.jsonl"

    def write(self, **fields: float | int | str | list[float]) -> None:
        """Append one line; numbers are rounded to five digits."""
        shown = {key: round(value, 5) if isinstance(value, float) else value for key, value in fields.items()}
        append_line(self._path, shown)


class Checkpoint:
    """`<folder>/<name>.pt`, written aside and renamed, at most every two minutes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._last_s = time.monotonic()

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None when there is none."""
        return torch.load(self.path, weights_only=True) if self.path.exists() else None

    def save(self, state: Callable[[], dict[str, Any]], *, force: bool = False) -> None:
        """Write state() when two minutes have passed since the last save, or now with `force`."""
        if not force and time.monotonic() - self._last_s < CHECKPOINT_EVERY_S:
            return
        save_whole(state(), self.path)
        self._last_s = time.monotonic()


def save_whole(state: dict[str, Any], path: Path) -> None:
    """Write a checkpoint, never half of one; through an open file, because PyTorch would write its name into it."""
    with whole_file(path) as aside, aside.open("wb") as file:
        torch.save(state, file)


def learning_rate_factor(step: int, *, warm_up: int, total: int, floor: float = 0.05) -> float:
    """Linear warm-up, then cosine down to `floor`; a function of the step alone, so that a resumed run agrees."""
    if step < warm_up:
        return (step + 1) / warm_up
    progress = min(1.0, (step - warm_up) / max(1, total - warm_up))
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * progress))


def trapezoid(step: int, *, warm_up: int, total: int, decay_share: float = DECAY_SHARE) -> float:
    """Warm-up, a plateau, a linear fall to 2 % over the last `decay_share`; raising `total` prolongs the plateau."""
    left = (total - step) / (decay_share * total)
    return min((step + 1) / warm_up, 1.0, max(0.02, left))


def set_learning_rate(optimiser: torch.optim.Optimizer, factor: float) -> None:
    """Scale every group's `base_lr` by the factor."""
    for group in optimiser.param_groups:
        group["lr"] = group["base_lr"] * factor
