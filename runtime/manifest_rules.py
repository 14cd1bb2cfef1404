"""What must hold between the values of a manifest, beyond their types, before any graph is opened."""

import dataclasses
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING

from . import names
from .text.phones import MARKS, UNITS

if TYPE_CHECKING:
    from .manifest import Manifest, TextSpec

FAMILY = "voicestack"
"""The family of every voice with a cued feed; published checkpoints have bundles of their own."""
_MAX_SIZE = 1_000_000

Rule = tuple[str, bool, str, object]
"""A field, whether it is as it must be, how that is, and what it is."""


def rules(manifest: "Manifest") -> Iterator[Rule]:
    """All rules, in an order in which each may rely on those before it."""
    yield from _sizes(manifest)
    yield from _rules(manifest)
    yield from _text_rules(manifest.text)


def _sizes(manifest: "Manifest") -> Iterator[Rule]:
    """All that must be positive, and is never anywhere near the limit, which keeps arithmetic with it possible."""
    sampling = manifest.sampling
    sizes: dict[str, float] = {
        "n_vq": manifest.n_vq,
        "codebook_size": manifest.codebook_size,
        "frame_rate_hz": manifest.frame_rate_hz,
        "sample_rate_hz": manifest.sample_rate_hz,
        **{f"backbone.{name}": value for name, value in dataclasses.asdict(manifest.backbone).items()},
        "text.frames_per_token": manifest.text.frames_per_token,
        "text.tail_frames": manifest.text.tail_frames,
        "sampling.top_k": sampling.top_k,
        "sampling.channel_temperature": sampling.channel_temperature,
    }
    for index, band in enumerate(sampling.temperatures):
        sizes[f"sampling.temperatures[{index}].temperature"] = band.temperature
    for field, value in sizes.items():
        yield field, 0 < value <= _MAX_SIZE, f"a positive number up to {_MAX_SIZE}", value


def _rules(manifest: "Manifest") -> Iterator[Rule]:
    sampling, backbone, codec, files = manifest.sampling, manifest.backbone, manifest.codec, manifest.files
    depths, bands = manifest.head_depths, [band.depth for band in sampling.temperatures]
    rising = f"rising depths up to {manifest.n_vq}"
    yield "family", manifest.family == FAMILY, repr(FAMILY), manifest.family
    yield "text_feed", manifest.text_feed == "cued", "'cued'", manifest.text_feed
    yield "head", manifest.head in names.HEADS, " or ".join(map(repr, names.HEADS)), manifest.head
    width, most = manifest.residual_width, _MAX_SIZE if manifest.head == names.DELAY else 0
    yield "residual_width", 0 <= width <= most, f"from 0 to {most} with a {manifest.head} head", width
    yield "channels", manifest.channels == 1, "1", manifest.channels
    yield "head_depths", _rising(depths, manifest.n_vq), rising, depths
    shared = backbone.heads % backbone.kv_heads == 0
    yield "backbone.heads", shared, f"a multiple of kv_heads, {backbone.kv_heads}", backbone.heads
    # A prefix must fit, and the graph's rotary table goes no further.
    low, high = 1 + names.PRIMER_TOKENS, names.MAX_POSITIONS
    fits = low <= backbone.max_positions <= high
    yield "backbone.max_positions", fits, f"from {low} to {high}", backbone.max_positions
    yield "codec.delay_samples", codec.delay_samples >= 0, "0 or more", codec.delay_samples
    # What the decoder holds back is what a flush hands out.
    overlap = next((state.shape for state in codec.states if state.name == names.OVERLAP_STATE), None)
    held = f"one named {names.OVERLAP_STATE} of shape [{codec.delay_samples}], the delay_samples"
    yield "codec.states", overlap == (codec.delay_samples,), held, overlap
    yield "sampling.depth", sampling.depth in depths, f"one of the head depths {list(depths)}", sampling.depth
    yield "sampling.temperatures", _rising(bands, manifest.n_vq), rising, bands
    yield "sampling.top_k", sampling.top_k <= names.TOP_K, f"at most {names.TOP_K}", sampling.top_k
    yield "sampling.top_p", 0 < sampling.top_p <= 1, "above 0 and at most 1", sampling.top_p
    penalty = sampling.repetition_penalty
    yield "sampling.repetition_penalty", 1 <= penalty <= _MAX_SIZE, f"from 1 to {_MAX_SIZE}", penalty
    graphs = [names.BACKBONE_FILE, names.CODEC_DECODER_FILE, *map(names.head_file, depths)]
    for name in (*graphs, names.WEIGHTS_FILE, manifest.text.lexicon):
        yield f"files.{name}", name in files, "an entry", None
    for name in files:
        yield f"files.{name}", Path(name).name == name, "a plain file name", name


def _text_rules(text: "TextSpec") -> Iterator[Rule]:
    """The facts the feed is built on: this runtime knows one set of them, and a voice was trained with it or not."""
    for place, (known, unit) in enumerate(zip_longest(UNITS, text.units)):
        yield f"text.units[{place}]", unit == known, f"{known!r}", unit
    yield "text.lookahead_frames", *_fixed(text.lookahead_frames, names.LOOKAHEAD_FRAMES)
    yield "text.primer_tokens", *_fixed(text.primer_tokens, names.PRIMER_TOKENS)
    yield "text.control_max", *_fixed(text.control_max, names.CONTROL_MAX)
    for mark in text.foretold_marks:
        yield "text.foretold_marks", mark in MARKS, f"marks of {' '.join(MARKS)}", mark
    yield "text.frames_slack", 0 <= text.frames_slack <= _MAX_SIZE, f"from 0 to {_MAX_SIZE}", text.frames_slack


def _fixed(value: int, known: int) -> tuple[bool, str, object]:
    return value == known, str(known), value


def _rising(depths: Sequence[int], last: int) -> bool:
    """Whether depths rise strictly from at least 1 and end with the full depth."""
    ordered = all(low < high for low, high in zip((0, *depths), depths, strict=False))
    return ordered and bool(depths) and depths[-1] == last
