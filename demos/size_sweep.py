"""What a smaller or a larger generator would cost on this machine: `python demos/size_sweep.py --json out.json`.

Its weights are random, which costs the same time, and rounded as those of the voice that ships. The real-time factor is
that of one stream on one thread: a step and a quarter of a codec call of four frames, over the 80 ms of a frame. Needs
the `export` extra.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from voicestack.onnx_export.bundle_writer import VoiceFacts, numpy_weights, write_bundle
from voicestack.onnx_export.low_bit_graph import LowBitFile
from voicestack.onnx_export.specs import CodecConfig, GeneratorConfig
from voicestack.onnx_export.training.codec_model import CodecDecoder
from voicestack.onnx_export.training.generator_model import LocalGenerator
from voicestack.realtime.bench.machine import machine, versions
from voicestack.runtime import Bundle, Codec, Engine, SamplingParams, StreamSpec, default_voice_path

FRAME_S, CALLS, CALL_FRAMES = 0.08, 50, 4
TURNS = 5
"""The sizes take turns, so that a machine that is busy for a while is busy for all of them."""
SHIPPED = GeneratorConfig()
SIZES = {
    "small": replace(SHIPPED, d_model=256, layers=5, ffn=704, local_d=128, local_heads=2, local_ffn=352),
    "shallow": replace(SHIPPED, layers=4),
    "shipped": SHIPPED,
    "wide head": replace(SHIPPED, local_d=256, local_heads=4, local_ffn=704),
    "deep": replace(SHIPPED, layers=12),
    "wide": replace(SHIPPED, d_model=448, heads=6, ffn=1216, local_d=256, local_heads=4, local_ffn=704),
    "large": replace(SHIPPED, d_model=512, layers=10, heads=8, ffn=1408, local_d=256, local_heads=4, local_ffn=704),
}


@dataclass(frozen=True, slots=True)
class Size:
    """One size, ready to be timed: parameters in millions, its bundle in MB."""

    bundle: Bundle
    parameters_m: float
    bundle_mb: float


def main() -> None:
    """Measure every size, print a table, and write JSON when asked to."""
    parser = argparse.ArgumentParser(description="Measure generators of several sizes on this machine.")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures as JSON")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sizes = {name: made(Path(folder) / name, config) for name, config in SIZES.items()}
        found: dict[str, list[dict[int, float]]] = {name: [] for name in sizes}
        for _ in range(TURNS):
            for name, size in sizes.items():
                found[name].append(factors(size.bundle))
    report: dict[str, object] = {"machine": machine(), "versions": versions()}
    print(f"{'size':10}{'parameters':>12}{'bundle':>10}{'real-time factor at 8 / 16 / 32 layers':>42}")
    for name, size in sizes.items():
        rtf = {depth: round(float(np.median([turn[depth] for turn in found[name]])), 3) for depth in found[name][0]}
        told = " / ".join(f"{factor:.3f}" for factor in rtf.values())
        print(f"{name:10}{size.parameters_m:10.1f} M{size.bundle_mb:7.1f} MB{told:>42}")
        report[name] = {"parameters_m": size.parameters_m, "bundle_mb": size.bundle_mb, "rtf": rtf}
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def made(folder: Path, config: GeneratorConfig) -> Size:
    """Write a bundle of this size, and open it."""
    parameters = write(folder, config)
    size_mb = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
    return Size(Bundle.load(folder), round(parameters / 1e6, 1), round(size_mb, 1))


def factors(bundle: Bundle) -> dict[int, float]:
    """The real-time factor by depth."""
    codec, codes = Codec(bundle.codec_decoder(), bundle.manifest), np.random.default_rng(0)
    stacks = codes.integers(0, bundle.manifest.codebook_size, (CALL_FRAMES, bundle.manifest.n_vq))
    codec_s = median_s(partial(codec.decode, [(codec.begin(), stacks)])) / CALL_FRAMES
    return {depth: (step_s(bundle, depth) + codec_s) / FRAME_S for depth in bundle.manifest.head_depths}


def step_s(bundle: Bundle, depth: int) -> float:
    """A step of one stream that has text for more frames than are made, and cannot end."""
    engine = Engine(bundle, slots=1)
    engine.admit(StreamSpec(SamplingParams(seed=1), depth, target_frames=1000)).feed.push([(20, 21)] * 1000)
    return median_s(engine.step)


def median_s(work: Callable[[], object]) -> float:
    """How long it takes, once warm."""
    times = []
    for _ in range(CALLS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times[CALLS // 5 :]))


def write(folder: Path, config: GeneratorConfig) -> int:
    """A bundle of random weights; returns how many the generator has."""
    torch.manual_seed(0)
    codebooks = torch.randn(config.n_vq, config.codebook, config.latent)
    generator, decoder = LocalGenerator(config, codebooks), CodecDecoder(CodecConfig())
    for parameter in (*generator.parameters(), *decoder.parameters()):
        torch.nn.init.normal_(parameter, std=0.02)  # Some begin as zeros, and equal ones would be stored once.
    shipped = Bundle.load(default_voice_path())
    facts = VoiceFacts(
        name="random",
        sampling=shipped.manifest.sampling,
        frames_per_token=1.7,
        tail_frames=7.5,
        foretold_marks=(),
        frames_slack=25.0,
        licence="none",
        provenance={},
        metrics={},
    )
    weights, codec_weights = numpy_weights(generator.graph_weights()), numpy_weights(decoder.state_dict())
    write_bundle(folder, weights, config, codec_weights, CodecConfig(), shipped.lexicon_path, facts, LowBitFile(), None)
    return sum(parameter.numel() for parameter in generator.parameters())


if __name__ == "__main__":
    main()
