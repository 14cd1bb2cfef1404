"""From judged sentences to the figures of the README: rates, counts, and the plot."""

from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

Record = dict[str, Any]
GROUPS = ("everyday", "corpus", "unusual")
"""The held-out sets, as they are reported."""


def said_by(who: str, saying: int) -> str:
    """The name in a record of who, `voice` or `teacher`, said a sentence, and for the second time and on of which."""
    return f"{who}_{saying + 1}" if saying else who


def summarise(records: Iterable[Record], facts: dict[str, Any]) -> dict[str, Any]:
    """Word error rates in percent, similarities, failure counts and duration error of one evaluation.

    Rates and counts are of all sayings, a sentence's similarity is the mean of its sayings'.
    """
    by_system: dict[str, list[Record]] = {}
    for record in records:
        by_system.setdefault(record["system"], []).append(record)
    said = {
        who: [r for system, some in by_system.items() if system.split("_")[0] == who for r in some]
        for who in ("teacher", "voice")
    }
    voice = said["voice"]
    similarities: dict[tuple[str, int], list[float]] = {}
    for r in voice:
        similarities.setdefault((r["group"], r["index"]), []).append(r["similarity"])
    teacher = {(r["group"], r["index"]): r for r in by_system.get("teacher", [])}
    summary: dict[str, Any] = {"facts": facts, "sentences": len(similarities), "wer_percent": {}}
    for system, group in product(said, GROUPS):
        chosen = [r for r in said[system] if r["group"] == group]
        summary["wer_percent"][f"{system}_{group}"] = word_error_rate(chosen)
    if voice:
        summary["sayings"] = len(voice) // len(similarities)
        means = [float(np.mean(some)) for some in similarities.values()]
        summary["similarity"] = {"mean": round(float(np.mean(means)), 3), "minimum": round(min(means), 3)}
        summary["failures"] = {
            "runaways": sum(r["runaway"] for r in voice),
            "capped": sum(r["capped"] for r in voice),
            "skips": sum(_worse(r, teacher, "longest_deletion") for r in voice),
            "repeats": sum(_worse(r, teacher, "longest_insertion") for r in voice),
        }
    errors = [error for r in by_system.get("duration", []) for error in r["errors"]]
    if errors:
        summary["duration_error_percent"] = round(100 * float(np.mean(errors)), 2)
    summary["codec"] = {
        system.removeprefix("codec_"): {
            "wer_percent": word_error_rate(chosen),
            "similarity": round(float(np.mean([r["similarity"] for r in chosen])), 3),
        }
        for system, chosen in by_system.items()
        if system.startswith("codec_")
    }
    prefix_indices = {r["index"] for system, rs in by_system.items() if system.startswith("codec_") for r in rs}
    summary["codec_teacher_wer_percent"] = word_error_rate(
        [r for r in teacher.values() if r["group"] == "everyday" and r["index"] in prefix_indices]
    )
    return summary


def word_error_rate(records: list[Record]) -> float | None:
    """Edits over words in percent, over all sentences together."""
    words = sum(record["words"] for record in records)
    return round(100 * sum(record["edits"] for record in records) / words, 2) if words else None


def _worse(record: Record, teacher: dict[tuple[str, int], Record], key: str) -> bool:
    """Whether a run of two words or more is missing (or added) that the teacher's own judgement does not show."""
    theirs = teacher.get((record["group"], record["index"]))
    return bool(record[key] >= 2 and (theirs is None or record[key] > theirs[key]))


def draw(summary: dict[str, Any], picture: Path) -> None:
    """Two panels: word error rate of the voice beside the teacher, and of analysis-synthesis over the depth."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
    rates = summary["wer_percent"]
    for offset, (system, colour) in zip((-0.2, 0.2), (("teacher", "#8da0b3"), ("voice", "#d9713c")), strict=True):
        bars = left.bar(
            [place + offset for place in range(len(GROUPS))],
            [rates[f"{system}_{group}"] for group in GROUPS],
            0.38,
            label=system,
            color=colour,
        )
        left.bar_label(bars, fmt="%.2f")
    left.set(title="word error rate, held-out sentences", ylabel="%", xticks=range(len(GROUPS)), xticklabels=GROUPS)
    left.margins(y=0.25)
    left.legend(frameon=False)
    depths = sorted(map(int, summary["codec"]))
    right.plot(
        range(len(depths)),
        [summary["codec"][str(d)]["wer_percent"] for d in depths],
        "o-",
        color="#d9713c",
        label="codec alone",
    )
    right.axhline(summary["codec_teacher_wer_percent"], color="#8da0b3", linestyle="--", label="teacher")
    right.set(
        title="codec alone: word error rate over depth",
        xlabel="layers decoded",
        xticks=range(len(depths)),
        xticklabels=depths,
        ylabel="%",
        ylim=(0, None),
    )
    right.legend(frameon=False)
    for axis in (left, right):
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)
