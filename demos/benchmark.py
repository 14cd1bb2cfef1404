"""Measure the embedded voice on this machine: `python demos/benchmark.py --json out.json`.

Times are milliseconds of wall time, with the CPU time of the one thread that does the work beside them: on a machine
that has other things to do the second is the fairer. Everything is warm but the cold start.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from voicestack.realtime.bench.machine import machine, versions
from voicestack.runtime import (
    Bundle,
    Chunk,
    Codec,
    Engine,
    SamplingParams,
    Speaker,
    Stream,
    StreamSpec,
    default_voice_path,
)

SENTENCE = "Your table for two is booked for half past seven this evening."
PARAGRAPH = " ".join(
    (
        SENTENCE,
        "The restaurant is a short walk from the station, and it will stop raining before you leave.",
        "Would you like me to send the address to your phone?",
    )
)
# What is said does not matter to the time a step takes: any units will do.
TOKENS = [(20, 21)] * 5000
CODEC_FRAMES = (1, 2, 4, 8)
FRAME_S = 0.08
SHORT_S, LONG_S = 5, 300
COLD_START = """
import sys, time
from pathlib import Path
from voicestack.runtime import Bundle, Speaker
next(Speaker(Bundle.load(Path(sys.argv[1]))).speak(sys.argv[2]))
print(time.time())
"""


@dataclass(slots=True)
class Times:
    """Repeated measurements of one thing, in milliseconds."""

    wall_ms: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)

    def measure(self, work: Callable[[], object]) -> None:
        """Do the work once and note how long it took."""
        wall, cpu = time.perf_counter(), time.thread_time()
        work()
        self.wall_ms.append(1000 * (time.perf_counter() - wall))
        self.cpu_ms.append(1000 * (time.thread_time() - cpu))

    def summary(self) -> dict[str, float]:
        """Medians, and the 95th percentile of the wall time."""
        figures = {"median_ms": median(self.wall_ms), "p95_ms": round(float(np.percentile(self.wall_ms, 95)), 3)}
        return figures | {"cpu_median_ms": median(self.cpu_ms)} if self.cpu_ms else figures


@dataclass(slots=True)
class StepTimes:
    """Steps of one stream: as a whole, inside ONNX Runtime by stage, and the share that is neither."""

    step: Times = field(default_factory=Times)
    backbone_ms: list[float] = field(default_factory=list)
    head_ms: list[float] = field(default_factory=list)
    overhead: list[float] = field(default_factory=list)


def main() -> None:
    """Measure, print a table, and write JSON when asked to."""
    parser = argparse.ArgumentParser(description="Measure the embedded voice on this machine.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    parser.add_argument("--voice", type=Path, default=default_voice_path(), metavar="FOLDER", help="another bundle")
    options = parser.parse_args()
    bundle = Bundle.load(options.voice)
    report: dict[str, object] = {"machine": machine(), "versions": versions(), "voice": bundle.manifest.name}
    report["cold_start"] = cold_start(options.voice).summary()
    speaker = Speaker(bundle)
    for depth in bundle.manifest.head_depths:
        report[f"depth_{depth}"] = speech(speaker, depth)
    steps = {depth: step_times(bundle, depth, 100) for depth in bundle.manifest.head_depths}
    report["stages"] = stages(bundle, steps)
    report["engine_overhead_share"] = {str(depth): median(times.overhead) for depth, times in steps.items()}
    report["history"] = history(bundle)
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def cold_start(voice: Path, runs: int = 5) -> Times:
    """From the start of a Python process to its first chunk."""
    times = Times()
    for _ in range(runs):
        start = time.time()
        # The child tells when its first chunk was there, since leaving takes time too.
        command = [sys.executable, "-c", COLD_START, str(voice), SENTENCE]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        times.wall_ms.append(1000 * (float(done.stdout) - start))
    return times


def first_chunk(speaker: Speaker, sampling: SamplingParams, depth: int) -> Chunk:
    """The first chunk of an utterance that is then given up."""
    return next(speaker.speak(SENTENCE, sampling=sampling, depth=depth))


def speech(speaker: Speaker, depth: int, runs: int = 15) -> dict[str, object]:
    """Time to the first chunk and real-time factor of one utterance at a time."""
    first, whole = Times(), Times()
    audio_s = 0.0
    first_chunk(speaker, SamplingParams(), depth)
    for seed in range(runs):
        sampling = SamplingParams(seed=seed)
        first.measure(partial(first_chunk, speaker, sampling, depth))
    for seed in range(3):
        chunks: list[Chunk] = []
        utterance = speaker.speak(PARAGRAPH, sampling=SamplingParams(seed=seed), depth=depth)
        whole.measure(partial(chunks.extend, utterance))
        audio_s += sum(len(chunk.pcm) for chunk in chunks) / speaker.sample_rate_hz
    return {
        "ttfb": first.summary(),
        "rtf": round(sum(whole.wall_ms) / 1000 / audio_s, 4),
        "cpu_rtf": round(sum(whole.cpu_ms) / 1000 / audio_s, 4),
    }


def endless(engine: Engine, depth: int) -> Stream:
    """A stream that has text for more frames than are measured, and cannot end."""
    stream = engine.admit(StreamSpec(SamplingParams(seed=1), depth, target_frames=4500))
    stream.feed.push(TOKENS)
    return stream


def step_times(bundle: Bundle, depth: int, count: int) -> StepTimes:
    """Single steps of one stream, after a few that are not counted."""
    engine, times = Engine(bundle, slots=1), StepTimes()
    endless(engine, depth)
    for _ in range(5):
        engine.step()
    for _ in range(count):
        before = engine.busy_s
        times.step.measure(engine.step)
        backbone, head = (1000 * (now - then) for now, then in zip(engine.busy_s, before, strict=True))
        times.backbone_ms.append(backbone)
        times.head_ms.append(head)
        times.overhead.append(1 - (backbone + head) / times.step.wall_ms[-1])
    return times


def stages(bundle: Bundle, steps: dict[int, StepTimes]) -> dict[str, object]:
    """What each stage of a frame costs: a whole step by depth, backbone, head by depth, codec by frames a call."""
    deepest = steps[bundle.manifest.n_vq]
    result: dict[str, object] = {f"step_{depth}": times.step.summary() for depth, times in steps.items()}
    result["backbone"] = {"median_ms": median(deepest.backbone_ms)}
    result |= {f"head_{depth}": {"median_ms": median(times.head_ms)} for depth, times in steps.items()}
    codec, codes = Codec(bundle.codec_decoder(), bundle.manifest), np.random.default_rng(0)
    for frames in CODEC_FRAMES:
        times, state = Times(), codec.begin()
        for _ in range(40):
            piece = codes.integers(0, bundle.manifest.codebook_size, (frames, bundle.manifest.n_vq))
            times.measure(partial(codec.decode, [(state, piece)]))
        result[f"codec_{frames}"] = times.summary() | {"per_frame_ms": round(median(times.wall_ms) / frames, 3)}
    return result


def history(bundle: Bundle, runs: int = 50) -> dict[str, object]:
    """A step with five minutes of history against one with five seconds.

    Only the backbone looks back: each layer reads all keys and values once a frame, so its time grows with the
    history's length; the head and the codec take what they always take.
    """
    engine = Engine(bundle, slots=1)
    endless(engine, bundle.manifest.n_vq)
    result: dict[str, object] = {}
    steps: list[Times] = []
    position = 0
    for name, at_s in (("5_s", SHORT_S), ("5_min", LONG_S)):
        while position < at_s / FRAME_S:
            engine.step()
            position += 1
        times, before = Times(), engine.busy_s[0]
        for _ in range(runs):
            times.measure(engine.step)
        position += runs
        steps.append(times)
        result[f"step_at_{name}"] = times.summary()
        result[f"backbone_at_{name}"] = {"mean_ms": round(1000 * (engine.busy_s[0] - before) / runs, 3)}
    short, long = steps
    result["step_ratio"] = round(median(long.wall_ms) / median(short.wall_ms), 3)
    result["step_cpu_ratio"] = round(median(long.cpu_ms) / median(short.cpu_ms), 3)
    return result


def median(samples: list[float]) -> float:
    """The median, to three places."""
    return round(float(np.median(samples)), 3)


def show(report: dict[str, object], indent: str = "") -> None:
    """Print nested figures, one a line."""
    for name, value in report.items():
        if isinstance(value, dict) and any(isinstance(inner, dict) for inner in value.values()):
            print(f"{indent}{name}")
            show(value, indent + "  ")
        elif isinstance(value, dict):
            print(f"{indent}{name:14}", ", ".join(f"{key} {inner}" for key, inner in value.items()))
        else:
            print(f"{indent}{name:14} {value}")


if __name__ == "__main__":
    main()
