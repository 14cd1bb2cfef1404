"""How many numbers a latent wants: `python demos/latent_sweep.py --work build/training --json out.json`.

For each size the codec's analysis learns afresh from the same speech in the same steps, its codebooks are fitted, and
log-mel patches of speech it never heard are made again of the first so many layers. Synthesis is left out: what the
codes have lost no decoder brings back. Needs the `train` extra and shards of the stage `data`.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from voicestack.onnx_export.specs import CodecConfig
from voicestack.onnx_export.training.audio import AudioPool, unseen_speech
from voicestack.onnx_export.training.codec import Analysis, fit_quantiser
from voicestack.onnx_export.training.codec_model import Encoder, PatchDecoder, ResidualQuantiser
from voicestack.onnx_export.training.paths import WorkFolder

SIZES = (32, 64, 128)
DEPTHS = (1, 3, 8, 16, 32)
UNSEEN = 60
NEPERS = 2.0
"""Of a unit of patches, which are log-mel magnitudes brought to a spread of about one."""


def main() -> None:
    """Train every size, print a table, and write JSON when asked to."""
    parser = argparse.ArgumentParser(description="Compare latent sizes of the codec on the same speech.")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="a work folder that has shards")
    parser.add_argument("--steps", type=int, default=500, help="how long each size learns (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    options = parser.parse_args()
    folder = WorkFolder(options.work)
    pool = AudioPool(folder)
    unseen = unseen_speech(folder, UNSEEN, CodecConfig().frame_samples)
    report: dict[str, object] = {"steps": options.steps, "utterances": len(unseen)}
    print(f"{'latent':>6}{'log-mel distance at ' + ' / '.join(map(str, DEPTHS)) + ' layers':>48}{'unquantised':>14}")
    for size in SIZES:
        lost = learned(replace(CodecConfig(), latent=size), pool, options.steps, unseen)
        told = " / ".join(f"{lost[str(depth)]:.3f}" for depth in DEPTHS)
        print(f"{size:6}{told:>48}{lost['unquantised']:14.3f}", flush=True)
        report[str(size)] = lost
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def learned(config: CodecConfig, pool: AudioPool, steps: int, unseen: list[Tensor]) -> dict[str, float]:
    """Train one size; the mean log-mel distance in nepers by depth, and of the latent itself."""
    analysis, quantiser = Analysis(config), ResidualQuantiser(config)
    for step in tqdm(range(steps), desc=f"latent {config.latent}"):
        analysis.learn(pool, step, steps)
    fit_quantiser(analysis.encoder, quantiser, pool)
    return distances(analysis.encoder, analysis.decoder, quantiser, unseen)


@torch.no_grad()
def distances(
    encoder: Encoder, decoder: PatchDecoder, quantiser: ResidualQuantiser, unseen: list[Tensor]
) -> dict[str, float]:
    """What patches lose, by depth."""
    errors: dict[str, list[float]] = {name: [] for name in (*map(str, DEPTHS), "unquantised")}
    for pcm in unseen:
        patches = encoder.patches(pcm[None])
        latent = encoder(patches)
        layers = quantiser.vectors(quantiser.encode(latent[0]))
        cut = {str(depth): layers[:, :depth].sum(1)[None] for depth in DEPTHS} | {"unquantised": latent}
        for name, kept in cut.items():
            errors[name].append(NEPERS * float((decoder(kept) - patches).abs().mean()))
    return {name: round(float(np.mean(values)), 4) for name, values in errors.items()}


if __name__ == "__main__":
    main()
