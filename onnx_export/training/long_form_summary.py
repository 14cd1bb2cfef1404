"""From the sentences of a long speech to its minutes, and to slopes that say whether it drifts."""

from collections.abc import Callable
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Record = dict[str, Any]
Floats = NDArray[np.float64]

MINUTES = 10
SYSTEMS = {"teacher": "#8da0b3", "voice": "#d9713c"}
MEASURES = {
    "wer_percent": "word error rate, %", "similarity": "similarity to the teacher", "pitch_hz": "median pitch, Hz",
    "spread_st": "pitch spread, st", "loudness_db": "loudness, dB", "words_per_s": "words per second",
    "gap_s": "gap between sentences, s",
}  # fmt: skip
_SINGLE = ("pitch_hz", "spread_st", "loudness_db", "words_per_s")


def summarise(
    sentences: list[Record], stretches: list[Record], similarities: dict[str, list[float]], facts: dict[str, Any]
) -> dict[str, Any]:
    """The measures by minute, voice and teacher, and what each changes over ten minutes.

    Of a sentence its melody is measured, of a stretch of sentences its word errors, of a minute its similarity. Drift
    is that of the voice less the teacher's on the same text; the teacher says each sentence by itself and cannot drift,
    so its own slope is what the text does. Of gaps and similarity there is only the voice's.
    """
    minutes = {
        system: [
            _minute(_within(sentences, minute, system), _within(stretches, minute, system)) | {"similarity": similarity}
            for minute, similarity in enumerate(similarities[system])
        ]
        for system in SYSTEMS
    }
    drifts = _drifts(sentences, stretches, similarities["voice"])
    return {"facts": facts, "sentences": len(sentences), "minutes": minutes, "drift": drifts}


def _within(records: list[Record], minute: int, system: str) -> list[Record]:
    return [record[system] for record in records if record["start_s"] // 60 == minute]


def _minute(sentences: list[Record], stretches: list[Record]) -> dict[str, float | None]:
    words, edits = (sum(stretch[key] for stretch in stretches) for key in ("words", "edits"))
    gaps_s = [sentence["gap_s"] for sentence in sentences if "gap_s" in sentence]
    return {
        "wer_percent": round(100 * edits / words, 2),
        **{key: round(float(np.mean(_known(sentences, key))), 3) for key in _SINGLE},
        "gap_s": round(float(np.mean(gaps_s)), 3) if gaps_s else None,
    }


def _known(sentences: list[Record], key: str) -> list[float]:
    return [sentence[key] for sentence in sentences if sentence[key] is not None]


def _drifts(sentences: list[Record], stretches: list[Record], similarities: list[float]) -> dict[str, Any]:
    def less_teacher(records: list[Record], value: Callable[[Record], float]) -> dict[str, Any]:
        return drift(_at_minutes(records), np.array([value(r["voice"]) - value(r["teacher"]) for r in records]))

    drifts = {"wer_percent": less_teacher(stretches, lambda said: 100 * said["edits"] / said["words"])}
    drifts["similarity"] = drift(np.arange(float(len(similarities))), np.array(similarities))
    for key in _SINGLE:
        both = [sentence for sentence in sentences if None not in (sentence[system][key] for system in SYSTEMS)]
        drifts[key] = less_teacher(both, itemgetter(key))
    followed = [sentence for sentence in sentences if "gap_s" in sentence["voice"]]
    drifts["gap_s"] = drift(_at_minutes(followed), np.array([sentence["voice"]["gap_s"] for sentence in followed]))
    return drifts


def _at_minutes(records: list[Record]) -> Floats:
    return np.array([record["start_s"] / 60 for record in records])


def drift(at_minutes: Floats, values: Floats) -> dict[str, Any]:
    """How much values change over ten minutes by their straight line, the standard error of that, and whether it tells.

    Both float64 [samples]. It tells when zero lies outside the interval that holds 95 % of such estimates.
    """
    slope, error = _slope(at_minutes, values)
    change, change_error = slope * MINUTES, error * MINUTES
    return {
        "over_ten_minutes": round(change, 4),
        "error": round(change_error, 4),
        "tells": bool(abs(change) > _confident(len(values) - 2) * change_error),
    }


def _confident(freedom: int) -> float:
    """How many standard errors hold 95 % of estimates: Student's t, by Cornish and Fisher's series in 1 / freedom.

    To 0.01 from five degrees of freedom on (Abramowitz and Stegun 26.7.5).
    """
    x = 1.959964
    return x + (x**3 + x) / (4 * freedom) + (5 * x**5 + 16 * x**3 + 3 * x) / (96 * freedom**2)


def _slope(times: Floats, values: Floats) -> tuple[float, float]:
    """Least squares: the slope and its standard error, for three samples or more."""
    centred = times - times.mean()
    slope = float(centred @ values / (centred @ centred))
    residuals = values - values.mean() - slope * centred
    return slope, float(np.sqrt(residuals @ residuals / (len(values) - 2) / (centred @ centred)))


def table(summary: dict[str, Any]) -> str:
    """The minutes and the drifts as lines to read; teacher | voice in every cell."""
    rows = ["Every cell: teacher | voice.", f"{'minute':>6}" + "".join(f"{key:>18}" for key in MEASURES)]
    for number, (theirs, own) in enumerate(zip(*(summary["minutes"][s] for s in SYSTEMS), strict=True), 1):
        cells = [f"{_shown(theirs[key])} | {_shown(own[key])}" for key in MEASURES]
        rows.append(f"{number:6}" + "".join(f"{cell:>18}" for cell in cells))
    rows += ["", "Change over ten minutes, less the teacher's on the same sentences, with its standard error:"]
    for key, title in MEASURES.items():
        found = summary["drift"][key]
        verdict = "drifts" if found["tells"] else "no drift to be told"
        rows.append(f"{title:28}{found['over_ten_minutes']:+9.3f} ± {found['error']:.3f}   {verdict}")
    return "\n".join(rows)


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}"


def draw(summary: dict[str, Any], picture: Path) -> None:
    """Word error rate, similarity and pitch over the minutes, the voice beside the teacher."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6))
    for axis, key in zip(axes, ("wer_percent", "similarity", "pitch_hz"), strict=True):
        for system, colour in SYSTEMS.items():
            minutes = summary["minutes"][system]
            axis.plot(range(1, len(minutes) + 1), [minute[key] for minute in minutes], "o-", color=colour, label=system)
        found = summary["drift"][key]
        change = f"{found['over_ten_minutes']:+.2f} ± {found['error']:.2f} in ten minutes"
        axis.set(title=f"{MEASURES[key]}\n{change}", xlabel="minute of unbroken speech")
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set(ylim=(0, None))
    axes[1].set(ylim=(0.5, 1))
    axes[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)
