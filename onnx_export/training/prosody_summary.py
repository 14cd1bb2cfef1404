"""From measured sayings to what they tell of the marks: how sentences end with each, how long the pauses are."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from .melody import FINAL_S
from .pitch import STEP_S, Floats
from .prosody_text import MARKED

Record = dict[str, Any]

SYSTEMS = {"teacher": "#8da0b3", "codec": "#5f9e6e", "voice": "#d9713c"}
"""Who speaks, and in which colour; the codec is the teacher's speech through analysis and synthesis."""
ENDS = {**dict.fromkeys(MARKED), "yes-no": None, "wh": None}
PAUSES = {"comma": "at a\ncomma", "no comma": "same words,\nno comma", "pairs": "between\nsentences"}
_MEASURES = ("height_st", "movement_st", "range_st", "median_hz", "last_word_s", "voiced_end", "voiced_loud")
_SHOWN = {
    "height_st": "+.2f",
    "movement_st": "+.2f",
    "range_st": ".1f",
    "last_word_s": ".2f",
    "voiced_end": ".2f",
    "voiced_loud": ".2f",
}
_HEARD_ST = 1.0
"""A difference of a semitone at the end of a sentence is plainly heard."""
_NO_PAUSE_S = 0.05


def summarise(records: list[Record], facts: dict[str, Any]) -> dict[str, Any]:
    """How sentences end by kind, what a mark changes in the same words, pauses, and how alike the contours are."""
    summary: dict[str, Any] = {"facts": facts, "ends": {}, "marks": {}, "pauses_s": {}, "contours": {}}
    for system in SYSTEMS:
        own = [record for record in records if record["system"] == system]
        summary["ends"][system] = {kind: _ends(_of(own, kind)) for kind in ENDS}
        summary["marks"][system] = {
            kind: _contrast(_of(own, kind), _of(own, "statement")) for kind in ("question", "exclamation")
        }
        summary["pauses_s"][system] = {kind: _pauses(_of(own, kind)) for kind in PAUSES}
        summary["contours"][system] = _contours(own)
        summary["contours"][system]["end_correlation"] = _end_correlation(records, system)
    return summary


def _of(records: list[Record], kind: str) -> list[Record]:
    return [record for record in records if record["kind"] == kind]


def _ends(records: list[Record]) -> dict[str, dict[str, float | None]]:
    """Mean and spread of each measure over all sayings that have it."""
    columns = {measure: _known([record[measure] for record in records]) for measure in _MEASURES}
    return {m: {"mean": _rounded(column.mean), "sd": _rounded(column.std)} for m, column in columns.items()}


def _contrast(marked: list[Record], plain: list[Record]) -> dict[str, Any]:
    """What a mark changes in the same words: mean over the sentences, with its standard error."""
    changes: dict[str, Any] = {}
    for measure in ("height_st", "movement_st", "range_st", "last_word_s"):
        changes[measure] = _mean_and_error(_by_sentence(marked, measure) - _by_sentence(plain, measure))
    changes["level_st"] = _mean_and_error(
        12 * np.log2(_by_sentence(marked, "median_hz") / _by_sentence(plain, "median_hz"))
    )
    rise = _known(_by_sentence(marked, "height_st") - _by_sentence(plain, "height_st"))
    changes["ends_higher_percent"] = _rounded((100.0 * (rise > _HEARD_ST)).mean) if rise.size else None
    return changes


def _mean_and_error(changes: Floats) -> dict[str, Any]:
    known = _known(changes)
    error = float(known.std(ddof=1) / np.sqrt(known.size)) if known.size > 1 else None
    return {
        "mean": _rounded(known.mean) if known.size else None,
        "error": None if error is None else round(error, 3),
        "sentences": known.size,
    }


def _by_sentence(records: list[Record], measure: str) -> Floats:
    """The mean of a sentence's takes that have the measure, in the order of the sentences; NaN if none has."""
    indices = sorted({record["index"] for record in records})
    takes = [_known([r[measure] for r in records if r["index"] == index]) for index in indices]
    return np.array([known.mean() if known.size else np.nan for known in takes], np.float64)


def _known(values: Any) -> Floats:
    """Those that are no NaN and no None."""
    column = np.array(values, np.float64)
    return column[np.isfinite(column)]


def _rounded(statistic: Callable[[], Any]) -> float:
    return round(float(statistic()), 3)


def _pauses(records: list[Record]) -> dict[str, Any]:
    pauses_s = [pause for record in records for pause in record["pauses_s"]]
    low, median, high = np.percentile(pauses_s, [25, 50, 75])
    return {
        "median": round(float(median), 3), "quartiles": [round(float(low), 3), round(float(high), 3)],
        "none_percent": round(100 * float(np.mean(np.array(pauses_s) < _NO_PAUSE_S)), 1), "count": len(pauses_s),
    }  # fmt: skip


def _contours(records: list[Record]) -> dict[str, Any]:
    """How alike whole contours are to the teacher's first saying: medians over all sayings, or what is made of that."""
    compared = [r for r in records if r["agreement"] and (r["system"], r["take"]) != ("codec", 1)]
    pairs = np.array([record["agreement"] for record in compared])
    correlation, difference_st = np.nanmedian(pairs, axis=0)
    return {"correlation": round(float(correlation), 3), "difference_st": round(float(difference_st), 3)}


def _end_correlation(records: list[Record], system: str) -> float | None:
    """Whether a sentence that ends high with the teacher does so here: over all sentences, one take against another."""
    theirs = {(r["kind"], r["index"]): r["height_st"] for r in _takes(records, "teacher", 0)}
    mine = {(r["kind"], r["index"]): r["height_st"] for r in _takes(records, system, 1)}
    known = [key for key in mine if mine[key] is not None and theirs[key] is not None]
    if len(known) < 3:
        return None
    return round(float(np.corrcoef([theirs[key] for key in known], [mine[key] for key in known])[0, 1]), 3)


def _takes(records: list[Record], system: str, take: int) -> Iterable[Record]:
    return (r for r in records if r["system"] == system and r["take"] == take and r["kind"] in ENDS)


def table(summary: dict[str, Any]) -> str:
    """The summary as lines to read, all systems in every cell."""

    def cell(section: str, *keys: str, form: str = "+.2f") -> str:
        values: list[str] = []
        for system in SYSTEMS:
            value: Any = summary[section][system]
            for key in keys:
                value = value[key]
            values.append("-" if value is None else f"{value:{form}}")
        return " | ".join(values)

    rows = ["Every cell: teacher | codec alone | voice; semitones are above the sentence's own median.", ""]
    heads = ("last 0.15 s, st", "movement, st", "range, st", "last word, s", "end voiced", "loud voiced")
    rows.append(f"{'ends':14}" + "".join(f"{head:>24}" for head in heads))
    for kind in ENDS:
        cells = [cell("ends", kind, measure, "mean", form=form) for measure, form in _SHOWN.items()]
        rows.append(f"{kind:14}" + "".join(f"{shown:>24}" for shown in cells))
    rows += ["", f"{'same words, against the full stop':34}{'? instead':>24}{'! instead':>24}"]
    for measure in ("height_st", "movement_st", "level_st", "range_st", "last_word_s"):
        for value in ("mean", "error"):
            name = measure if value == "mean" else "  its standard error"
            rows.append(f"{name:34}" + "".join(f"{cell('marks', k, measure, value):>24}" for k in list(MARKED)[1:]))
    shares = "".join(f"{cell('marks', kind, 'ends_higher_percent', form='.0f'):>24}" for kind in list(MARKED)[1:])
    rows.append(f"{'ends a semitone higher, %':34}{shares}")
    rows += ["", f"{'pauses':14}{'median, s':>24}{'none at all, %':>24}"]
    for kind in PAUSES:
        median, none = (cell("pauses_s", kind, key, form=".2f") for key in ("median", "none_percent"))
        rows.append(f"{kind:14}{median:>24}{none:>24}")
    rows += ["", "contours against the teacher's first saying (teacher: its second saying)"]
    rows += [f"{key:18}{cell('contours', key):>24}" for key in ("correlation", "difference_st", "end_correlation")]
    return "\n".join(rows)


def draw(records: list[Record], picture: Path) -> None:
    """How sentences end with each mark, and how long the pauses are; the voice beside the teacher."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(2, 3, figsize=(12, 6.6))
    titles = {
        "statement": "statement: It will rain in June.",
        "question": "the same words with ?",
        "exclamation": "the same words with !",
        "yes-no": "yes-no question: Will it rain in June?",
        "wh": "wh-question: When is she coming home?",
    }
    for axis, (kind, title) in zip(axes.flat, titles.items(), strict=False):
        _draw_ends(axis, _of(records, kind), title)
    axes[0, 0].legend(frameon=False)
    for axis in axes[:, 0]:
        axis.set(ylabel="semitones above the sentence's median")
    _draw_pauses(axes[1, 2], records)
    for axis in axes.flat:
        axis.spines[["top", "right"]].set_visible(False)
    figure.suptitle("Pitch at the end of a sentence: mean and spread; a gap is where most sayings have no pitch")
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _draw_ends(axis: Any, records: list[Record], title: str) -> None:
    """Mean contours and their standard deviation, where at least a third of the sayings have voice."""
    times_s = np.arange(-round(FINAL_S / STEP_S), 0) * STEP_S + STEP_S
    for system, colour in SYSTEMS.items():
        contours = np.array([record["contour_st"] for record in records if record["system"] == system], np.float64)
        shown = np.isfinite(contours).mean(0) > 1 / 3
        masked = np.ma.masked_invalid(contours)
        mean, spread = (np.where(shown, values.filled(np.nan), np.nan) for values in (masked.mean(0), masked.std(0)))
        if system == "codec":
            axis.plot(times_s, mean, "--", color=colour, linewidth=1, label="teacher through the codec")
            continue
        axis.plot(times_s, mean, color=colour, linewidth=2, label=system)
        axis.fill_between(times_s, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0)
    axis.axhline(0, color="#999999", linewidth=0.6)
    axis.set(title=title, xlabel="seconds before the end of speech", xlim=(-FINAL_S, 0), ylim=(-10, 10))


def _draw_pauses(axis: Any, records: list[Record]) -> None:
    """One dot a pause, and the median."""
    draws = np.random.default_rng(0)
    for place, kind in enumerate(PAUSES):
        for shift, (system, colour) in zip((-0.27, 0, 0.27), SYSTEMS.items(), strict=True):
            own = [r for r in _of(records, kind) if r["system"] == system]
            pauses_s = np.array([pause for record in own for pause in record["pauses_s"]])
            across = place + shift + draws.uniform(-0.07, 0.07, len(pauses_s))
            axis.plot(across, pauses_s, ".", color=colour, alpha=0.45, markersize=4)
            axis.hlines(np.median(pauses_s), place + shift - 0.11, place + shift + 0.11, color=colour, linewidth=2.5)
    axis.set(title="pauses", ylabel="seconds of silence", xticks=range(len(PAUSES)), xticklabels=PAUSES.values())
    axis.set(ylim=(0, None))
