"""Replays the reference of a codec: encoding and decoding at once, in chunks, in batches, and at smaller depths."""

import json
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .bundle import PublishedBundle
from .codec_decoder import CodecDecoder
from .codec_encoder import CodecEncoder
from .codec_stream import Window
from .replay_checks import SOUND_LIMIT, Array, Check, Reference, close, same

FloatArray = NDArray[np.float32]
CHUNKS = (1, 3, 8)
"""Frames per call in which a full decode is repeated."""


def replay_codec(bundle: PublishedBundle, reference: Reference) -> Iterator[Check]:
    """Everything a reference says of the bundle's codec."""
    if "contexts" in reference:
        yield _contexts(bundle, reference)
    yield from _encode(bundle.codec_encoder(), reference)
    yield from _decode(bundle.codec_decoder(), reference)
    yield from _batch(bundle, reference)
    yield from _ring(bundle, reference)


def _contexts(bundle: PublishedBundle, reference: Reference) -> Check:
    """The attention windows; in the file as JSON, by the module's name."""
    info = bundle.codec_info
    sides = (("encoder", info.encoder), ("decoder", info.decoder))
    ours = {f"{side}.{stage.module}": stage.context for side, graph in sides for stage in graph.stages}
    published = json.loads(str(reference["contexts"]))
    wrong = sum(ours.get(name) != published.get(name) for name in {*ours, *published})
    return Check("contexts", f"attention windows of {len(ours)} modules", wrong)


def _encode(encoder: CodecEncoder, reference: Reference) -> Iterator[Check]:
    if not reference.has("waveform", "encode_codes"):
        return
    sound = reference["waveform"][0].T
    codes = encoder.encode_clip(sound)
    frames = len(codes)
    if "encode_lengths" in reference:
        yield same("encode_lengths", "whole frames", [frames], reference["encode_lengths"])
    yield same("encode_codes", f"{frames} frames at once", codes, _frames(reference["encode_codes"])[:frames])
    for chunk in CHUNKS:
        ours = encoder.encode_clip(sound, chunk_frames=chunk)
        published = _frames(reference["encode_codes"])[:frames]
        yield same("encode_codes", f"{frames} frames in chunks of {chunk}", ours, published)
    for name, [depth] in _numbered(reference, r"encode_codes_nq(\d+)"):
        ours = encoder.encode_clip(sound, depth)
        yield same(name, f"{frames} frames, {depth} layers", ours, _frames(reference[name])[:frames])


def _decode(decoder: CodecDecoder, reference: Reference) -> Iterator[Check]:
    if not reference.has("decode_codes", "decode_full"):
        return
    codes, full, hop = _frames(reference["decode_codes"]), _samples(reference["decode_full"]), decoder.info.hop
    sound = decode_chunks(decoder, codes, len(codes))
    yield close("decode_full", f"{len(codes)} frames at once", sound, full, SOUND_LIMIT)
    for chunk in CHUNKS:
        sound = decode_chunks(decoder, codes, chunk)
        yield close("decode_full", f"{len(codes)} frames in chunks of {chunk}", sound, full, SOUND_LIMIT)
    for name, [chunk] in _numbered(reference, r"decode_stream_chunk(\d+)"):
        sound, what = decode_chunks(decoder, codes, chunk), f"{len(codes)} frames in chunks of {chunk}"
        yield close(name, what, sound, _samples(reference[name]), SOUND_LIMIT)
    for name, [frames, depth] in _numbered(reference, r"decode_first(\d+)_nq(\d+)"):
        sound, what = decode_chunks(decoder, codes[:frames, :depth], frames), f"{frames} frames, {depth} layers"
        yield close(name, what, sound, _samples(reference[name]), SOUND_LIMIT)
    if "decode_prefix_lengths" in reference:
        for frames in map(int, reference["decode_prefix_lengths"]):
            sound, what = decode_chunks(decoder, codes[:frames], frames), f"the first {frames} frames alone"
            yield close("decode_prefix_lengths", what, sound, full[: frames * hop], SOUND_LIMIT)


def _batch(bundle: PublishedBundle, reference: Reference) -> Iterator[Check]:
    """Clips of different lengths, one of them perhaps shorter than a frame, in one call."""
    if not reference.has("batch_wav0", "batch_codes", "batch_lengths"):
        return
    clips = [np.atleast_2d(reference[name]).T for name, _ in _numbered(reference, r"batch_wav(\d+)")]
    encoder, decoder = bundle.codec_encoder(), bundle.codec_decoder()
    found = encoder.encode([encoder.begin() for _ in clips], clips)
    published = reference["batch_codes"].transpose(1, 2, 0)
    yield same("batch_lengths", "frames of each clip", [len(codes) for codes in found], reference["batch_lengths"])
    for row, codes in enumerate(found):
        yield same("batch_codes", f"clip {row}, {len(codes)} frames", codes, published[row, : len(codes)])
    lengths = reference["batch_lengths"].tolist()
    stacks = [published[row, :length] for row, length in enumerate(lengths)]
    sounds = decoder.decode([decoder.begin() for _ in stacks], stacks)
    if "batch_audio_lengths" in reference:
        samples = [len(sound) for sound in sounds]
        yield same("batch_audio_lengths", "samples of each clip", samples, reference["batch_audio_lengths"])
    if "batch_audio" in reference:
        for row, sound in enumerate(sounds):
            published = reference["batch_audio"][row, :, : len(sound)].T
            yield close("batch_audio", f"clip {row}, {len(sound)} samples", sound, published, SOUND_LIMIT)


def _ring(bundle: PublishedBundle, reference: Reference) -> Iterator[Check]:
    """The published code's own streaming of the 24 kHz codec, whose window loses what a chunk pushes out of it."""
    yield from _ring_decode(bundle, reference)
    for name, [chunk] in _numbered(reference, r"encode_refstream_codes_chunk(\d+)"):
        if "waveform" in reference:
            encoder = bundle.codec_encoder(Window.RING)
            ours = encoder.encode_clip(reference["waveform"][0].T, chunk_frames=chunk)
            yield same(name, f"ring window, chunks of {chunk}", ours, _frames(reference[name]))


def _ring_decode(bundle: PublishedBundle, reference: Reference) -> Iterator[Check]:
    found = _numbered(reference, r"decode_refstream_chunk(\d+)")
    if not found or "decode_codes" not in reference:
        return
    decoder, codes = bundle.codec_decoder(Window.RING), _frames(reference["decode_codes"])
    for name, [chunk] in found:
        sound, what = decode_chunks(decoder, codes, chunk), f"ring window, chunks of {chunk}"
        yield close(name, what, sound, _samples(reference[name]), SOUND_LIMIT)
        first = f"{name}_first_differing_frame"
        if first in reference and "decode_full" in reference:
            until = int(reference[first]) * decoder.info.hop
            full = _samples(reference["decode_full"])[:until]
            yield close(first, "ring equals exact up to there", sound[:until], full, SOUND_LIMIT)


def decode_chunks(decoder: CodecDecoder, codes: Array, chunk: int) -> FloatArray:
    """One stream of codes [F,depth], decoded so many frames at a time."""
    state = decoder.begin()
    parts = [decoder.decode([state], [codes[at : at + chunk]])[0] for at in range(0, len(codes), chunk)]
    return np.concatenate(parts) if parts else np.zeros((0, decoder.info.channels), np.float32)


def _numbered(reference: Reference, pattern: str) -> list[tuple[str, list[int]]]:
    """The arrays of a pattern, with the numbers in their names."""
    matches = ((name, re.fullmatch(pattern, name)) for name in reference)
    return [(name, [int(number) for number in match.groups()]) for name, match in matches if match]


def _frames(codes: Array) -> Array:
    """Codes [layers, 1, frames] as [frames, layers]."""
    stacks: Array = codes[:, 0].T
    return stacks


def _samples(sound: Array) -> Array:
    """Sound [1, channels, samples] as [samples, channels]."""
    samples: Array = sound[0].T
    return samples
