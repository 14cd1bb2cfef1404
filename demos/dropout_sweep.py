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
from voicestack.onnx_export.training.audio import AudioPool
from voicestack.onnx_export.training.codec import SpectralLoss, finished_decoder, load_analysis, spoken
from voicestack.onnx_export.training.codec_model import CodecDecoder, Encoder, ResidualQuantiser
from voicestack.onnx_export.training.data import read_pcm
from voicestack.onnx_export.training.dropout import cut, ramps, random_depths
from voicestack.onnx_export.training.paths import WorkFolder
from voicestack.onnx_export.training.pitch_target import speaker_span
from voicestack.onnx_export.training.precision import fuse
from voicestack.onnx_export.training.progress import learning_rate_factor, set_learning_rate

ENDS = [(1, 1), (3, 3), (8, 8), (16, 16), (32, 32), (1, 16), (16, 8)]
"""Layers of the first and of the last frame of an utterance."""
UNSEEN = 60
RATE = 0.6e-3
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
    unseen = [torch.from_numpy(pcm / np.float32(32768)) for pcm in read_pcm(folder.shard_files()[0])[:UNSEEN]]
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
    optimiser = torch.optim.AdamW(
        [{"params": decoder.parameters(), "base_lr": RATE}], betas=(0.8, 0.99), weight_decay=0.01
    )
    fuse(decoder.blocks)
    span, spectral_loss, late = speaker_span(pool), SpectralLoss(decoder.config), _late(decoder)
    for step in tqdm(range(steps), desc="synthesis"):
        set_learning_rate(optimiser, learning_rate_factor(step, warm_up=50, total=steps))
        pcm = pool.crops(CLIPS, FRAMES * decoder.config.frame_samples, np.random.default_rng(step))
        vectors = layers_of(encoder, quantiser, pcm)
        kept = depths(CLIPS, FRAMES, vectors.shape[2], torch.Generator().manual_seed(step))
        made, pitch_error = spoken(decoder, cut(vectors, kept), pcm, span)
        optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(spectral_loss(made[:, late:], pcm[:, :-late])[0] + pitch_error)
        torch.nn.utils.clip_grad_norm_(decoder.parameters(), 3.0)
        optimiser.step()


@torch.no_grad()
def layers_of(encoder: Encoder, quantiser: ResidualQuantiser, pcm: Tensor) -> Tensor:
    """What each layer adds: float32 [clips, frames, n_vq, latent] of pcm [clips, samples]."""
    latent = encoder(encoder.patches(pcm))
    vectors = quantiser.vectors(quantiser.encode(latent.flatten(0, 1)))
    return vectors.view(*latent.shape[:2], *vectors.shape[1:])


def losses(decoder: CodecDecoder, folder: WorkFolder, unseen: list[Tensor]) -> dict[str, float]:
    """The mean log-mel distance, in nepers, by depth."""
    encoder, quantiser = load_analysis(folder)
    frame = decoder.config.frame_samples
    wholes = [pcm[: len(pcm) // frame * frame] for pcm in unseen]
    rows = [list(distances(decoder, layers_of(encoder, quantiser, pcm[None]), pcm)) for pcm in wholes]
    return {_name(ends): round(float(value), 4) for ends, value in zip(ENDS, np.mean(rows, 0), strict=True)}


@torch.no_grad()
def distances(decoder: CodecDecoder, vectors: Tensor, pcm: Tensor) -> Iterator[float]:
    """What one utterance, float32 [samples], loses, by depth."""
    spectral_loss, late = SpectralLoss(decoder.config), _late(decoder)
    for ends in ENDS:
        features = decoder.features(cut(vectors, ramps(torch.tensor([ends]), vectors.shape[1])))
        made = decoder.sound(features, decoder.octaves(features))
        yield float(spectral_loss(made[:, late:], pcm[None, :-late])[1])


def _late(decoder: CodecDecoder) -> int:
    """By how many samples what is made lags behind what it is of."""
    return decoder.config.n_fft - decoder.config.hop


def _name(ends: tuple[int, int]) -> str:
    return str(ends[0]) if ends[0] == ends[1] else f"{ends[0]}-{ends[1]}"


if __name__ == "__main__":
    main()
