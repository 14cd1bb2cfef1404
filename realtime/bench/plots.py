"""A report as a picture: waterfall of the first sound, distribution of TTFA, lead over time."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .figures import STAGES
from .record import Outcome, Record

_COLOURS = {
    "queue": "#9aa5b1",
    "text": "#d9c27a",
    "generate": "#2f6fab",
    "codec": "#3f9b8f",
    "handover": "#b0623f",
    "silence": "#d6d9dd",
}
_INK, _MAIN, _OTHER = "#22303c", "#2f6fab", "#b0623f"
_LINES = 8
"""With more sessions than this, lines of each would hide one another."""


def draw(report: Mapping[str, Any], records: Sequence[Record], began_s: float, path: Path) -> None:
    """Write the picture; its format follows the file's name."""
    # Not pyplot, which would look for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.2), layout="constrained", dpi=120)
    figure.suptitle(_title(report), fontsize=11, color=_INK)
    axes: dict[str, Any] = figure.subplot_mosaic([["waterfall", "ttfa"], ["lead", "lead"]])
    spoken = [record for record in records if record.outcome is not Outcome.REFUSED]
    _waterfall(axes["waterfall"], report)
    _ttfa(axes["ttfa"], report, spoken)
    _lead(axes["lead"], report, spoken, began_s)
    for each in axes.values():
        each.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def _title(report: Mapping[str, Any]) -> str:
    target, load, machine = report["target"], report["load"], report["machine"]
    who = f"{load['sessions']} sessions" if load["arrival"] == "closed" else f"arrivals {load['arrival']}/s"
    text = "text at once" if load["text_rate"] is None else f"text at {load['text_rate']:g} tokens/s"
    depth = f", depth {target['depth']}" if target["depth"] else ""
    where = f"{machine['cpu']}, {machine['cores_allowed']} cores"
    return f"{target['name']} {target['voice'] or ''}{depth}: {who}, {text}\n{where}"


def _waterfall(axes: Any, report: Mapping[str, Any]) -> None:
    axes.set_title("Where the first sound's time goes", loc="left", fontsize=10)
    stages = report["waterfall_ms"]
    if not stages:
        # Of another process only these two are known.
        ttfb, ttfa = report["ttfb_ms"]["p50"] or 0.0, report["ttfa_ms"]["p50"] or 0.0
        stages = {"generate": {"p50": ttfb, "p95": ttfb}, "silence": {"p50": ttfa - ttfb, "p95": ttfa - ttfb}}
    names = [name for name in STAGES if name in stages]
    before = 0.0
    for place, name in enumerate(names):
        median, p95 = (float(stages[name][quantile] or 0.0) for quantile in ("p50", "p95"))
        axes.barh(place, median, left=before, color=_COLOURS[name], height=0.62, zorder=2)
        axes.plot([before + median, before + max(median, p95)], [place, place], color=_INK, linewidth=1, zorder=3)
        axes.annotate(
            f"{median:.1f}  (p95 {p95:.1f})",
            (before + max(median, p95), place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
            color=_INK,
        )
        before += median
    axes.set_yticks(range(len(names)), names)
    axes.invert_yaxis()
    axes.margins(x=0.35)
    axes.set_xlim(left=0)
    axes.set_xlabel("ms since the first text: medians as bars, thin lines to p95")


def _ttfa(axes: Any, report: Mapping[str, Any], spoken: Sequence[Record]) -> None:
    axes.set_title("Time to first sound", loc="left", fontsize=10)
    for name, colour, values in (
        ("TTFB", _OTHER, sorted(1000 * r.ttfb_s for r in spoken if r.ttfb_s is not None)),
        ("TTFA (audible)", _MAIN, sorted(1000 * r.ttfa_s for r in spoken if r.ttfa_s is not None)),
    ):
        if not values:
            continue
        shares = [100 * (place + 1) / len(values) for place in range(len(values))]
        axes.step([values[0], *values], [0.0, *shares], where="post", color=colour, label=f"{name}, n = {len(values)}")
    p95 = report["ttfa_ms"]["p95"]
    if p95 is not None:
        axes.axvline(p95, color=_MAIN, linewidth=0.8, linestyle="--", label=f"p95 TTFA: {p95:.0f} ms")
    axes.set_xlim(left=0)
    axes.set_ylim(0, 102)
    axes.set_xlabel("ms")
    axes.set_ylabel("% of replies that sound by then")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=8, loc="best")


def _lead(axes: Any, report: Mapping[str, Any], spoken: Sequence[Record], began_s: float) -> None:
    axes.set_title("Lead: sound that has arrived and is not played yet", loc="left", fontsize=10)
    sessions = sorted({record.session for record in spoken})
    if len(sessions) <= _LINES:
        for session in sessions:
            for record in (record for record in spoken if record.session == session):
                times = [at_s - began_s for at_s, _ in record.leads]
                axes.plot(times, [lead for _, lead in record.leads], color=_MAIN, linewidth=0.5, alpha=0.5)
    seconds = report["lead_s"]
    if dry := [at_s - began_s for record in spoken for at_s, lead_s in record.leads[2::2] if not lead_s]:
        label = f"came too late, {len(dry)} chunks"
        axes.plot(dry, [0.0] * len(dry), "x", color=_OTHER, clip_on=False, zorder=4, label=label)
    if seconds:
        times = [second["at_s"] + 0.5 for second in seconds]
        low, middle, high = ([second[name] for second in seconds] for name in ("p5", "p50", "p95"))
        axes.fill_between(
            times, low, high, color=_MAIN, alpha=0.18, linewidth=0, label="p5 to p95 at a chunk's arrival"
        )
        axes.plot(times, middle, color=_INK, linewidth=1.2, label="median")
        axes.legend(frameon=True, framealpha=0.9, edgecolor="none", fontsize=8, loc="upper right")
    axes.axhline(0, color=_OTHER, linewidth=1)
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("s since the load began")
    axes.set_ylabel("s")
