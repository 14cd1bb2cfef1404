"""Stage `ladder`: what each further layer of the codec is worth, and whether one decoder is better than another.

Held-out everyday sentences, spoken by the teacher, go through the codec and back with ever more layers: what is still
understood (word error rate), who is heard (speaker similarity), and how near the sound is to the teacher's (wideband
PESQ, STOI, log-mel distance). Every measured sound is one line of `ladder/results.jsonl`, so a run goes on where it
stopped; the table is printed and written to `ladder.json` and a plot.
"""

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from voicestack.onnx_export.specs import CodecConfig
from voicestack.runtime.errors import InputError

from .codec import SpectralLoss, finished_decoder
from .data import held_out
from .evaluate import Bench, Job, Results, Sentence
from .judges import fidelity
from .paths import WorkFolder
from .resynthesis import Resynthesis
from .summary import Record, word_error_rate

DEPTHS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
SENTENCES = 40
_UNHEARD_DEPTHS = (12, 24)
"""The recogniser takes most of the time, and between these and their neighbours it hears no difference."""
_MEANS = {"similarity": 3, "pesq": 3, "stoi": 4, "log_mel_l1": 4}
"""What is averaged over the sentences, and to how many digits."""
_TITLES = {
    "wer_percent": "word error rate, %",
    "similarity": "speaker similarity",
    "pesq": "wideband PESQ",
    "stoi": "STOI",
    "log_mel_l1": "log-mel L1",
}


def run(folder: WorkFolder, *, before: Path | None = None) -> dict[str, Any]:
    """Measure the decoder that is furthest on, and beside it, if one is given, the decoder of checkpoint `before`.

    Both need the analysis of this work folder. InputError when there is no such checkpoint.
    """
    if before and not before.exists():
        raise InputError(f"no decoder checkpoint {before}: --before takes a synthesis.pt or adversarial.pt")
    stage, bench, newest = folder.stage("ladder"), Bench(folder), finished_decoder(folder)
    files = {"before": before, "after": newest} if before else {"codec": newest}
    decoders = {name: Resynthesis(folder, file) for name, file in files.items()}
    texts = held_out(folder)["everyday"][:SENTENCES]
    sentences = [Sentence("everyday", index, text) for index, text in enumerate(texts)]
    # Every system is named by its decoder's key: its lines hold whichever decoders are compared.
    results = Results(stage / "results.jsonl", lambda system: "")
    records = results.measure(list(_jobs(bench, sentences, decoders)), "ladder")
    ladder = {
        "sentences": len(sentences),
        "teacher_wer_percent": word_error_rate([r for r in records if r["system"] == "teacher"]),
        "decoders": {
            name: {"weights": codec.key, "layers": rungs(records, codec.key)} for name, codec in decoders.items()
        },
    }
    (stage / "ladder.json").write_text(json.dumps(ladder, indent=1), "utf-8")
    draw(ladder, stage / "ladder.png")
    print(table(ladder))
    return ladder


def bitrate_kbps(depth: int) -> float:
    """Kilobits a second of the first `depth` layers."""
    config = CodecConfig()
    return depth * math.log2(config.codebook) * config.sample_rate_hz / config.frame_samples / 1000


def rungs(records: list[Record], key: str) -> dict[str, dict[str, float | None]]:
    """By depth, the figures of one decoder's lines; the word error rate of a depth that nobody listened to is None."""
    ladder = {}
    for depth in DEPTHS:
        chosen = [record for record in records if record["system"] == _system(key, depth)]
        means = {name: round(float(np.mean([r[name] for r in chosen])), digits) for name, digits in _MEANS.items()}
        heard = word_error_rate([record for record in chosen if "heard" in record])
        ladder[str(depth)] = {"kbps": round(bitrate_kbps(depth), 3), "wer_percent": heard, **means}
    return ladder


def table(ladder: dict[str, Any]) -> str:
    """One line a depth; where two decoders are compared, each figure before and after."""
    decoders = [decoder["layers"] for decoder in ladder["decoders"].values()]
    lines = ["".join(f"{title:>20}" for title in ("layers", "kbit/s", *_TITLES.values()))]
    for depth in map(str, DEPTHS):
        cells = [depth, f"{decoders[0][depth]['kbps']:g}"]
        cells += [" / ".join(_shown(layers[depth][name]) for layers in decoders) for name in _TITLES]
        lines.append("".join(f"{cell:>20}" for cell in cells))
    order = f"{' / '.join(ladder['decoders'])}; " if len(decoders) > 1 else ""
    return "\n".join(
        [*lines, f"{order}{ladder['sentences']} sentences; the teacher: {ladder['teacher_wer_percent']} %"]
    )


def draw(ladder: dict[str, Any], picture: Path) -> None:
    """A panel a measure over the bit rate, a line a decoder."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, len(_TITLES), figsize=(3.4 * len(_TITLES), 3.4))
    colours = ("#d9713c",) if len(ladder["decoders"]) == 1 else ("#8da0b3", "#d9713c")
    for axis, (name, title) in zip(axes, _TITLES.items(), strict=True):
        for (label, decoder), colour in zip(ladder["decoders"].items(), colours, strict=True):
            points = [(rung["kbps"], rung[name]) for rung in decoder["layers"].values() if rung[name] is not None]
            axis.plot(*zip(*points, strict=True), "o-", color=colour, label=label, markersize=4)
        axis.set(title=title, xlabel="kbit/s", xscale="log", xticks=[0.125, 0.25, 0.5, 1, 2, 4])
        axis.set_xticklabels(["0.125", "0.25", "0.5", "1", "2", "4"])
        axis.minorticks_off()
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].axhline(ladder["teacher_wer_percent"], color="#555555", linestyle="--", label="teacher")
    axes[0].set(ylim=(0, None))
    axes[0].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)
    plt.close(figure)


def _jobs(bench: Bench, sentences: list[Sentence], decoders: dict[str, Resynthesis]) -> Iterator[Job]:
    loss = SpectralLoss(CodecConfig())
    for sentence in sentences:
        yield "teacher", sentence, partial(bench.judge_teacher, sentence)
        for codec in decoders.values():
            for depth in DEPTHS:
                yield _system(codec.key, depth), sentence, partial(_judge, bench, loss, sentence, codec, depth)


def _judge(bench: Bench, loss: SpectralLoss, sentence: Sentence, codec: Resynthesis, depth: int) -> dict[str, Any]:
    original = bench.teacher_speech(sentence)
    made = codec(original, depth)
    _, log_mel = loss(torch.from_numpy(made)[None], torch.from_numpy(original)[None])
    measured = {"similarity": bench.similarity(sentence, made), "log_mel_l1": round(float(log_mel), 4)}
    heard = {} if depth in _UNHEARD_DEPTHS else bench.heard(sentence, made)
    return measured | fidelity(made, original) | heard


def _system(key: str, depth: int) -> str:
    return f"{key} {depth}"


def _shown(figure: float | None) -> str:
    return "-" if figure is None else f"{figure:g}"
