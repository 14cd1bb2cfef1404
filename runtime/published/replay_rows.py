"""Replays the reference of a generator: a prompt's hidden states and logits, then every run of its generation.

A run `gen_{run}_...` begins from `batch_input_ids`, from `prompt_{run}`, or else from `prompt_clone`; `rep13` is greedy
under a penalty of 1.3, `nq` makes fewer codebooks, all others are plainly greedy.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .delay_generator import DelayGenerator
from .generator_info import Family, GeneratorInfo
from .local_generator import LocalGenerator
from .replay_checks import HIDDEN_LIMIT, LOGITS_LIMIT, TEXT_LOGITS_LIMIT, Array, Check, Reference, close, same
from .replay_graphs import ReplayGraphs, likeliest
from .sampling_rules import ChannelSampling, PublishedSampling
from .segments import answer, start_length, undelayed

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
_DEPTHS = ("nq_n_vq_for_inference", "nq_value")
_GO_ON = 0


@dataclass(slots=True)
class _Stream:
    """What one stream of a run gave: rows [1+n], and the hidden state behind each of its decisions."""

    prompt: IntArray
    rows: list[IntArray] = field(default_factory=list)
    hidden: list[FloatArray] = field(default_factory=list)


def replay_prefill(graphs: ReplayGraphs, reference: Reference) -> Iterator[Check]:
    """The hidden state behind every row of `prefill_ids`, and the logits given what was said to be drawn."""
    info = graphs.info
    if not reference.has("prefill_ids"):
        return
    rows = reference["prefill_ids"]
    hidden, what = graphs.hidden(rows), f"{len(rows)} rows, one by one"
    if "prefill_hidden_layers" in reference:
        published = reference["prefill_hidden_layers"][-1]
        yield close("prefill_hidden_layers", f"{what}, the last layer", hidden, published, HIDDEN_LIMIT)
    if "prefill_hidden" in reference:
        yield close("prefill_hidden", what, hidden, reference["prefill_hidden"], HIDDEN_LIMIT)
    told = np.zeros((len(rows), 1 + info.n_vq), np.int64)
    if info.family is Family.LOCAL and "prefill_labels" in reference:
        told = reference["prefill_labels"]
    elif "prefill_local_codes" in reference:
        told[:, 1:] = reference["prefill_local_codes"]
    elif info.family is not Family.DELAY:
        return
    text, codes = graphs.logits(hidden, told, info.n_vq)
    for name in ("prefill_text_logits", "prefill_local_text_logits"):
        if name in reference and text is not None:
            yield close(name, what, text, _text_classes(info, reference[name]), TEXT_LOGITS_LIMIT)
    for name in ("prefill_audio_logits", "prefill_local_audio_logits", "prefill_local_logits"):
        if name in reference:
            # Only the first of these has its codebooks in front.
            published = reference[name].transpose(1, 0, 2) if name == "prefill_audio_logits" else reference[name]
            yield close(name, what, codes, published[..., : info.code_classes], LOGITS_LIMIT)


def replay_runs(graphs: ReplayGraphs, reference: Reference) -> Iterator[Check]:
    """Every run of a generator that has its text in the prompt."""
    for name in reference:
        match = re.fullmatch(r"gen_(clone|contclone|cont|batch|plain|nq|rep\d\d)_(rows|codes)", name)
        if match:
            yield from _replay_run(graphs, reference, match[1], name)


def replay_fixed_frames(graphs: ReplayGraphs, reference: Reference) -> Iterator[Check]:
    """Nano's frames of given hidden states, drawn from given uniforms by the published graph's fixed settings."""
    wanted = ("fixed_global_hidden", "fixed_seen_mask", "fixed_text_u", "fixed_audio_u", "fixed_frame_ids")
    if not reference.has(*wanted, "fixed_should_continue"):
        return
    uniforms = np.concatenate([reference["fixed_text_u"][:, None], reference["fixed_audio_u"]], axis=1)
    sampling = PublishedSampling(ChannelSampling(1.0), ChannelSampling(0.8, 0.95, 25), 1.2)
    frames = graphs.draw(reference["fixed_global_hidden"], reference["fixed_seen_mask"] > 0, uniforms, sampling)
    what = f"{len(uniforms)} frames from given uniforms"
    if frames.text is not None:
        goes_on = frames.text[:, None] == _GO_ON
        yield same("fixed_should_continue", what, goes_on, reference["fixed_should_continue"] > 0)
    yield same("fixed_frame_ids", what, frames.codes, reference["fixed_frame_ids"])


def _replay_run(graphs: ReplayGraphs, reference: Reference, run: str, name: str) -> Iterator[Check]:
    info, generator = graphs.info, graphs.generator
    prompts = _prompts(reference, run)
    if not prompts or not isinstance(generator, DelayGenerator | LocalGenerator):
        return
    published = _published_rows(info, reference[name])
    if len(published) != len(prompts):
        yield Check(name, "streams", problem=f"{len(prompts)} prompts for {len(published)} streams")
        return
    penalty = int(run.removeprefix("rep")) / 10 if run.startswith("rep") else 1.0
    depth_name = next((each for each in _DEPTHS if run == "nq" and each in reference), None)
    depth = int(reference[depth_name]) if depth_name else info.n_vq
    streams = _generate(generator, prompts, likeliest(info, penalty), depth, published.shape[1])
    for place, (stream, expected) in enumerate(zip(streams, published, strict=True)):
        which = f", stream {place}" if len(streams) > 1 else ""
        penalised = f" under a penalty of {penalty}" if penalty != 1 else ""
        what = f"{len(stream.rows)} greedy rows{penalised}{which}"
        yield _same_rows(name, what, stream.rows, expected, info)
        yield from _numbers(graphs, reference, run, place, stream, depth)
        yield from _sound(info, reference, run, place, stream, published.shape[1])


def _generate(
    generator: DelayGenerator | LocalGenerator,
    prompts: Sequence[IntArray],
    sampling: PublishedSampling,
    depth: int,
    steps: int,
) -> list[_Stream]:
    streams = generator.prefill(prompts, sampling, depth=depth)
    found = [_Stream(prompt) for prompt in prompts]
    # A step more than rows where the end is a decision without a row.
    for _ in range(steps + (generator.info.family in (Family.LOCAL_V15, Family.NANO))):
        going = [not stream.ended for stream in streams]
        for each, stream, row, went in zip(found, streams, generator.step(streams), going, strict=True):
            if went:
                each.hidden.append(stream.hidden)
            if row is not None and len(each.rows) < steps:
                each.rows.append(row)
        if all(stream.ended for stream in streams):
            break
    for stream in reversed(streams):
        generator.release(stream)
    return found


def _same_rows(name: str, what: str, rows: list[IntArray], published: IntArray, info: GeneratorInfo) -> Check:
    """Compare a stream's rows [steps,1+n]; behind its end a batch has rows of nothing but pad codes."""
    count = len(rows)
    filler = published[count:, 1:]
    if (filler != info.ids.audio_pad).any():
        return Check(name, what, problem=f"ended early, of {len(published)} rows")
    ours = np.array(rows, np.int64).reshape(count, published.shape[1])
    return same(name, what, ours, published[:count])


def _numbers(
    graphs: ReplayGraphs, reference: Reference, run: str, place: int, stream: _Stream, depth: int
) -> Iterator[Check]:
    """The hidden states behind a stream's decisions, and the logits they give."""
    info, hidden = graphs.info, np.stack(stream.hidden)
    for name in (f"gen_{run}_hidden", f"gen_{run}_global_hidden"):
        if name in reference:
            # A run that was stopped by its length has no last decision.
            published = reference[name][: len(hidden), place]
            count = len(published)
            yield close(name, f"{count} steps, stream {place}", hidden[:count], published, HIDDEN_LIMIT)
    text_name, codes_name = f"gen_{run}_text_logits", f"gen_{run}_audio_logits"
    if text_name not in reference and codes_name not in reference:
        return
    told = np.zeros((len(hidden), 1 + info.n_vq), np.int64)
    rows = np.array(stream.rows, np.int64).reshape(-1, 1 + info.n_vq)
    told[: len(rows), 1:] = np.minimum(rows[:, 1:], info.code_classes - 1)
    if info.family is Family.LOCAL:
        told[: len(rows), 0] = rows[:, 0]
    text, codes = graphs.logits(hidden, told, depth)
    if text_name in reference and text is not None:
        published = _text_classes(info, reference[text_name][: len(text), place])
        what = f"{len(published)} decisions, stream {place}"
        yield close(text_name, what, text[: len(published)], published, TEXT_LOGITS_LIMIT)
    if codes_name in reference:
        published = reference[codes_name][: len(rows), place, :, : info.code_classes]
        yield close(codes_name, f"{len(rows)} rows, stream {place}", codes[: len(rows)], published, LOGITS_LIMIT)


def _sound(
    info: GeneratorInfo, reference: Reference, run: str, place: int, stream: _Stream, steps: int
) -> Iterator[Check]:
    """The answer cut out of a stream: where it begins, and the segments of frames that go to the codec."""
    begins, count = f"gen_{run}_start_length", f"gen_{run}_nseg{place}"
    begin = start_length(stream.prompt, info)
    if begins in reference:
        what = f"rows of the prompt's end, stream {place}"
        yield same(begins, what, begin, reference[begins][place])
    undone = f"gen_{run}_dedelayed{place}"
    if undone in reference and info.family is Family.DELAY:
        rows = np.concatenate([stream.prompt[len(stream.prompt) - begin :], np.array(stream.rows)])
        # The published code undoes the delay of a whole batch, filled up to its longest stream.
        filled = np.pad(rows, ((0, steps - len(stream.rows)), (0, 0)), constant_values=info.ids.audio_pad)
        codes = undelayed(filled[:, 1:], info.n_vq)
        yield same(undone, f"{len(codes)} frames, stream {place}", codes, reference[undone])
    if count not in reference:
        return
    segments = answer(stream.prompt, stream.rows, info).segments
    yield same(count, f"segments of sound, stream {place}", len(segments), reference[count])
    kind = "codes" if info.family is Family.DELAY else "refdecode_codes"
    for index, segment in enumerate(segments):
        name = f"gen_{run}_{kind}{place}_{index}"
        if name in reference:
            yield same(name, f"{len(segment)} frames of sound, stream {place}", segment, reference[name])


def _prompts(reference: Reference, run: str) -> list[IntArray]:
    """The prompts of a run, the padding of a batch taken off; none when the file has none."""
    if run == "batch":
        if not reference.has("batch_input_ids", "batch_attention_mask"):
            return []
        pairs = zip(reference["batch_input_ids"], reference["batch_attention_mask"], strict=True)
        return [rows[mask] for rows, mask in pairs]
    name = f"prompt_{run}" if f"prompt_{run}" in reference else "prompt_clone"
    return [reference[name]] if name in reference else []


def _published_rows(info: GeneratorInfo, rows: Array) -> IntArray:
    """Rows [B,steps,1+n] as generated; Nano's come as codes alone."""
    rows = rows if rows.ndim == 3 else rows[None]
    if rows.shape[-1] == info.n_vq:
        rows = np.pad(rows, ((0, 0), (0, 0), (1, 0)), constant_values=info.ids.slot or 0)
    return rows


def _text_classes(info: GeneratorInfo, logits: Array) -> Array:
    """Of text logits [..., V] those that are chosen between."""
    if info.text_classes != 2 or logits.shape[-1] == 2:
        return logits
    chosen: Array = logits[..., np.array([info.ids.slot, info.ids.audio_end], np.int64)]
    return chosen
