"""The plot of a stage's loss log: `<work>/<stage>/curves.png`, redrawn from `log.jsonl` at any time."""

import math
from pathlib import Path
from typing import Any

from .lines import read_lines


def draw(log_path: Path, picture: Path, title: str) -> None:
    """One panel a quantity; lists (one number per layer) become one line per layer of a few. Without a log none."""
    if not log_path.exists():
        return
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    series = _series(read_lines(log_path))
    if not series:
        return
    figure, axes = plt.subplots(1, len(series), figsize=(4.2 * len(series), 3.4), squeeze=False)
    for axis, (name, lines) in zip(axes[0], series.items(), strict=True):
        for label, (steps, values) in lines.items():
            axis.plot(steps, values, label=label, linewidth=1.2)
        axis.set(title=name.replace("_", " "), xlabel="step")
        axis.grid(alpha=0.3)
        if len(lines) > 1:
            axis.legend(fontsize=7)
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def draw_layers(log_path: Path, picture: Path, codebook: int) -> None:
    """Where the entropy of a stack is: validation NLL of a few layers over the steps, and of all over the depth.

    Dotted beside it, where it was measured, that of speech trained on: when the two part, it is learned by heart.
    """
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    validated = [record for record in read_lines(log_path) if "validation_layers" in record]
    if not validated:
        return
    steps = [record["step"] for record in validated]
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True)
    colours = plt.get_cmap("viridis")
    for place, layer in enumerate((1, 2, 3, 4, 8, 16, 32)):
        values = [record["validation_layers"][layer - 1] for record in validated]
        left.plot(steps, values, color=colours(place / 6.5), linewidth=1.4)
        known = [record["known_layers"][layer - 1] if "known_layers" in record else math.nan for record in validated]
        left.plot(steps, known, ":", color=colours(place / 6.5), linewidth=1.2)
        left.annotate(f" {layer}", (steps[-1], values[-1]), fontsize=8, va="center", color=colours(place / 6.5))
    left.set(title="by layer, while it learns", xlabel="step", ylabel="nats per code")
    for record, style in ((validated[0], ":"), (validated[-1], "-")):
        depths = range(1, len(record["validation_layers"]) + 1)
        right.plot(depths, record["validation_layers"], style, color="#d9713c", label=f"step {record['step']}")
    right.axhline(math.log(codebook), color="#8da0b3", linestyle="--", label="nothing known")
    right.set(title="over the depth", xlabel="layer", ylim=(0, None))
    right.legend(frameon=False, loc="lower right")
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)


_SHOWN_LAYERS = (1, 2, 4, 8, 16, 32)
Line = tuple[list[int], list[float]]


def _series(records: list[dict[str, Any]]) -> dict[str, dict[str, Line]]:
    series: dict[str, dict[str, Line]] = {}
    for record in records:
        for name, value in record.items():
            if name == "step":
                continue
            values = {f"layer {n}": value[n - 1] for n in _SHOWN_LAYERS} if isinstance(value, list) else {name: value}
            for label, number in values.items():
                steps, numbers = series.setdefault(name, {}).setdefault(label, ([], []))
                steps.append(record["step"])
                numbers.append(number)
    return series
