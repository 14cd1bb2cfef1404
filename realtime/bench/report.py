"""A measurement as plain data, as it is written to JSON. Milliseconds where a name ends in _ms, else seconds."""

from collections import Counter
from collections.abc import Mapping, Sequence

from .figures import (
    by_label,
    leads_by_second,
    played_depths,
    sessions_with_underrun,
    summary,
    waterfall,
)
from .machine import machine, versions
from .measure import Measurement
from .record import Outcome, Record

Report = dict[str, object]


def header(measured: Measurement) -> Report:
    """What was measured, where, and with which load."""
    facts, plan = measured.facts, measured.plan
    closed = plan.rate_per_s is None
    return {
        "machine": machine(),
        "versions": versions(),
        "target": {"name": facts.name, "transport": facts.transport, "voice": facts.voice, "depth": facts.depth},
        "load": {
            "arrival": "closed" if closed else f"poisson:{plan.rate_per_s:g}",
            "sessions": plan.sessions if closed else None,
            "seconds": plan.seconds,
            "spread_s": plan.spread_s if closed else None,
            "text_rate": plan.tokens_per_s,
            "seed": plan.seed,
        },
    }


def report(measured: Measurement) -> Report:
    """The whole of it."""
    records, monitor = measured.records, measured.monitor
    spoken = [record for record in records if record.outcome is not Outcome.REFUSED]
    with_underrun = sessions_with_underrun(spoken)
    sessions = len({record.session for record in spoken})
    errors = [record.error for record in spoken if record.error]
    written = measured.plan.tokens_per_s is not None
    return {
        **header(measured),
        "cold": _cold(measured),
        "ttfb_ms": summary(record.ttfb_s for record in spoken),
        "ttfa_ms": summary(record.ttfa_s for record in spoken),
        "ttfb_after_word_ms": summary(_after_word(r, r.ttfb_s) for r in spoken) if written else None,
        "ttfa_after_word_ms": summary(_after_word(r, r.ttfa_s) for r in spoken) if written else None,
        "waterfall_ms": waterfall(spoken),
        "sessions": sessions,
        "replies": {str(outcome): sum(r.outcome is outcome for r in spoken) for outcome in _SPOKEN},
        "unheard": sum(record.ttfa_s is None for record in spoken),
        "first_error": errors[0] if errors else None,
        "refused": _refused(records),
        "sessions_with_underrun": with_underrun,
        "share_with_underrun": round(with_underrun / sessions, 4) if sessions else None,
        "underruns": sum(record.underruns for record in spoken),
        "underrun_s": round(sum(record.underrun_s for record in spoken), 4),
        "underruns_by_engine": _underruns_by_engine(measured.totals),
        "gap_ms": summary(gap_s for record in spoken for gap_s in record.gaps_s),
        "depth_histogram": {
            "generated": by_label(measured.totals, "voicestack_frames_generated_total"),
            "played": played_depths(spoken),
        },
        **_speed(measured, spoken),
        "loop_lag_ms": {name: summary(monitor.lags_s)[name] for name in ("p99", "max")},
        "wall_s": round(monitor.wall_s, 3),
        "cpu_s": round(monitor.cpu_s, 3),
        "rss_mb": {"start": monitor.rss_start_mb, "peak": monitor.rss_peak_mb},
        "lead_s": leads_by_second(spoken, measured.began_s),
    }


_SPOKEN = (Outcome.FINISHED, Outcome.CUT, Outcome.FAILED)


def _cold(measured: Measurement) -> Report | None:
    cold = measured.cold
    if cold is None:
        return None
    times: Report = {name: round(value, 3) for name, value in measured.facts.cold.items()}
    first = {"ttfb_ms": cold.ttfb_s, "ttfa_ms": cold.ttfa_s}
    return times | {name: None if value is None else round(1000 * value, 2) for name, value in first.items()}


def _after_word(record: Record, since_asked_s: float | None) -> float | None:
    """The same delay, from the moment the first word was complete; never less than none."""
    return None if since_asked_s is None else max(0.0, since_asked_s - (record.word_s - record.asked_s))


def _refused(records: Sequence[Record]) -> Report:
    hints = [r.retry_s for r in records if r.outcome is Outcome.REFUSED]
    return {"count": len(hints), "retry_after_s": summary(hints, scale=1)}


def _underruns_by_engine(totals: Mapping[str, float]) -> Report | None:
    """What the scheduler believes of its listeners, beside what they noticed."""
    if not totals:
        return None
    return {
        "count": round(totals["voicestack_underruns_total"]),
        "seconds": round(totals["voicestack_underrun_seconds_total"], 4),
    }


def _speed(measured: Measurement, spoken: Sequence[Record]) -> Report:
    """How fast the engine is, where its time goes, and how large its batches are."""
    totals, wall_s = measured.totals, measured.monitor.wall_s
    audio_s = sum(record.audio_s for record in spoken)
    speed: Report = {"audio_s": round(audio_s, 3), "audio_s_per_s": round(audio_s / wall_s, 3)}
    if not totals:
        # Of another process only the listener's view is known: how long an answer took for each second of it.
        took_s = sum(r.ended_s - r.asked_s for r in spoken if r.audio_s)
        return {"rtf": round(took_s / audio_s, 4) if audio_s else None, **speed}
    round_s, ort_s = totals["voicestack_round_seconds_total"], totals["voicestack_onnxruntime_seconds_total"]
    loop_s = totals["voicestack_scheduler_seconds_total"]
    rounds = totals["voicestack_batch_streams_count"]
    return {
        "rtf": round(round_s / audio_s, 4) if audio_s else None,
        **speed,
        "busy_share": round(round_s / wall_s, 4),
        "overhead": {
            "ort_s": round(ort_s, 3),
            "worker_s": round(round_s - ort_s, 3),
            "loop_s": round(loop_s, 3),
            "loop_thread_cpu_s": round(measured.monitor.loop_cpu_s, 3),
            "percent_of_ort": round(100 * (round_s - ort_s + loop_s) / ort_s, 2) if ort_s else None,
        },
        "batch": {
            "rounds": round(rounds),
            "mean": round(totals["voicestack_batch_streams_sum"] / rounds, 2) if rounds else None,
            "histogram": _buckets(totals, "voicestack_batch_streams_bucket"),
        },
        "capacity_believed": measured.capacity,
    }


def _buckets(totals: Mapping[str, float], name: str) -> dict[str, int]:
    """A histogram's counts, by the upper end of each bucket, not cumulated; empty ones left out."""
    cumulated = {float(key.partition(" ")[2]): value for key, value in totals.items() if key.startswith(name + " ")}
    counts: Counter[str] = Counter()
    below = 0.0
    for upper in sorted(cumulated):
        counts[f"{upper:g}"] = round(cumulated[upper] - below)
        below = cumulated[upper]
    return {upper: count for upper, count in counts.items() if count}
