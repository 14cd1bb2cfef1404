"""Generation, row by row, against what the published code generated from the same weights and prompts."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from generator_cases import (
    CAPACITY,
    CASES,
    DELAYED,
    LOCALS,
    Run,
    checkpoint,
    exported,
    generate,
    greedy,
    local_heads,
    nearly_greedy,
    opened,
    prompts,
    reference,
    two_choices,
)
from numpy.typing import NDArray

from voicestack.onnx_export.published.export import export_generator
from voicestack.runtime import names
from voicestack.runtime.errors import BundleError, CapacityError, InputError
from voicestack.runtime.published import generator_info as graph
from voicestack.runtime.published.generator import open_generator
from voicestack.runtime.published.generator_base import Generator
from voicestack.runtime.published.local_heads import FrameRequest, head_settings
from voicestack.runtime.published.sampling_rules import ChannelSampling, PublishedSampling
from voicestack.runtime.published.segments import answer, start_length
from voicestack.runtime.sessions import open_session

IntArray = NDArray[np.int64]
PLAIN_RUNS = [(case, run) for case in (*DELAYED, *LOCALS) for run in ("clone", "cont", "batch")]


def published_rows(case: str, run: str) -> IntArray:
    """The rows [B,steps,1+n] the published code gave; Nano's come as codes alone."""
    arrays = reference(case)
    if case == "nano":
        slot = exported(case)[1].ids.slot
        return np.pad(arrays[f"gen_{run}_codes"], ((0, 0), (0, 0), (1, 0)), constant_values=slot or 0)
    rows = np.asarray(arrays[f"gen_{run}_rows"])
    return rows if rows.ndim == 3 else rows[None]


def run_greedily(case: str, run: str) -> list[Run]:
    generator = opened(case)
    # A step more than frames: the end of v1.5 and Nano is a decision without a row.
    steps = published_rows(case, run).shape[1] + (case in ("local_v1.5", "nano"))
    return generate(generator, generator.prefill(prompts(case, run), greedy()), steps)


@pytest.mark.parametrize(("case", "run"), PLAIN_RUNS)
def test_every_greedy_row_is_the_published_one(case: str, run: str) -> None:
    """Clone, continuation and a batch of two; after a stream's end the published rows are filler."""
    ours, published = run_greedily(case, run), published_rows(case, run)
    assert len(ours) == len(published)
    assert max(len(each.rows) for each in ours) == published.shape[1]
    pad = exported(case)[1].ids.audio_pad
    for each, expected in zip(ours, published, strict=True):
        np.testing.assert_array_equal(np.array(each.rows), expected[: len(each.rows)])
        assert (expected[len(each.rows) :, 1:] == pad).all()


@pytest.mark.parametrize(("case", "run"), [*((c, r) for c in DELAYED for r in ("clone", "cont", "batch"))])
def test_delay_hidden_states_and_logits_stay_the_published_ones(case: str, run: str) -> None:
    """At every step of a generation, not only in the prompt."""
    arrays, head = reference(case), open_session(exported(case)[0] / graph.DELAY_HEAD_FILE)
    for place, each in enumerate(run_greedily(case, run)):
        hidden = np.stack(each.hidden)
        np.testing.assert_allclose(hidden, arrays[f"gen_{run}_hidden"][: len(hidden), place], rtol=0, atol=1e-4)
        if f"gen_{run}_text_logits" in arrays:
            found = head.call({names.HIDDEN: hidden})
            text, codes = arrays[f"gen_{run}_text_logits"], arrays[f"gen_{run}_audio_logits"]
            np.testing.assert_allclose(found[graph.TEXT_LOGITS], text[:, place], rtol=0, atol=2e-3)
            np.testing.assert_allclose(found[graph.LOGITS], codes[:, place], rtol=0, atol=2e-4)


@pytest.mark.parametrize(("case", "run"), [*((c, r) for c in LOCALS for r in ("clone", "cont"))])
def test_local_hidden_states_and_logits_stay_the_published_ones(case: str, run: str) -> None:
    """At every step of a generation, the deciding one at the end among them."""
    folder, info = exported(case)
    arrays = reference(case)
    hidden = np.stack(run_greedily(case, run)[0].hidden)
    if case != "local":
        np.testing.assert_allclose(hidden, arrays[f"gen_{run}_global_hidden"][:, 0], rtol=0, atol=1e-4)
    heads = local_heads(folder, info)
    nothing = np.zeros((info.n_vq, info.code_classes), np.bool_)
    settings, uniforms = head_settings(greedy(), info), np.zeros(1 + info.n_vq, np.float32)
    frames = heads.draw(info.n_vq, [FrameRequest(state, uniforms, nothing, settings) for state in hidden])
    codes = arrays[f"gen_{run}_audio_logits"][:, 0, :, : info.code_classes]
    np.testing.assert_allclose(frames.logits[: len(codes)], codes, rtol=0, atol=2e-4)
    text = arrays[f"gen_{run}_text_logits"][:, 0]
    text = text[:, two_choices(info)] if case == "nano" else text
    assert frames.text_logits is not None
    np.testing.assert_allclose(frames.text_logits, text, rtol=0, atol=2e-3)


@pytest.mark.parametrize(
    ("case", "run", "sampling"),
    [
        ("delay_nvq8", "rep13", greedy(1.3)),
        ("delay_nvq32", "rep13", greedy(1.3)),
        ("local", "rep13", nearly_greedy(1.3)),
        ("local_v1.5", "rep13", greedy(1.3)),
        ("nano", "rep12", greedy(1.2)),
    ],
)
def test_the_penalty_looks_at_what_the_published_one_looks_at(case: str, run: str, sampling: PublishedSampling) -> None:
    """Every row given; without the penalty they would be others."""
    generator, expected = opened(case), published_rows(case, run)[0]
    rows = generate(generator, generator.prefill(prompts(case, run), sampling), len(expected))[0].rows
    np.testing.assert_array_equal(np.array(rows), expected)
    plain = generate(generator, generator.prefill(prompts(case, run), greedy()), len(expected))[0].rows
    assert not np.array_equal(plain, expected)


def test_only_streams_of_one_prefill_share_what_delay_has_seen() -> None:
    """As a batch of the published code does; streams that came by themselves do not touch each other."""
    generator = opened("delay_nvq8", slots=3)
    first, second = generator.prefill(prompts("delay_nvq8", "batch"), greedy(1.3))
    third = generator.prefill(prompts("delay_nvq8", "cont"), greedy(1.3))[0]
    assert np.shares_memory(first.seen.mask, second.seen.mask)
    before = third.seen.mask.copy()
    for _ in range(12):
        generator.step([first, second])
    np.testing.assert_array_equal(third.seen.mask, before)


def test_the_first_local_does_not_penalise_when_it_takes_the_likeliest() -> None:
    """Temperature 0 is a plain argmax there, whatever the penalty."""
    generator = opened("local")
    rows = generate(generator, generator.prefill(prompts("local", "clone"), greedy(1.3)), 9)[0].rows
    np.testing.assert_array_equal(np.array(rows), published_rows("local", "clone")[0, :9])


@pytest.mark.parametrize(("case", "key"), [("local", "nq_n_vq_for_inference"), ("nano", "nq_value")])
def test_fewer_codebooks_give_the_published_rows(case: str, key: str) -> None:
    """The other columns are 0 for the first MossTTSLocal and pad for Nano, and do not matter to the next row."""
    generator, expected = opened(case), published_rows(case, "nq")[0]
    streams = generator.prefill(prompts(case, "nq"), greedy(), depth=int(reference(case)[key]))
    np.testing.assert_array_equal(np.array(generate(generator, streams, len(expected))[0].rows), expected)


@pytest.mark.parametrize(("case", "run"), [pair for pair in PLAIN_RUNS if pair[0] != "nano"])
def test_the_sound_is_cut_out_as_published(case: str, run: str) -> None:
    """Start of the answer, number of segments and their codes, the part of the prompt it continues included."""
    info, arrays, delayed = exported(case)[1], reference(case), case in DELAYED
    for place, (each, prompt) in enumerate(zip(run_greedily(case, run), prompts(case, run), strict=True)):
        begin = start_length(prompt, info)
        assert begin == arrays[f"gen_{run}_start_length"][place]
        found = answer(prompt, each.rows, info)
        assert len(found.segments) == arrays[f"gen_{run}_nseg{place}"]
        for index, segment in enumerate(found.segments):
            name = f"gen_{run}_{'codes' if delayed else 'refdecode_codes'}{place}_{index}"
            np.testing.assert_array_equal(segment, arrays[name])
        assert found.lead_in == (begin / len(found.segments[0]) if found.segments else 0)


@pytest.mark.parametrize("case", [case for case in CASES if case != "realtime"])
def test_a_stream_does_not_mind_who_else_is_there(case: str) -> None:
    """Sampled rows are the same alone, beside another stream, and after that one has left."""
    # Without a penalty, which delay pools over the streams of a prefill.
    rule = ChannelSampling(1.0, 0.9, 20)
    sampling = PublishedSampling(rule, rule)
    alone, shared = opened(case), opened(case)
    prompt, other = prompts(case, "clone")[0], prompts(case, "cont")[0]
    expected = generate(alone, alone.prefill([prompt], sampling, seed=7), 6)[0].rows
    first = shared.prefill([other], sampling, seed=1)[0]
    second = shared.prefill([prompt], sampling, seed=7)[0]
    rows = [shared.step([first, second])[1] for _ in range(2)]
    shared.release(first)
    assert second.slot == 0
    rows += [shared.step([second])[0] for _ in range(len(expected) - 2)]
    np.testing.assert_array_equal(np.array(rows), np.array(expected))


def test_streams_that_move_in_the_caches_go_on() -> None:
    """Four streams, three of which leave in an order that moves the last one twice."""
    rows = reference("nano")["prefill_ids"]
    rule = ChannelSampling(1.0, 0.9, 20)
    alone, shared = opened("nano"), opened("nano", slots=4)
    sampling = PublishedSampling(ChannelSampling(0), rule)
    expected = alone.step(alone.prefill([rows[:9]], sampling, seed=3))[0]
    assert expected is not None
    streams = [shared.prefill([rows[:length]], sampling, seed=3)[0] for length in (4, 7, 5, 9)]
    for place in (1, 2, 0):
        shared.release(streams[place])
    assert streams[3].slot == 0
    np.testing.assert_array_equal(shared.step(streams[3:])[0], expected)


@pytest.mark.parametrize("case", CASES)
def test_a_prompt_that_cannot_be_embedded_is_refused_and_takes_no_slot(case: str) -> None:
    """Wrong width, ids or codes out of range, no rows, no whole numbers, too long, too many."""
    generator: Generator = opened(case)
    prompt = reference(case)["turn1_ids"] if case == "realtime" else prompts(case, "clone")[0]
    info = generator.info
    code, text = prompt.copy(), prompt.copy()
    code[3, 2], text[3, 0] = info.codes_embedded + 1, -1
    wrong: list[tuple[NDArray[np.generic], str]] = [
        (prompt[:, :-1], r"shape \[rows, "),
        (prompt[:0], r"shape \[rows, "),
        (prompt.astype(np.float32), "whole numbers"),
        (code, f"code {info.codes_embedded + 1}; this generator has 0 to {info.codes_embedded}"),
        (text, "text id -1; this generator has 0 to"),
    ]
    for rows, message in wrong:
        with pytest.raises(InputError, match=message):
            generator.prefill([prompt, rows])  # type: ignore[list-item]
    with pytest.raises(CapacityError, match="leaves no room in 400"):
        generator.prefill([np.repeat(prompt[:1], 400, axis=0)])
    with pytest.raises(CapacityError, match="3 streams do not fit: 0 of 2 slots are taken"):
        generator.prefill([prompt] * 3)
    assert len(generator.prefill([prompt, prompt])) == 2


@pytest.mark.parametrize(("case", "depth"), [("delay_nvq8", 4), ("local", 0), ("local_v1.5", 4), ("realtime", 4)])
def test_a_depth_a_family_cannot_generate_is_refused(case: str, depth: int) -> None:
    """Only the first MossTTSLocal and Nano can leave codebooks out."""
    with pytest.raises(InputError, match="depth"):
        opened(case).prefill([reference(case)["prefill_ids"]], depth=depth)


def test_more_ranks_than_a_head_sorts_are_refused(tmp_path: Path) -> None:
    """The remedy is named; an export for more ranks takes them."""
    generator = opened("local")
    wide = PublishedSampling(ChannelSampling(1.0), ChannelSampling(1.0))
    with pytest.raises(InputError, match="top_k off needs 288 ranks, this generator's heads sort 64"):
        generator.prefill(prompts("local", "clone"), wide)
    info = export_generator(checkpoint("local"), tmp_path, ranks=512)
    generator = open_generator(tmp_path, info, capacity=CAPACITY)
    assert generate(generator, generator.prefill(prompts("local", "clone"), wide, seed=1), 2)[0].rows


def test_graphs_that_are_not_there_or_of_another_generator_are_told(tmp_path: Path) -> None:
    """The file is named, and for another generator's the tensor."""
    folder, info = exported("nano")
    with pytest.raises(BundleError, match=r"backbone\.onnx: no such file"):
        open_generator(tmp_path, info)
    with pytest.raises(BundleError, match=r"backbone\.onnx: input codes has shape"):
        open_generator(folder, exported("local")[1])
    with pytest.raises(InputError, match="capacity 5000 is more than the 4096 positions"):
        open_generator(folder, info, capacity=5000)


def test_a_generator_without_the_ids_it_needs_is_refused() -> None:
    """An info of a delay generator that does not know audio_end."""
    folder, info = exported("delay_nvq8")
    ids = dataclasses.replace(info.ids, audio_end=None)
    with pytest.raises(BundleError, match="audio_end is not known"):
        open_generator(folder, dataclasses.replace(info, ids=ids))
