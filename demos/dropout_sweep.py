"""What quantiser dropout is to be of: `python demos/dropout_sweep.py --work build/training --json out.json`.

From the same decoder on, synthesis learns from the same clips in the same steps: cut to depths as the recipe cuts them,
the same without ramps, or to every depth alike. Then it speaks codes it never heard, at one depth and at depths that
change within an utterance. Needs the `train` extra, shards of the stage `data`, and a finished stage `codec`.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from voicestack.onnx_export.specs import CodecConfig
from voicestack.onnx_export.training.audio import AudioPool, unseen_speech
from voicestack.onnx_export.training.codec import (
    SpectralLoss,
    finished_decoder,
    load_analysis,
    synthesis_optimiser,
    synthesis_step,
)
from voicestack.onnx_export.training.codec_model import CodecDecoder
from voicestack.onnx_export.training.dropout import cut, layers_of, ramps, random_depths
from voicestack.onnx_export.training.paths import WorkFolder
from voicestack.onnx_export.training.pitch_target import speaker_span
from voicestack.onnx_export.training.precision import fuse
from voicestack.onnx_export.training.progress import learning_rate_factor, set_learning_rate

ENDS = [(1, 1), (3, 3), (8, 8), (16, 16), (32, 32), (1, 16), (16, 8)]
"""Layers of the first and of the last frame of an utterance."""
UNSEEN = 60
PEAK = 0.5
"""Of the usual learning rate: the decoder has learned already."""
CLIPS, FRAMES = 16, 16

Depths = Callable[[int, int, int, torch.Generator], Tensor]


def level(clips: int, frames: int, n_vq: int, generator: torch.Generator) -> Tensor:
    """The recipe's depths, each clip's that of its first frame."""
    return random_depths(clips, frames, n_vq, generator)[:, :1].expand(clips, frames)


def alike(clips: int, frames: int, n_vq: int, generator: torch.Generator) -> Tensor:
    """One depth a clip, none likelier than another."""
    return torch.randint(1, n_vq + 1, (clips, 1), generator=generator).float().expand(clips, frames)


WAYS: dict[str, Depths] = {"as the recipe": random_depths, "without ramps": level, "every depth alike": alike}


def main() -> None:
    """Let every way learn, print a table, and write JSON when asked to."""
    parser = argparse.ArgumentParser(description="Compare ways to drop layers while synthesis learns.")
    parser.add_argument("--work", type=Path, required=True, metavar="FOLDER", help="a work folder that has a codec")
    parser.add_argument("--steps", type=int, default=250, help="how long each way learns (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    options = parser.parse_args()
    folder = WorkFolder(options.work)
    begun, pool = torch.load(finished_decoder(folder), weights_only=True), AudioPool(folder)
    unseen = unseen_speech(folder, UNSEEN, CodecConfig().frame_samples)
    report: dict[str, object] = {"since": begun["step"], "steps": options.steps, "utterances": len(unseen)}
    print(f"{'log-mel distance at layers':28}" + "".join(f"{_name(ends):>8}" for ends in ENDS))
    for name, depths in [("where they begin", None), *WAYS.items()]:
        decoder = CodecDecoder(CodecConfig())
        decoder.load_state_dict(begun["decoder"])
        if depths:
            learn(decoder, folder, pool, options.steps, depths)
        report[name] = lost = losses(decoder, folder, unseen)
        print(f"{name:28}" + "".join(f"{lost[_name(ends)]:8.3f}" for ends in ENDS), flush=True)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def learn(decoder: CodecDecoder, folder: WorkFolder, pool: AudioPool, steps: int, depths: Depths) -> None:
    """Go on as the stage `codec` does, on clips cut to such depths."""
    encoder, quantiser = load_analysis(folder)
    optimiser = synthesis_optimiser(decoder)
    fuse(decoder.blocks)
    span, spectral_loss = speaker_span(pool), SpectralLoss(decoder.config)
    for step in tqdm(range(steps), desc="synthesis"):
        set_learning_rate(optimiser, PEAK * learning_rate_factor(step, warm_up=50, total=steps))
        pcm = pool.crops(CLIPS, FRAMES * decoder.config.frame_samples, np.random.default_rng(step))
        vectors = layers_of(encoder, quantiser, pcm)
        kept = depths(CLIPS, FRAMES, vectors.shape[2], torch.Generator().manual_seed(step))
        synthesis_step(decoder, optimiser, cut(vectors, kept), pcm, span, spectral_loss)


def losses(decoder: CodecDecoder, folder: WorkFolder, unseen: list[Tensor]) -> dict[str, float]:
    """The mean log-mel distance, in nepers, by depth."""
    encoder, quantiser = load_analysis(folder)
    rows = [list(distances(decoder, layers_of(encoder, quantiser, pcm[None]), pcm)) for pcm in unseen]
    return {_name(ends): round(float(value), 4) for ends, value in zip(ENDS, np.mean(rows, 0), strict=True)}


@torch.no_grad()
def distances(decoder: CodecDecoder, vectors: Tensor, pcm: Tensor) -> Iterator[float]:
    """What one utterance, float32 [samples], loses, by depth."""
    spectral_loss, late = SpectralLoss(decoder.config), decoder.config.late_samples
    for ends in ENDS:
        features = decoder.features(cut(vectors, ramps(torch.tensor([ends]), vectors.shape[1])))
        made = decoder.sound(features, decoder.octaves(features))
        yield float(spectral_loss(made[:, late:], pcm[None, :-late])[1])


def _name(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"


if __name__ == "__main__":
    main()
