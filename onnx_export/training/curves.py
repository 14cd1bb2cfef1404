"""The plot of a stage's loss log: `<work>/<stage>/curves.png`, redrawn from `log.jsonl` at any time."""

import json
from pathlib import Path
from typing import Any


def draw(log_path: Path, picture: Path, title: str) -> None:
    """One panel a quantity; lists (one number per layer) become one line per layer of a few."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    series = _series([json.loads(line) for line in log_path.read_text("utf-8").splitlines()])
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
