"""How a delay voice warms up: `python demos/delay_ramp.py --voice FOLDER --json out.json`.

The same sentences with the same seeds, for every depth at which the first frame may go out: when the first byte and the
first audible sample are there, and how deep each frame is played. The codes are the same each time; only how many
layers of them are heard differs. With the `train` extra a recogniser and a speaker judge listen, and a picture is drawn
beside the JSON.
"""

import argparse
import json
import re
import time
from dataclasses import asdict, dataclass, field
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicestack.realtime.meter import Meter
from voicestack.runtime import Bundle, InputError, SamplingParams, Speaker, WarmUp

FIRST_DEPTHS = (1, 2, 4, 8, 16, 32)
STAIRS = 12
"""Frames of the staircase in the picture, beside those that fit in its depth."""


@dataclass(slots=True)
class Run:
    """What one first depth gives, over all sentences; depths are those of each frame, a list for each sentence."""

    ttfb_ms: list[float] = field(default_factory=list)
    ttfa_ms: list[float] = field(default_factory=list)
    depths: list[list[int]] = field(default_factory=list)
    underruns: int = 0
    sound: list[NDArray[np.float32]] = field(default_factory=list)

    def figures(self) -> dict[str, Any]:
        """Medians, 95th percentiles and mean depths."""
        played = [depth for sentence in self.depths for depth in sentence]
        full = max(played)
        shallow = [sum(depth < full for depth in sentence) for sentence in self.depths]
        times = {"ttfb": self.ttfb_ms, "ttfa": self.ttfa_ms}
        return {
            **{f"{name}_median_ms": round(float(np.median(values)), 1) for name, values in times.items()},
            **{f"{name}_p95_ms": round(float(np.percentile(values, 95)), 1) for name, values in times.items()},
            "mean_depth": round(float(np.mean(played)), 2),
            "shallow_frames_median": float(np.median(shallow)),
            "underruns": self.underruns,
            "depth_by_frame": self.by_frame(),
        }

    def by_frame(self) -> list[float]:
        """Mean depth of the first frame, the second .., as far as half of the sentences go."""
        longest = int(np.median([len(sentence) for sentence in self.depths]))
        reaching = [[sentence[place] for sentence in self.depths if place < len(sentence)] for place in range(longest)]
        return [round(float(np.mean(depths)), 2) for depths in reaching]


def main() -> None:
    """Measure every first depth, print a line for each, and write what is asked for."""
    parser = argparse.ArgumentParser(description="How a delay voice warms up.")
    parser.add_argument("--voice", type=Path, required=True, metavar="FOLDER", help="a bundle with a delay head")
    parser.add_argument("--sentences", type=int, default=20, help="how many (default: %(default)s, at most 100)")
    parser.add_argument("--min-depth", type=int, default=1, help="enough for later frames (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures, and a picture beside them")
    options = parser.parse_args()
    texts = (files("voicestack.onnx_export.training") / "everyday.txt").read_text("utf-8").splitlines()
    texts = texts[: max(options.sentences, 1)]
    bundle = Bundle.load(options.voice)
    speaker, depth = Speaker(bundle), bundle.manifest.n_vq
    speaker.prepare(depth)
    try:
        ramps = {first: WarmUp(first, min(options.min_depth, first)) for first in FIRST_DEPTHS if first <= depth}
        list(speaker.speak(texts[0], depth=depth, warm_up=ramps[1]))
    except InputError as error:
        parser.error(str(error))
    runs = {first: Run() for first in ramps}
    # Turn about, so that what else the machine does falls on all alike.
    for seed, text in enumerate(texts):
        for first, ramp in ramps.items():
            listen(speaker, text, seed, ramp, runs[first])
    report: dict[str, Any] = {
        "voice": bundle.manifest.name,
        "sentences": len(texts),
        "depth": depth,
        "first_depths": {},
    }
    teacher: list[NDArray[np.float32]] = []
    if find_spec("faster_whisper"):
        from voicestack.onnx_export.training.piper import Piper
        from voicestack.onnx_export.training.teacher_text import spoken_by

        teacher = spoken_by(Piper(), texts)
    for first, run in runs.items():
        report["first_depths"][first] = figures = run.figures()
        if teacher:
            figures |= judged(run, runs[max(runs)], teacher, texts)
        print(first, {name: value for name, value in figures.items() if name != "depth_by_frame"}, flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        if find_spec("matplotlib"):
            draw(report, options.json.with_suffix(".png"))


def listen(speaker: Speaker, text: str, seed: int, ramp: WarmUp, run: Run) -> None:
    """Speak one sentence to a player that begins with the first chunk."""
    meter = Meter(speaker.sample_rate_hz)
    depths: list[int] = []
    sound: list[NDArray[np.float32]] = []
    begin = last = time.monotonic()
    for chunk in speaker.speak(text, sampling=SamplingParams(seed=seed), depth=FIRST_DEPTHS[-1], warm_up=ramp):
        now = time.monotonic()
        if len(chunk.pcm):
            meter.add(chunk.pcm, arrived_s=now, work_s=now - last)
        last = now
        depths += chunk.depths
        sound.append(chunk.pcm)
    figures = asdict(meter.figures(begin))
    run.ttfb_ms.append(1000 * figures["ttfb_s"])
    run.ttfa_ms.append(1000 * (figures["ttfa_s"] or np.nan))
    run.underruns += figures["underruns"]
    run.depths.append(depths)
    run.sound.append(np.concatenate(sound))


def judged(run: Run, plain: Run, teacher: list[NDArray[np.float32]], texts: list[str]) -> dict[str, Any]:
    """Words wrong, first words lost, and how like the teacher, and the same speech at full depth, it sounds."""
    from voicestack.onnx_export.training.judges import Recogniser, SpeakerJudge
    from voicestack.onnx_export.training.word_errors import word_errors

    recogniser, judge = Recogniser(), SpeakerJudge()
    heard = [recogniser.hear(pcm) for pcm in run.sound]
    errors = [word_errors(text, said) for text, said in zip(texts, heard, strict=True)]
    lost = [first_word(text) != first_word(said) for text, said in zip(texts, heard, strict=True)]

    def likeness(others: list[NDArray[np.float32]]) -> float:
        pairs = zip(run.sound, others, strict=True)
        return round(float(np.mean([judge.embed(one) @ judge.embed(other) for one, other in pairs])), 4)

    return {
        "wer_percent": round(100 * sum(each.edits for each in errors) / sum(each.words for each in errors), 2),
        "first_word_lost_percent": round(100 * float(np.mean(lost)), 1),
        "similarity_to_teacher": likeness(teacher),
        "similarity_to_full": likeness(plain.sound),
    }


def first_word(text: str) -> list[str]:
    """The first word of a text, in a list that is empty when there is none."""
    return re.findall(r"[a-z']+", text.lower())[:1]


def draw(report: dict[str, Any], path: Path) -> None:
    """The staircase being filled, and how deep each frame was played for each first depth."""
    import matplotlib  # pyright: ignore[reportMissingImports]

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt  # pyright: ignore[reportMissingImports]

    figure, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
    depth = report["depth"]
    frames = depth + STAIRS
    layer, step = np.mgrid[1 : depth + 1, 0 : frames + depth - 1]
    frame = np.ma.masked_outside(step - layer + 1, 0, frames - 1)
    drawn = left.pcolormesh(step, layer, frame, cmap="viridis", edgecolor="white", linewidth=0.3, shading="nearest")
    figure.colorbar(drawn, ax=left, label="frame")
    left.axvline(frames - 0.5, color="crimson", linestyle="--")
    note = " end of speech:\n only finer layers follow"
    left.text(frames + depth - 2, 1, note, color="crimson", va="top", ha="right")
    left.set(title="Layer j of a frame leaves j - 1 steps after its first", xlabel="step", ylabel="layer (1 is coarse)")
    left.invert_yaxis()
    colours = plt.get_cmap("plasma")(np.linspace(0, 0.85, len(report["first_depths"])))
    for colour, (first, figures) in zip(colours, report["first_depths"].items(), strict=True):
        depths = figures["depth_by_frame"][: 2 * STAIRS]
        label = f"{first} (first byte {figures['ttfb_median_ms']:.0f} ms, audible {figures['ttfa_median_ms']:.0f} ms)"
        right.plot(depths, marker="o", markersize=4, color=colour, label=label)
    right.set(title="Depth a frame is played with", xlabel="frame", ylabel="layers, mean over sentences")
    right.set_ylim(0, depth + 1)
    right.grid(alpha=0.3)
    right.legend(title="first_depth", loc="lower right")
    figure.suptitle(f"Warm-up of {report['voice']}, {report['sentences']} sentences")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
