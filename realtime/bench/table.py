"""A report as text for a terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from .figures import STAGES

_BAR = 32


def lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The report, most important first."""
    yield from header_lines(report)
    yield from _cold(report["cold"])
    yield f"{'warm':<22}{'p50':>9}{'p90':>9}{'p95':>9}{'p99':>9}{'max':>9}"
    yield _row("TTFB ms", report["ttfb_ms"])
    yield _row("TTFA (audible) ms", report["ttfa_ms"])
    if report["ttfb_after_word_ms"]:
        yield _row("TTFB after 1st word", report["ttfb_after_word_ms"])
        yield _row("TTFA after 1st word", report["ttfa_after_word_ms"])
    yield _row("between chunks ms", report["gap_ms"])
    yield from waterfall_lines(report["waterfall_ms"])
    yield from _continuity(report)
    yield from _cost(report)


def header_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """Where, with what, and under which load."""
    machine, versions, target, load = (report[name] for name in ("machine", "versions", "target", "load"))
    yield f"machine   {machine['cpu']}, {machine['cores_allowed']} of {machine['cores']} cores, {machine['system']}"
    yield f"          {machine['memory_gb']} GB, load average {machine['load_average']} at the end"
    yield "versions  " + ", ".join(f"{name} {version}" for name, version in versions.items() if version)
    yield (
        f"target    {target['name']} over {target['transport']}"
        + (f", voice {target['voice']}" if target["voice"] else "")
        + (f", depth {target['depth']}" if target["depth"] else "")
    )
    if load["arrival"] == "closed":
        yield (
            f"load      {load['sessions']} sessions that speak without a pause for {load['seconds']:g} s, "
            f"begun over {load['spread_s']:g} s"
        )
    else:
        yield f"load      arrivals {load['arrival']} a second for {load['seconds']:g} s, one reply each"
    rate = load["text_rate"]
    yield f"          text {'at once' if rate is None else f'at {rate:g} tokens/s'}, seed {load['seed']}"


def waterfall_lines(stages: Mapping[str, Any]) -> Iterator[str]:
    """A bar for each stage's median, behind those before it."""
    if not stages:
        return
    medians = {name: float(stages[name]["p50"] or 0.0) for name in STAGES}
    total = sum(medians.values()) or 1.0
    yield f"{'first sound, ms':<22}{'p50':>9}{'p95':>9}"
    before = 0.0
    for name, what in STAGES.items():
        start, end = round(_BAR * before / total), round(_BAR * (before + medians[name]) / total)
        before += medians[name]
        bar = " " * start + "#" * (end - start)
        yield f"  {name:<20}{_number(medians[name])}{_number(stages[name]['p95'])}  {bar:<{_BAR}}  {what}"


def _cold(cold: Mapping[str, Any] | None) -> Iterator[str]:
    if cold is None:
        return
    times = [
        f"{label} {cold[name]:.2f} s" for name, label in (("load_s", "load"), ("warm_up_s", "warm-up")) if name in cold
    ]
    yield "cold      " + ", ".join(
        [*times, f"first reply: TTFB {_plain(cold['ttfb_ms'])} ms, TTFA {_plain(cold['ttfa_ms'])} ms"]
    )


def _continuity(report: Mapping[str, Any]) -> Iterator[str]:
    replies, refused = report["replies"], report["refused"]
    yield (
        f"replies   {replies['finished']} finished, {replies['cut']} cut off at the end, {replies['failed']} failed, "
        f"of {report['sessions']} sessions; {refused['count']} refusals"
        + (f" (come again in {_plain(refused['retry_after_s']['p50'])} s)" if refused["count"] else "")
    )
    if report["first_error"]:
        yield f"          first failure: {report['first_error']}"
    yield (
        f"underruns {report['underruns']}, {report['underrun_s']:.3f} s, in {report['sessions_with_underrun']} of "
        f"{report['sessions']} sessions"
    )
    for name in ("generated", "played"):
        histogram = report["depth_histogram"][name]
        total = sum(histogram.values())
        shares = (f"{depth}: {100 * count / total:.1f} %" for depth, count in histogram.items())
        if total:
            yield f"depth     {name:<10}{', '.join(shares)}"


def _cost(report: Mapping[str, Any]) -> Iterator[str]:
    work = "work" if "overhead" in report else "answering"
    yield (
        f"speed     RTF {_plain(report['rtf'])} (seconds of {work} per second of audio), "
        f"{report['audio_s_per_s']:g} s of audio per second"
    )
    if "overhead" in report:
        overhead, batch = report["overhead"], report["batch"]
        yield f"engine    busy {100 * report['busy_share']:.1f} % of the time, mean batch {_plain(batch['mean'])}"
        yield (
            f"overhead  {_plain(overhead['percent_of_ort'])} % of the time in ONNX Runtime ({overhead['ort_s']:g} s): "
            f"worker {overhead['worker_s']:g} s, scheduler {overhead['loop_s']:g} s"
        )
    lag, rss = report["loop_lag_ms"], report["rss_mb"]
    yield f"loop lag  p99 {_plain(lag['p99'])} ms, max {_plain(lag['max'])} ms"
    yield (
        f"process   {report['cpu_s']:g} s of CPU in {report['wall_s']:g} s, memory {_plain(rss['start'])} MB at the "
        f"start, {_plain(rss['peak'])} MB at most"
    )


def _row(name: str, figures: Mapping[str, float | None]) -> str:
    return f"  {name:<20}" + "".join(_number(value) for value in figures.values())


def _number(value: float | None) -> str:
    return f"{'-':>9}" if value is None else f"{value:>9.1f}"


def _plain(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
