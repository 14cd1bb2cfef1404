"""How fast a generator of MOSS-TTS-Nano's size runs on one thread: `python demos/nano_speed.py --json out.json`.

Its weights are random, which costs the same time. Times are CPU time of the one thread that does the work, with wall
time beside them. A frame is 80 ms of sound, so 12.5 frames a second keep up; the codec is not in it. Needs the
`export` extra, 1.5 GB in the folder for temporary files, and some minutes.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicestack.onnx_export.published.bundle import export_bundle
from voicestack.onnx_export.published.form import QUANTISED_BITS, Form
from voicestack.onnx_export.published.random_checkpoint import NANO, write_random_checkpoint
from voicestack.realtime.bench.machine import machine, versions
from voicestack.runtime.published import PublishedBundle

FRAMES_PER_S = 12.5
HISTORIES_S = {"10 s": 10, "5 min": 300}
SLOT, END = NANO["audio_assistant_slot_token_id"], NANO["audio_end_token_id"]


def checkpoint(folder: Path) -> Path:
    """Random weights, but for those that decide to go on: these always do."""
    width = NANO["gpt2_config"]["n_embd"]
    table = np.random.default_rng(1).standard_normal((NANO["gpt2_config"]["vocab_size"], width), np.float32) * 0.02
    table[SLOT], table[END] = 1, -1
    constant = {"local_transformer.ln_f.weight": np.zeros(width), "local_transformer.ln_f.bias": np.ones(width)}
    tensors = {name: array.astype(np.float32) for name, array in constant.items()}
    return write_random_checkpoint(folder, NANO, tensors=tensors | {"transformer.wte.weight": table})


def frame_times_ms(bundle: PublishedBundle, rows: int, frames: int) -> NDArray[np.float64]:
    """CPU time and wall time [frames, 2] of single frames behind a prompt of so many rows."""
    generator = bundle.generator(capacity=rows + frames + 10)
    codes = np.random.default_rng(0).integers(0, NANO["audio_vocab_size"], (rows, NANO["n_vq"]))
    streams = generator.prefill([np.column_stack([np.full(rows, SLOT), codes])], seed=0)
    times = []
    for _ in range(frames + 3):
        start = np.array([time.thread_time(), time.perf_counter()])
        if generator.step(streams)[0] is None:
            raise RuntimeError("the stream has ended; a random checkpoint should not")
        times.append((np.array([time.thread_time(), time.perf_counter()]) - start) * 1e3)
    return np.array(times[3:])


def measure(bundle: PublishedBundle, frames: int) -> dict[str, Any]:
    """Median, 95th percentile and frames a second at each length of history, and the growth between the two."""
    found: dict[str, Any] = {"MB": round(sum(entry.size for entry in bundle.manifest.files.values()) / 1e6)}
    for name, seconds in HISTORIES_S.items():
        times = np.percentile(frame_times_ms(bundle, int(seconds * FRAMES_PER_S), frames), [50, 95], axis=0).round(2)
        cpu, wall = (dict(zip(("median_ms", "p95_ms"), pair.tolist(), strict=True)) for pair in times.T)
        found[name] = {**cpu, "frames_per_s": round(1e3 / cpu["median_ms"], 1), "wall": wall}
    short, long = (found[name]["median_ms"] for name in HISTORIES_S)
    return found | {"growth": round(long / short, 2)}


def main() -> None:
    """Export the three forms and measure each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=100, help="frames measured at each length")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    options = parser.parse_args()
    results: dict[str, Any] = {"machine": machine(), "versions": versions(), "threads": 1, "frames": options.frames}
    print(", ".join(f"{name} {value}" for about in ("machine", "versions") for name, value in results[about].items()))
    with tempfile.TemporaryDirectory() as folder:
        source = checkpoint(Path(folder) / "checkpoint")
        for form in ("float32", *QUANTISED_BITS):
            out = Path(folder) / form
            export_bundle(source, out, form=Form(bits=QUANTISED_BITS.get(form)))
            results[form] = measure(PublishedBundle.load(out), options.frames)
            print(form, json.dumps(results[form]), flush=True)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
