"""An hour of one stream in a cache of fixed size: `python demos/history_hour.py --history 10:32,50:8`.

What is said matters to nobody here: it shows that memory and step time stay where they are.
"""

import argparse
import json
import resource
import time
from pathlib import Path

import numpy as np

from voicestack.runtime import (
    Bundle,
    Engine,
    HistoryPolicy,
    InputError,
    SamplingParams,
    StreamSpec,
    default_voice_path,
)

PARTS = 10
SPARE_ROWS = 29
"""Beside what the policy keeps: the prefix, and one block of rows that waits to be aged."""
TOKENS = [(20, 21)] * 8


def main() -> None:
    """Speak, and print a line for each tenth of the time."""
    parser = argparse.ArgumentParser(description="An hour of one stream in a cache of fixed size.")
    parser.add_argument("--seconds", type=float, default=3600, help="how much audio (default: %(default)g)")
    parser.add_argument("--history", default="10:32,50:8", metavar="BANDS", help="the policy (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    options = parser.parse_args()
    bundle = Bundle.load(default_voice_path())
    frames = round(options.seconds * bundle.manifest.frame_rate_hz)
    try:
        policy = HistoryPolicy.parse(options.history)
        capacity = round(policy.edges(bundle.manifest.frame_rate_hz)[-1]) + SPARE_ROWS
        engine = Engine(bundle, slots=1, capacity=capacity)
        spec = StreamSpec(SamplingParams(seed=1), bundle.manifest.n_vq, target_frames=frames, history=policy)
    except OverflowError:
        parser.error("--history must drop what is old, as '10:32,50:8' does: without that no size is fixed")
    except InputError as error:
        parser.error(str(error))
    stream = engine.admit(spec)
    report = []
    for part in range(PARTS):
        steps_ms, upkeep_ms = [], [0.0]
        while not stream.done and stream.feed.frames < (part + 1) * frames // PARTS:
            if not stream.feed.ready:
                stream.feed.push(TOKENS)
            begin = time.thread_time()
            engine.step()
            steps_ms.append(1000 * (time.thread_time() - begin))
            begin = time.thread_time()
            while engine.maintain():
                pass
            upkeep_ms.append(1000 * (time.thread_time() - begin))
        figures = {
            "minutes": round(stream.feed.frames / bundle.manifest.frame_rate_hz / 60, 2),
            "step_cpu_median_ms": round(float(np.median(steps_ms)), 3),
            "upkeep_cpu_longest_ms": round(max(upkeep_ms), 3),
            "upkeep_share": round(sum(upkeep_ms) / sum(steps_ms), 4),
            "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        }
        report.append(figures)
        print(figures, flush=True)
    if options.json:
        figures_of = {"history": options.history, "capacity": capacity, "parts": report}
        options.json.write_text(json.dumps(figures_of, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
