"""Writes a voice bundle: the graphs, the shared weights, the lexicon and the manifest with every hash."""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from voicestack.runtime import names
from voicestack.runtime.listener import LISTENER_FILE
from voicestack.runtime.manifest import (
    FORMAT_VERSION,
    BackboneSpec,
    CodecSpec,
    FileEntry,
    Manifest,
    SamplingDefaults,
    TextSpec,
)
from voicestack.runtime.text.phones import UNITS

from .backbone_graph import build_backbone, with_null_row
from .codec_graph import build_codec_decoder, codec_states, delay_samples
from .delay_head_graph import build_delay_head, carries_residuals, place_weights
from .graph_writer import WeightFile, Weights, rounded
from .head_graph import build_head
from .specs import CodecConfig, GeneratorConfig

ONNXRUNTIME_FLOOR = "1.32"
"""The first release whose CPU GroupQueryAttention takes `query_seqlens`, as far as was tried."""


@dataclass(frozen=True, slots=True)
class VoiceFacts:
    """What a bundle says of its voice that no weight tells."""

    name: str
    sampling: SamplingDefaults
    frames_per_token: float
    tail_frames: float
    frames_slack: float
    foretold_marks: tuple[str, ...]
    licence: str
    provenance: dict[str, Any]
    metrics: dict[str, Any]


def write_bundle(
    folder: Path,
    generator_weights: Weights,
    generator: GeneratorConfig,
    codec_weights: Weights,
    codec: CodecConfig,
    lexicon: Path,
    facts: VoiceFacts,
    shared: WeightFile | None = None,
    listener: Path | None = None,
) -> Manifest:
    """Write a whole bundle into `folder` (made when missing) and return its manifest.

    `shared` is the weight file to fill: a plain one, whose weights are float16, unless told otherwise. `listener` is
    the finished graph of who listens to the voice, if anyone does.

    `generator_weights` is what `Generator.graph_weights` gives as arrays, `codec_weights` the decoder's state dict;
    the codebooks are the generator's for both. ValueError when a weight is missing or does not fit float16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shared = shared or WeightFile()
    generator_weights = rounded(generator_weights)
    codec_weights = rounded(codec_weights) | {"codebooks": generator_weights["codebooks"]}
    # The one table serves the backbone and the codec whole, a local head layer by layer, a delay head to its depth.
    shared.place_table(with_null_row(generator_weights["codebooks"]))
    build = build_head
    try:
        if generator.head == "delay":
            build = build_delay_head
            place_weights(generator_weights, shared)
        graphs = {
            names.head_file(depth): build(generator_weights, generator, depth, shared) for depth in names.HEAD_DEPTHS
        }
        graphs[names.BACKBONE_FILE] = build_backbone(generator_weights, generator, shared)
        graphs[names.CODEC_DECODER_FILE] = build_codec_decoder(codec_weights, codec, shared)
    except KeyError as error:
        raise ValueError(f"weight {error.args[0]} is missing; the weights do not fit the configuration") from error
    for name, model in graphs.items():
        onnx.save(model, folder / name)
    shared.save(folder / names.WEIGHTS_FILE)
    copied = {names.LEXICON_FILE: lexicon, **({} if listener is None else {LISTENER_FILE: listener})}
    for name, source in copied.items():
        if source.resolve() != (folder / name).resolve():
            shutil.copyfile(source, folder / name)
    files = {name: _entry(folder / name) for name in (*graphs, names.WEIGHTS_FILE, *copied)}
    facts = replace(facts, provenance={**facts.provenance, **shared.provenance()})
    manifest = _manifest(generator_weights, generator, codec, facts, files)
    (folder / names.MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    return manifest


def numpy_weights(state: dict[str, Any]) -> Weights:
    """The arrays of a torch state dict, detached, as float32."""
    return {name: np.asarray(value.detach().cpu().numpy(), np.float32) for name, value in state.items()}


def _entry(path: Path) -> FileEntry:
    data = path.read_bytes()
    return FileEntry(len(data), hashlib.sha256(data).hexdigest())


def _manifest(
    weights: Weights, generator: GeneratorConfig, codec: CodecConfig, facts: VoiceFacts, files: dict[str, FileEntry]
) -> Manifest:
    return Manifest(
        format_version=FORMAT_VERSION,
        name=facts.name,
        family="voicestack",
        text_feed="cued",
        head=generator.head,
        residual_width=generator.latent if carries_residuals(weights) else 0,
        n_vq=generator.n_vq,
        codebook_size=generator.codebook,
        frame_rate_hz=codec.sample_rate_hz / codec.frame_samples,
        sample_rate_hz=codec.sample_rate_hz,
        channels=1,
        head_depths=names.HEAD_DEPTHS,
        backbone=BackboneSpec(
            layers=generator.layers,
            heads=generator.heads,
            kv_heads=generator.kv_heads,
            head_dim=generator.head_dim,
            d_model=generator.d_model,
            max_positions=names.MAX_POSITIONS,
        ),
        codec=CodecSpec(states=codec_states(codec), delay_samples=delay_samples(codec)),
        text=TextSpec(
            units=UNITS,
            lexicon=names.LEXICON_FILE,
            lookahead_frames=names.LOOKAHEAD_FRAMES,
            primer_tokens=names.PRIMER_TOKENS,
            control_max=names.CONTROL_MAX,
            frames_per_token=facts.frames_per_token,
            tail_frames=facts.tail_frames,
            frames_slack=facts.frames_slack,
            foretold_marks=facts.foretold_marks,
        ),
        sampling=facts.sampling,
        files=files,
        onnxruntime_floor=ONNXRUNTIME_FLOOR,
        licence=facts.licence,
        provenance=facts.provenance,
        metrics=facts.metrics,
    )
