"""From what listeners noticed to the numbers of a report."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from ..stages import Stages
from .record import Record

QUANTILES = {"p50": 50, "p90": 90, "p95": 95, "p99": 99}
STAGES = {
    "queue": "first text to the first round that steps it",
    "text": "until there is enough text for a frame",
    "generate": "prefill and steps",
    "codec": "decoding of the first sound",
    "handover": "from there to the listener",
    "silence": "silence before the first audible sample",
}
"""The stages of the first sound, in order, and what each is."""
_BIN_S = 1.0

Summary = dict[str, float | None]


def summary(values: Iterable[float | None], scale: float = 1000.0, digits: int = 2) -> Summary:
    """The percentiles and the largest of the values that are there, in milliseconds when they are seconds."""
    known = [scale * value for value in values if value is not None and not math.isnan(value)]
    if not known:
        return dict.fromkeys((*QUANTILES, "max"), None)
    figures: Summary = {
        name: round(float(percentile), digits)
        for name, percentile in zip(QUANTILES, np.percentile(known, list(QUANTILES.values())), strict=True)
    }
    return figures | {"max": round(max(known), digits)}


def stage_times(stages: Stages) -> dict[str, float] | None:
    """How long each of STAGES took, in seconds; they add up to the first audible sample. None if it never came."""
    opened_s, step_s, frame_s, chunk_s = (
        stages.opened_s,
        stages.first_step_s,
        stages.first_frame_s,
        stages.first_chunk_s,
    )
    taken_s, audible_s = stages.first_taken_s, stages.audible_s
    if opened_s is None or step_s is None or frame_s is None or chunk_s is None:
        return None
    if taken_s is None or audible_s is None:
        return None
    return {
        "queue": step_s - opened_s,
        "text": frame_s - step_s,
        "generate": max(0.0, chunk_s - frame_s - stages.codec_s),
        "codec": stages.codec_s,
        "handover": taken_s - chunk_s,
        # Playback starts when the listener has the sound, so what is silent in it begins then.
        "silence": audible_s - chunk_s,
    }


def waterfall(records: Sequence[Record]) -> dict[str, Summary]:
    """Each stage over all replies that were heard, in milliseconds; empty where stages are unknown."""
    times = [times for r in records if r.stages is not None and (times := stage_times(r.stages))]
    return {name: summary(each[name] for each in times) for name in STAGES} if times else {}


def sessions_with_underrun(records: Sequence[Record]) -> int:
    """How many sessions ran dry at least once."""
    return len({record.session for record in records if record.underruns})


def played_depths(records: Sequence[Record]) -> dict[str, int]:
    """Frames heard, by depth, shallow to deep."""
    total = sum((record.depths for record in records), Counter[int]())
    return {str(depth): total[depth] for depth in sorted(total)}


def by_label(totals: Mapping[str, float], name: str) -> dict[str, int]:
    """A counter that has one label, by that label's numbers."""
    found = {key.partition(" ")[2]: round(value) for key, value in totals.items() if key.startswith(name + " ")}
    return {label: found[label] for label in sorted(found, key=float) if found[label]}


def leads_by_second(records: Sequence[Record], began_s: float) -> list[dict[str, float]]:
    """The leads that chunks found on arriving, second by second: its 5th percentile, its median, its 95th."""
    bins: dict[int, list[float]] = {}
    for record in records:
        # The first chunk of a reply finds nothing to be ahead of.
        for at_s, lead_s in record.leads[2::2]:
            bins.setdefault(int((at_s - began_s) / _BIN_S), []).append(lead_s)
    return [
        {
            "at_s": place * _BIN_S,
            **{f"p{q}": round(float(np.percentile(bins[place], q)), 3) for q in (5, 50, 95)},
        }
        for place in sorted(bins)
    ]
