"""Replays the reference of MossTTSRealtime: two turns over one stream, and a batch of two."""

import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .realtime_generator import TEXT_LEAD, RealtimeGenerator
from .replay_checks import HIDDEN_LIMIT, LOGITS_LIMIT, Check, Reference, close, same
from .replay_graphs import ReplayGraphs, likeliest
from .streams import Stream

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


def replay_realtime(graphs: ReplayGraphs, reference: Reference) -> Iterator[Check]:
    """The runs `gen_two_turn...` (`rep11`: under a penalty of 1.1) and `offline`, and the fixed ids."""
    generator = graphs.generator
    if not isinstance(generator, RealtimeGenerator):
        return
    ids = graphs.info.ids
    constants = {"audio_bos": ids.audio_bos, "audio_eos": ids.audio_eos, "audio_pad": ids.audio_pad}
    for name, value in {**constants, "prefill_text_len": TEXT_LEAD}.items():
        if f"const_{name}" in reference:
            yield same(f"const_{name}", f"ours is {value}", value, reference[f"const_{name}"])
    for name in reference:
        match = re.fullmatch(r"gen_(two_turn(?:_rep(\d\d))?)_turn1_codes", name)
        if match:
            yield from _two_turns(graphs, generator, reference, match[1], int(match[2] or 10) / 10)
    if reference.has(*(f"offline_{part}{place}" for part in ("prompt", "text", "codes") for place in (0, 1))):
        yield from _offline(generator, reference)


def _two_turns(
    graphs: ReplayGraphs, generator: RealtimeGenerator, reference: Reference, run: str, penalty: float
) -> Iterator[Check]:
    stream: Stream | None = None
    for turn in (1, 2):
        beginning = f"gen_{run}_turn{turn}"
        if not reference.has(f"turn{turn}_ids", f"text{turn}", f"{beginning}_codes"):
            break
        rows, published = reference[f"turn{turn}_ids"], reference[f"{beginning}_codes"][0]
        if stream is None:
            stream = generator.prefill([rows], likeliest(graphs.info, penalty))[0]
        else:
            generator.next_turn(stream, rows)
        codes, hidden = _speak(generator, stream, reference[f"text{turn}"], len(published))
        what = f"{len(codes)} frames" + (f" under a penalty of {penalty}" if penalty != 1 else "")
        yield same(f"{beginning}_codes", what, codes, published)
        name = f"{beginning}_global_hidden"
        if name in reference:
            yield close(name, f"{len(hidden)} steps", hidden, reference[name][:, 0], HIDDEN_LIMIT)
        name = f"{beginning}_logits"
        if name in reference:
            _, logits = graphs.logits(hidden, np.pad(codes, ((0, 0), (1, 0))), graphs.info.n_vq)
            yield close(name, f"{len(logits)} frames", logits, reference[name], LOGITS_LIMIT)
    if stream is not None:
        generator.release(stream)


def _speak(generator: RealtimeGenerator, stream: Stream, text: IntArray, frames: int) -> tuple[IntArray, FloatArray]:
    """Give a turn all its text and generate so many frames, or until its end: codes [T,n] and hidden states [T,H]."""
    generator.push_text(stream, text.tolist())
    generator.end_text(stream)
    codes: list[IntArray] = []
    hidden: list[FloatArray] = []
    for _ in range(frames):
        row = generator.step([stream])[0]
        if row is None:
            break
        codes.append(row[1:])
        hidden.append(stream.hidden)
    return np.array(codes), np.array(hidden)


def _offline(generator: RealtimeGenerator, reference: Reference) -> Iterator[Check]:
    """Two prompts at once; the frame that ends a stream is left out."""
    prompts = [reference[f"offline_prompt{place}"] for place in (0, 1)]
    published = [reference[f"offline_codes{place}"] for place in (0, 1)]
    streams = generator.prefill(prompts, likeliest(generator.info))
    for place, stream in enumerate(streams):
        generator.push_text(stream, reference[f"offline_text{place}"].tolist())
        generator.end_text(stream)
    steps = [generator.step(streams) for _ in range(max(map(len, published)))]
    end = generator.info.ids.audio_eos
    for place, expected in enumerate(published):
        codes = [row[1:] for row in (step[place] for step in steps) if row is not None and row[1] != end]
        name = f"offline_codes{place}"
        yield same(name, f"{len(codes)} frames, stream {place} of a batch", np.array(codes), expected)
    for stream in reversed(streams):
        generator.release(stream)
