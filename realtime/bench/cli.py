"""`voicestack bench`: found by the command line through the package's entry points."""

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from voicestack.runtime import Bundle, Ensemble, InputError, VoicestackError, find_voice

from ..first_error import first_error
from ..orders import OpenWorker
from .capacity import Demand, Probe, judged, largest
from .interrupt import barge_in
from .load import LoadPlan
from .machine import machine, versions
from .measure import first_reply, measure
from .options import BAD_INPUT, CAPACITY, INPROC, INTERRUPT, RUN, WS, check, parse
from .report import header, report
from .table import header_lines, lines
from .target import Target
from .texts import fixture_replies
from .throughput import frames_per_s

MISSED, INTERRUPTED = 1, 130
_EXTRA = {"aiohttp": "bench", "matplotlib": "bench", "websockets": "bench", "aiortc": "webrtc", "av": "webrtc"}


@dataclass(frozen=True, slots=True)
class Setup:
    """What a test puts in the place of the voice, the replies and the time."""

    open_worker: OpenWorker | None = None
    replies: Sequence[str] | None = None
    config: Mapping[str, Any] | None = None
    clock: Callable[[], float] = time.monotonic

    def texts(self) -> Sequence[str]:
        """What is said."""
        return self.replies or fixture_replies()


def bench(arguments: Sequence[str] | None = None, setup: Setup | None = None) -> int:
    """Measure latency, underruns, capacity and cost.

    Returns 0, 1 when a demand was missed, 2 after one line about what was wrong, 130 when interrupted.
    """
    options, setup = parse(arguments), setup or Setup()
    try:
        check(options)
        if options.what == RUN:
            return asyncio.run(_run(options, setup))
        if options.what == CAPACITY:
            return asyncio.run(_capacity(options, setup))
        if options.what == INTERRUPT:
            return asyncio.run(_interrupt(options, setup))
        return _throughput(options, setup)
    except KeyboardInterrupt:
        _tell("voicestack: interrupted")
        return INTERRUPTED
    except Exception as failed:
        error = first_error(failed)
        if isinstance(error, ModuleNotFoundError) and error.name in _EXTRA:
            extra = _EXTRA[error.name]
            _tell(
                f"voicestack: error: the package {error.name} is missing; install voicestack with its `{extra}` extra"
            )
        elif isinstance(error, VoicestackError | OSError):
            _tell(f"voicestack: error: {' '.join(str(error).split())}")
        else:
            raise
    return BAD_INPUT


async def _run(options: argparse.Namespace, setup: Setup) -> int:
    if options.plot and find_spec("matplotlib") is None:
        raise ModuleNotFoundError(name="matplotlib")
    plan = LoadPlan(
        options.sessions or 1,
        options.seconds,
        options.arrival,
        options.text_rate,
        min(options.spread, options.seconds / 4),
        options.seed,
    )
    async with _target(options, setup) as target:
        measured = await measure(target, setup.texts(), plan, clock=setup.clock)
    figures = report(measured)
    for line in lines(figures):
        print(line)
    _write(options, figures)
    if options.plot:
        from .plots import draw

        draw(figures, measured.records, measured.began_s, options.plot)
    return _verdict(figures, options.max_ttfa_p95)


def _verdict(figures: Mapping[str, Any], limit_ms: float | None) -> int:
    p95_ms = figures["ttfa_ms"]["p95"]
    if limit_ms is None or (p95_ms is not None and p95_ms <= limit_ms):
        return 0
    got = "nothing was heard" if p95_ms is None else f"p95 TTFA is {p95_ms:g} ms"
    _tell(f"voicestack bench: {got}, the limit is {limit_ms:g} ms")
    return MISSED


async def _capacity(options: argparse.Namespace, setup: Setup) -> int:
    demand = Demand(options.max_ttfa_p95, options.underrun_share)
    probes: list[Probe] = []
    about: Mapping[str, Any] = {}
    async with _target(options, setup) as target:
        print(f"demand    {demand}")
        await first_reply(target, setup.texts(), setup.clock)

        async def holds(sessions: int) -> bool:
            nonlocal about
            spread_s = min(options.spread, options.seconds / 4)
            plan = LoadPlan(sessions, options.seconds, None, options.text_rate, spread_s, options.seed)
            measured = await measure(target, setup.texts(), plan, cold=False, clock=setup.clock)
            if not about:
                about = header(measured)
                print("\n".join(header_lines(about)), flush=True)
            probes.append(judged(report(measured), sessions, demand))
            print(probes[-1], flush=True)
            return probes[-1].holds

        found = await largest(holds, options.sessions, options.most)
        believed = target.capacity()
    known = "" if believed is None else f" (admission would let {believed} in)"
    print(f"capacity  {found} sessions{' or more' if found == options.most else ''}{known}")
    _write(
        options,
        {**about, "demand": str(demand), "capacity": found, "probes": [probe.data() for probe in probes]},
    )
    return 0 if found else MISSED


async def _interrupt(options: argparse.Namespace, setup: Setup) -> int:
    # A reply is listened to for about a second, so this is time enough.
    seconds = 30.0 + 10.0 * options.count
    plan = LoadPlan(options.sessions, seconds, None, options.text_rate, options.spread, options.seed)
    async with _target(options, setup) as target:
        await first_reply(target, setup.texts(), setup.clock)
        found = await barge_in(target, setup.texts(), plan, options.count, setup.clock)
        facts = target.facts
    figures = found.summaries()
    print(f"{f'{options.sessions} other sessions':<28}{'p50':>9}{'p90':>9}{'p95':>9}{'p99':>9}{'max':>9}")
    for name, label in (
        ("silence_ms", "interrupt to silence, ms"),
        ("next_ttfb_ms", "to the next sound, ms"),
        ("next_ttfa_ms", "to the next audible, ms"),
    ):
        print(f"  {label:<26}" + "".join("        -" if v is None else f"{v:>9.1f}" for v in figures[name].values()))
    ran_dry = sum(record.underruns for record in found.others)
    print(f"  {len(found.silence_s)} interrupted, {found.stale} chunks came afterwards; others ran dry {ran_dry} times")
    _write(
        options,
        {
            "machine": machine(),
            "versions": versions(),
            "target": {"name": facts.name, "transport": facts.transport, "voice": facts.voice, "depth": facts.depth},
            "other_sessions": options.sessions,
            **figures,
            "interrupted": len(found.silence_s),
            "stale_chunks": found.stale,
            "missed": found.missed,
            "underruns_of_others": ran_dry,
        },
    )
    return 0


def _throughput(options: argparse.Namespace, setup: Setup) -> int:
    bundle = Bundle.load(find_voice(options.voice))
    sizes = (1, *(size for size in options.batch if size > 1))
    ensemble = Ensemble(bundle, max(sizes))
    rates = frames_per_s(ensemble, sizes, setup.texts(), depth=options.depth, seconds=options.seconds)
    frame_rate = bundle.manifest.frame_rate_hz
    depth = options.depth or bundle.manifest.sampling.depth
    print(f"voice {bundle.manifest.name}, depth {depth}: engine and codec, chunks of 4 frames")
    for size, rate in rates.items():
        print(
            f"  {size:>3} stream{'s' if size > 1 else ' '}  {rate:>8.1f} frames/s, {rate / frame_rate:>6.1f} times "
            f"real time, {rate / rates[1]:.2f} times one by one"
        )
    _write(
        options,
        {
            "machine": machine(),
            "versions": versions(),
            "voice": bundle.manifest.name,
            "depth": depth,
            "frames_per_s": {str(size): round(rate, 2) for size, rate in rates.items()},
            "ratio": {str(size): round(rate / rates[1], 3) for size, rate in rates.items()},
        },
    )
    return 0


def _target(options: argparse.Namespace, setup: Setup) -> Target:
    """What is measured. Imported when it is used: each needs packages that the other's users may lack."""
    url, transport = getattr(options, "url", None), getattr(options, "transport", INPROC)
    if url is not None or transport != INPROC:
        key = None
        if options.key_env is not None and not (key := os.environ.get(options.key_env)):
            raise InputError(f"--key-env {options.key_env}: there is no such environment variable, or it is empty")
        if transport != INPROC:
            return _voicestack_server(options, transport, key, setup)
        from .openai_target import OpenAiTarget, Server

        return OpenAiTarget(Server(options.url, options.model, options.server_voice, key), setup.clock)
    from ..planner import PlannerConfig
    from ..voice import VoiceConfig
    from .inproc import InprocTarget

    config = {"planner": PlannerConfig(shedding=not options.no_shedding), **(setup.config or {})}
    return InprocTarget(
        options.voice, options.depth, options.seed, VoiceConfig(**config), setup.open_worker, setup.clock
    )


def _voicestack_server(options: argparse.Namespace, transport: str, token: str | None, setup: Setup) -> Target:
    from .server_process import ServerProcess

    voice = [] if options.voice is None else ["--voice", options.voice]
    server = ServerProcess(voice) if options.url is None else None
    if transport == WS:
        from .ws_target import WsTarget

        return WsTarget(server, options.url, token, depth=options.depth, seed=options.seed, clock=setup.clock)
    from .webrtc_target import WebRtcTarget

    return WebRtcTarget(server, options.url, token, setup.clock)


def _write(options: argparse.Namespace, figures: Mapping[str, object]) -> None:
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
