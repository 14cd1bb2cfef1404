"""Stage `bundle`: the trained weights as ONNX graphs in a voice folder, checked graph by graph."""

import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from voicestack.onnx_export import parity
from voicestack.onnx_export.bundle_writer import VoiceFacts, numpy_weights, write_bundle
from voicestack.onnx_export.graph_writer import WeightFile
from voicestack.onnx_export.low_bit_graph import BITS, LowBitFile
from voicestack.onnx_export.published.low_bits import error_lines
from voicestack.onnx_export.specs import CodecConfig
from voicestack.runtime import voices_folder
from voicestack.runtime.errors import InputError
from voicestack.runtime.listener import LISTENER_FILE
from voicestack.runtime.manifest import Manifest
from voicestack.runtime.names import MANIFEST_FILE, WEIGHTS_FILE

from . import model_card
from .codec import finished_decoder
from .generator import HeadKind, load_generator
from .listener import graph_file
from .paths import FIRST_VOICE, LEXICON, VOICE, WorkFolder
from .voices import LEXICON_SOURCE, LICENCE, SAMPLING, TEXT_SOURCES, VoiceRecipe, recipe_of

Precision = Literal["int8", "float16"]
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
"""What the matrices of the linear layers are kept in; the first is that of the voice that ships."""


def make(
    folder: WorkFolder,
    out: Path | None = None,
    head: HeadKind = "local",
    *,
    precision: Precision = "int8",
    install: bool = False,
) -> Path:
    """Write, verify and print the size of the bundle made from the newest checkpoints; returns its folder.

    That is `out`, or with `install` where `--voice` finds it by its name, or else that of the voice which ships;
    InputError when this is another one.
    """
    recipe = recipe_of(folder)
    variants = {"local": "", "delay": "-delay"}[head], {"int8": "", "float16": "-float16"}[precision]
    name = recipe.name + "".join(variants)
    out = out or _destination(name, install)
    generator, state = load_generator(folder, head)
    if "tail_frames" not in state["data"]:
        raise InputError(
            f"the {head} generator in {folder.root} is of a version that did not measure `tail_frames`; train it a "
            "step further (`generator --steps`)"
        )
    codec_state = torch.load(finished_decoder(folder), weights_only=True)
    generator_weights, codec_weights = numpy_weights(generator.graph_weights()), numpy_weights(codec_state["decoder"])
    facts = VoiceFacts(
        name=name,
        sampling=SAMPLING,
        frames_per_token=state["data"]["frames_per_token"],
        tail_frames=state["data"]["tail_frames"],
        frames_slack=25.0,
        foretold_marks=tuple(state["data"].get("foretold_marks", ())),
        licence=LICENCE,
        provenance=_provenance(recipe, generator, state, codec_state),
        metrics={},
    )
    shared, limits = (LowBitFile(), parity.LOW_BITS) if precision == "int8" else (WeightFile(), parity.FLOAT)
    config = generator.config
    listener = graph_file(folder)
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".voicestack-") as aside:
        made = Path(aside) / name
        manifest = write_bundle(
            made,
            generator_weights,
            config,
            codec_weights,
            CodecConfig(),
            LEXICON,
            facts,
            shared,
            listener if listener.exists() else None,
        )
        if isinstance(shared, LowBitFile):
            print("\n".join(error_lines(BITS, shared.errors)))
        _describe(made, replace(manifest, metrics=_metrics(folder, manifest)))
        parity.verify(made, generator_weights, config, codec_weights, CodecConfig(), limits)
        size_mb = sum(path.stat().st_size for path in made.iterdir()) / 1e6
        _take_place(made, out)
    print(f"{out}: {size_mb:.1f} MB")
    return out


def _take_place(made: Path, out: Path) -> None:
    """Put a finished bundle where one may be already, the manifest, by which all else is checked, at last."""
    out.mkdir(exist_ok=True)
    if not (made / LISTENER_FILE).exists():
        (out / LISTENER_FILE).unlink(missing_ok=True)
    for path in sorted(made.iterdir(), key=lambda path: path.name == MANIFEST_FILE):
        path.replace(out / path.name)


def _destination(name: str, install: bool) -> Path:
    if install:
        return voices_folder() / name
    if name != FIRST_VOICE:
        raise InputError(f"{name} is not the voice that ships; give --out FOLDER, or --install to find it by its name")
    return VOICE


def _describe(out: Path, manifest: Manifest) -> None:
    """Write manifest and model card, which are to say the same."""
    (out / MANIFEST_FILE).write_text(manifest.to_json(), "utf-8")
    (out / "MODEL_CARD.md").write_text(model_card.render(manifest), "utf-8")


def _provenance(
    recipe: VoiceRecipe, generator: torch.nn.Module, state: dict[str, Any], codec_state: dict[str, Any]
) -> dict[str, Any]:
    return {
        "speaker": recipe.speaker,
        "teacher": recipe.teacher,
        "text": TEXT_SOURCES,
        "lexicon": LEXICON_SOURCE,
        "data_hours": state["data"]["hours"],
        "generator_parameters": sum(parameter.numel() for parameter in generator.parameters()),
        "codec_decoder_parameters": sum(value.numel() for value in codec_state["decoder"].values()),
        "generator_steps": state["step"],
        "codec_steps": codec_state["step"],
    }


def _metrics(folder: WorkFolder, manifest: Manifest) -> dict[str, Any]:
    """What the last evaluation of the voice of this name measured, when it was one of these weights."""
    path = folder.evaluation(manifest.name)
    summary: dict[str, Any] = json.loads(path.read_text("utf-8"))["summary"] if path.exists() else {}
    measured = summary.get("facts", {}).get("weights", "")
    return summary if measured and manifest.files[WEIGHTS_FILE].sha256.startswith(measured) else {}
