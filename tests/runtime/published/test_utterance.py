"""Rows to chunks while they come, against all rows at once."""

import dataclasses

import numpy as np
import pytest
from generator_cases import exported
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from published_bundles import bundle_of

from voicestack.runtime import Event
from voicestack.runtime.published.prompts_rows import delayed
from voicestack.runtime.published.segments import split_sound, undelayed
from voicestack.runtime.published.utterance import CHUNK_FRAMES, Progress, Utterance

INFO = dataclasses.replace(exported("delay_nvq8")[1], n_vq=3)
CODEC = bundle_of("codec24k").codec_decoder()

IntArray = NDArray[np.int64]


def rows_of(lengths: list[int], gaps: list[int]) -> IntArray:
    """Delayed rows of segments of so many frames, with so many rows of nothing before each; text ids are all 0."""
    draw, pad, parts = np.random.default_rng(len(lengths)), INFO.ids.audio_pad, []
    for length, gap in zip(lengths, gaps, strict=False):
        parts.append(np.full((gap, INFO.n_vq), pad))
        parts.append(delayed(draw.integers(0, INFO.codebook_size, (length, INFO.n_vq)), pad))
    codes = np.concatenate([*parts, np.full((1, INFO.n_vq), pad)])
    return np.column_stack((np.zeros(len(codes), np.int64), codes))


@settings(max_examples=25)
@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=3),
    gaps=st.lists(st.integers(1, 4), min_size=3, max_size=3),
    lead_in=st.integers(0, 9),
    given_before=st.integers(0, 5),
)
def test_segments_of_delayed_rows_are_decoded_each_by_itself(
    lengths: list[int], gaps: list[int], lead_in: int, given_before: int
) -> None:
    """Whatever their lengths and the rows between; what continues the prompt is cut off the first one only."""
    rows = rows_of(lengths, gaps)
    segments = split_sound(undelayed(rows[:, 1:], INFO.n_vq), INFO.ids.audio_pad)
    assert [len(segment) for segment in segments] == lengths
    sounds = [CODEC.decode([CODEC.begin()], [segment])[0] for segment in segments]
    cut = min(lead_in, lengths[0])
    utterance = Utterance(CODEC, INFO)
    utterance.continue_from(rows[:given_before], lead_in)
    chunks = []
    for row in rows[given_before:]:
        utterance.take(row)
        if utterance.due:
            chunks.append(utterance.chunk())
    chunks.append(utterance.chunk(Event.ENDED))
    np.testing.assert_array_equal(np.concatenate([chunk.codes for chunk in chunks]), np.concatenate(segments)[cut:])
    expected = np.concatenate(sounds)[cut * CODEC.info.hop :]
    np.testing.assert_allclose(np.concatenate([chunk.pcm for chunk in chunks]), expected, rtol=0, atol=1e-4)


def test_a_wait_for_text_makes_the_next_chunks_small_again() -> None:
    """Someone listens for the sound after it as for the first one."""
    info = exported("local")[1]
    utterance, row = Utterance(CODEC, info), np.ones(9, np.int64)

    def rows_until_due() -> int:
        for count in range(1, 9):
            utterance.take(row)
            if utterance.due:
                return count
        return 0

    sizes = []
    for _ in range(5):
        sizes.append(rows_until_due())
        utterance.chunk()
    assert sizes == [*CHUNK_FRAMES, CHUNK_FRAMES[-1]]
    assert len(utterance.chunk(Event.PARKED).pcm) == 0
    assert rows_until_due() == 1


@pytest.mark.parametrize("pause_s", [0.0, 0.24])
def test_utterances_of_one_text_share_its_clock(pause_s: float) -> None:
    """The second begins where the first one and the silence behind it end."""
    info, progress, row = exported("local")[1], Progress(), np.ones(9, np.int64)
    first = Utterance(CODEC, info, progress=progress)
    first.take(row)
    chunk = first.chunk(Event.ENDED, pause_s)
    assert len(chunk.pcm) == CODEC.info.hop + round(pause_s * 24_000)
    second = Utterance(CODEC, info, depth=2, progress=progress)
    second.take(row)
    chunk = second.chunk()
    assert chunk.start_s == pytest.approx(0.08 + pause_s)
    assert chunk.codes.shape == (1, 2)
