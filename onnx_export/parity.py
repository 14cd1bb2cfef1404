"""Every graph of a written bundle in ONNX Runtime against the torch reference, on random inputs.

The reference gets the weights as the bundle holds them (rounded to float16), so what is measured is the graphs.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from voicestack.runtime import names
from voicestack.runtime.bundle import Bundle
from voicestack.runtime.cue_clock import COLUMN_ROWS

from . import reference
from .graph_writer import FloatArray, Weights, rounded
from .specs import CodecConfig, GeneratorConfig

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Limits:
    """What is accepted of a graph.

    max_error: of a hidden state or a sample, relative to the largest value when that is above 1. max_gap: between the
    logits of a head's greedy code and of the best one. equal_codes: share of the draws; one next to the edge between
    two codes may fall to either side.
    """

    max_error: float
    max_gap: float
    equal_codes: float


FLOAT = Limits(1e-3, 1e-3, 0.99)
LOW_BITS = Limits(0.1, 2.0, 0.8)
"""For a generator of 8 bits, whose products are made in int8; what a wrong weight does is still far outside."""


class ParityError(Exception):
    """A graph does not compute what the torch reference computes."""


@dataclass(frozen=True, slots=True)
class Parity:
    """How one graph compares: the largest error, and for a head the share of equal codes."""

    graph: str
    max_error: float
    equal_codes: float = 1.0

    def __str__(self) -> str:
        """One line for people."""
        codes = f", codes equal {self.equal_codes:.2%}" if self.graph.startswith("head") else ""
        return f"{self.graph}: max error {self.max_error:.1e}{codes}"

    def within(self, limits: Limits) -> bool:
        """Whether the graph passes."""
        most = limits.max_gap if self.graph.startswith("head") else limits.max_error
        return self.max_error <= most and self.equal_codes >= limits.equal_codes


def verify(
    folder: Path,
    generator_weights: Weights,
    generator: GeneratorConfig,
    codec_weights: Weights,
    codec: CodecConfig,
    limits: Limits = FLOAT,
) -> list[Parity]:
    """Check every graph of a bundle written from these weights; prints a line a graph, ParityError when one fails."""
    bundle = Bundle.load(folder)
    w = reference.tensors(rounded(generator_weights))
    codec_w = reference.tensors(rounded(codec_weights)) | {"codebooks": w["codebooks"]}
    results = [check_backbone(bundle, w, generator)]
    results += [check_head(bundle, w, generator, depth) for depth in bundle.manifest.head_depths]
    results.append(check_codec(bundle, codec_w, codec))
    for result in results:
        print(result)
    # Whatever is rounded, the codec is not.
    failed = [
        str(result)
        for result in results
        if not result.within(FLOAT if result.graph == names.CODEC_DECODER_FILE else limits)
    ]
    if failed:
        raise ParityError(f"graphs differ from the torch reference: {'; '.join(failed)}")
    return results


def check_backbone(bundle: Bundle, w: reference.Tensors, config: GeneratorConfig) -> Parity:
    """A ragged prefill of three streams, then single steps and ragged chunks, some rows idle."""
    draw = np.random.default_rng(1)
    lengths = np.zeros(3, np.int64)
    rows = 40
    text = np.stack([draw.integers(0, top, (len(lengths), rows)) for top in COLUMN_ROWS], -1)
    codes = draw.integers(0, config.codebook + 1, (len(lengths), rows, config.n_vq))
    expected = [
        reference.backbone_forward(w, config, torch.from_numpy(text[b]), torch.from_numpy(codes[b])).numpy()
        for b in range(len(lengths))
    ]
    shape = (len(lengths), config.kv_heads, rows + 8, config.head_dim)
    # Rows that no stream has filled must not matter.
    caches = {f"{layer}.{part}": np.full(shape, np.nan, np.float32) for layer in range(config.layers) for part in "kv"}
    error = 0.0
    for added in ([4, 7, 1], *([1, 1, 1],) * 3, [1, 0, 1], [0, 5, 3], [2, 1, 0], [1, 1, 1]):
        hidden = _backbone_step(bundle, config, caches, text, codes, lengths, np.array(added))
        lengths += added
        for b, count in enumerate(added):
            if count:
                error = max(error, _error(hidden[b], expected[b][lengths[b] - 1]))
    return Parity(names.BACKBONE_FILE, error)


def _backbone_step(
    bundle: Bundle,
    config: GeneratorConfig,
    caches: dict[str, FloatArray],
    text: Ids,
    codes: Ids,
    lengths: Ids,
    added: Ids,
) -> FloatArray:
    """Feed each stream its next `added` rows, caches in place; hidden [B,d_model]."""
    # A short stream's chunk is padded with rows of zeros.
    places = [slice(start, start + count) for start, count in zip(lengths, added, strict=True)]
    width = int(added.max())
    feeds: dict[str, NDArray[Any]] = {
        names.TEXT: _padded([text[b, place] for b, place in enumerate(places)], width),
        names.CODES: _padded([codes[b, place] for b, place in enumerate(places)], width),
        names.SEQLENS_K: (lengths + added - 1).astype(np.int32),
        names.QUERY_SEQLENS: added.astype(np.int32),
        names.TOTAL_LENGTH: np.array((lengths + added).max(), np.int32),
    }
    hidden = np.zeros((len(lengths), config.d_model), np.float32)
    outputs: dict[str, NDArray[Any]] = {names.HIDDEN: hidden}
    for layer in range(config.layers):
        keys, values = caches[f"{layer}.k"], caches[f"{layer}.v"]
        feeds |= {names.past_key(layer): keys, names.past_value(layer): values}
        outputs |= {names.present_key(layer): keys, names.present_value(layer): values}
    session = bundle.backbone()
    session.run(session.bind(feeds, outputs))
    return hidden


def check_head(bundle: Bundle, w: reference.Tensors, config: GeneratorConfig, depth: int) -> Parity:
    """Greedy and seeded stacks of a batch: each code against the reference given the graph's codes before it."""
    draw = np.random.default_rng(depth)
    batch, error, equal, total = 4, 0.0, 0, 0
    for greedy in (True, False):
        feeds = _head_feeds(draw, config, batch, depth, greedy)
        if width := bundle.manifest.residual_width:
            feeds[names.RESIDUALS] = draw.standard_normal((batch, depth - 1, width), np.float32)
        outputs = bundle.head(depth).call(feeds)
        channel, codes = outputs[names.CHANNEL], outputs[names.CODES]
        for b in range(batch):
            hidden = torch.from_numpy(feeds[names.HIDDEN][b])
            inputs = reference.HeadInputs(**{n: torch.from_numpy(v[b]) for n, v in feeds.items() if n != names.HIDDEN})
            if config.head == "local":
                logits = reference.head_logits(w, config, hidden, int(channel[b]), torch.from_numpy(codes[b]))
            else:
                left = None if inputs.residuals is None else reference.delay_left(w, hidden, inputs.residuals)
                logits = reference.delay_head_logits(w, hidden, depth, left)
                if left is not None:
                    rest = reference.next_residuals(w, left, torch.from_numpy(codes[b])).numpy()
                    error = max(error, _error(outputs[names.NEXT_RESIDUALS][b], rest))
            wanted = [reference.sample_channel(logits[0], inputs)]
            wanted += [reference.sample_layer(logits[j + 1], inputs, j) for j in range(depth)]
            got = [int(channel[b]), *codes[b].tolist()]
            equal += sum(one == other for one, other in zip(got, wanted, strict=True))
            total += len(got)
            if greedy:
                penalised = [reference.penalise(logits[j + 1], inputs, j) for j in range(depth)]
                gaps = [float(row.max() - row[code]) for row, code in zip(penalised, codes[b], strict=True)]
                error = max(error, *gaps)
    return Parity(names.head_file(depth), error, equal / total)


def _head_feeds(
    draw: np.random.Generator, config: GeneratorConfig, batch: int, depth: int, greedy: bool
) -> dict[str, NDArray[Any]]:
    rank_bias = np.zeros((batch, names.TOP_K), np.float32)
    rank_bias[:, 1 if greedy else 50 :] = names.MASKED
    return {
        names.HIDDEN: draw.standard_normal((batch, config.d_model), np.float32),
        names.UNIFORMS: draw.random((batch, 1 + depth), np.float32),
        names.CHANNEL_BIAS: np.zeros((batch, names.CHANNEL_CLASSES), np.float32),
        names.INV_TEMPERATURE: np.full((batch, 1 + depth), 1.25, np.float32),
        names.RANK_BIAS: rank_bias,
        names.TOP_P: np.full((batch, 1), 0.9, np.float32),
        names.RECENT_CODES: draw.integers(0, config.codebook + 1, (batch, depth, names.PENALTY_WINDOW)),
        names.PENALTY: np.full((batch, 1), 1.2, np.float32),
    }


def check_codec(bundle: Bundle, w: reference.Tensors, config: CodecConfig) -> Parity:
    """Two streams with null codes below a depth of their own, decoded in uneven chunks, against one whole pass."""
    draw = np.random.default_rng(3)
    chunks = (1, 1, 2, 3, 1, 4, 8)
    codes = draw.integers(0, config.codebook, (2, sum(chunks), config.n_vq))
    codes[1, :, config.n_vq // 4 :] = names.null_code(config.codebook)
    expected = reference.codec_forward(w, config, torch.from_numpy(codes)).numpy()
    pcm = decode_in_chunks(bundle, codes, chunks)
    return Parity(names.CODEC_DECODER_FILE, _error(pcm, expected))


def decode_in_chunks(bundle: Bundle, codes: Ids, chunks: Sequence[int]) -> FloatArray:
    """Run the codec decoder over codes [B,F,n_vq] in chunks of so many frames; pcm [B,F*frame_samples]."""
    session = bundle.codec_decoder()
    states = bundle.manifest.codec.states
    feeds = {names.STATE_PREFIX + s.name: np.zeros((len(codes), *s.shape), np.float32) for s in states}
    pieces, start = [], 0
    for frames in chunks:
        outputs = session.call({names.CODES: codes[:, start : start + frames], **feeds})
        feeds = {names.STATE_PREFIX + s.name: outputs[names.NEXT_STATE_PREFIX + s.name] for s in states}
        pieces.append(outputs[names.PCM])
        start += frames
    return np.concatenate(pieces, 1)


def _padded(chunks: Sequence[Ids], width: int) -> Ids:
    return np.stack([np.pad(chunk, ((0, width - len(chunk)), (0, 0))) for chunk in chunks])


def _error(got: FloatArray, expected: FloatArray) -> float:
    return float(np.abs(got - expected).max() / max(1.0, float(np.abs(expected).max())))
