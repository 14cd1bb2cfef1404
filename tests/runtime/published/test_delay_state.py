"""The staircase of the delay pattern, and its way back to frames."""

import numpy as np
import pytest
from generator_cases import DELAYED, exported, reference

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.delay_state import (
    DelayIds,
    advance,
    begin,
    forced_token,
    live_codebooks,
    masked_logits,
)
from voicestack.runtime.published.segments import split_sound, start_length, undelayed

IDS = DelayIds(pad=0, im_start=1, im_end=2, audio_start=3, audio_end=4, slot=5, delay_slot=6, audio_pad=64)
N_VQ = 3
VOCABULARY = 10


def walk(tokens: list[int]) -> list[str]:
    """The codebooks that are live at each token, `x` for live, from a prompt without sound."""
    state = begin(np.array([7, 7]), IDS)
    picture = []
    for token in tokens:
        forced = forced_token(state, N_VQ, IDS)
        assert forced in (None, token)
        picture.append("".join("x" if live else "." for live in live_codebooks(state, N_VQ)))
        advance(state, token, N_VQ, IDS)
    return picture


def test_the_staircase_goes_up_and_down() -> None:
    """Codebook j is j rows late; n delay rows, the first with all codebooks; then the end, and text again."""
    tokens = [3, 5, 5, 5, 5, 6, 6, 6, 4, 7]
    assert walk(tokens) == ["...", "x..", "xx.", "xxx", "xxx", "xxx", ".xx", "..x", "...", "..."]


def test_an_utterance_shorter_than_the_staircase() -> None:
    """It goes down before it was all up."""
    assert walk([3, 5, 6, 6, 6, 4]) == ["...", "x..", "xx.", ".xx", "..x", "..."]


def test_a_second_block_of_sound_begins_anew() -> None:
    """audio_end resets the stair, so another audio_start is as the first."""
    block = [3, 5, 5, 5, 6, 6, 6, 4]
    assert walk(block + block) == walk(block) * 2


def test_a_continuation_begins_within_the_staircase() -> None:
    """The prompt's rows count: audio_start and two slots make all three codebooks live."""
    state = begin(np.array([7, 3, 5, 5]), IDS)
    assert state.in_audio
    assert live_codebooks(state, N_VQ).tolist() == [True, True, True]
    assert live_codebooks(begin(np.array([7, 3]), IDS), N_VQ).tolist() == [True, False, False]
    assert not begin(np.array([3, 5, 4]), IDS).in_audio


def allowed(state_tokens: list[int], prompt: list[int]) -> set[int]:
    """The tokens that may be sampled after a prompt and some tokens."""
    state = begin(np.array(prompt), IDS)
    for token in state_tokens:
        advance(state, token, N_VQ, IDS)
    logits = masked_logits(state, np.zeros(VOCABULARY, np.float32), N_VQ, IDS)
    return set(np.flatnonzero(np.isfinite(logits)).tolist())


def test_what_may_be_sampled() -> None:
    """Slots in sound, no delay at the very first step; text otherwise, no end of turn within n steps."""
    assert allowed([], [7, 3]) == {5}
    assert allowed([5], [7, 3]) == {5, 6}
    assert allowed([], [7]) == {1, 3, 7, 8, 9}
    assert allowed([7] * N_VQ, [7]) == {1, 3, 7, 8, 9}
    assert allowed([7] * (N_VQ + 1), [7]) == {1, 2, 3, 7, 8, 9}


def test_a_stopped_stream_gives_pad() -> None:
    """After im_end."""
    state = begin(np.array([7]), IDS)
    advance(state, IDS.im_end, N_VQ, IDS)
    assert state.stopped
    assert forced_token(state, N_VQ, IDS) == IDS.pad
    assert not live_codebooks(state, N_VQ).any()


@pytest.mark.parametrize("case", DELAYED)
def test_the_whole_answer_is_undelayed_as_published(case: str) -> None:
    """Prompt part and generated rows of every run, pads of text rows included."""
    arrays, info = reference(case), exported(case)[1]
    for run in ("clone", "cont"):
        prompt = arrays[f"prompt_{run}"]
        begin_row = len(prompt) - start_length(prompt, info)
        rows = np.concatenate([prompt[begin_row:], arrays[f"gen_{run}_rows"][0]])
        np.testing.assert_array_equal(undelayed(rows[:, 1:], info.n_vq), arrays[f"gen_{run}_dedelayed0"])


def test_sound_is_split_at_frames_of_pad_alone() -> None:
    """A frame with one code is sound; no sound gives no segment."""
    codes = np.full((7, 2), 9)
    codes[[1, 2, 5], 0] = 1
    assert [segment.tolist() for segment in split_sound(codes, 9)] == [[[1, 9], [1, 9]], [[1, 9]]]
    assert split_sound(codes[:1], 9) == ()
    assert undelayed(codes[:1], 2).shape == (0, 2)


@pytest.mark.parametrize(("case", "mark"), [("delay_nvq8", "im_start"), ("local", "audio_start")])
def test_a_prompt_that_asks_for_nothing_is_refused(case: str, mark: str) -> None:
    """Its answer could not be told from it."""
    with pytest.raises(InputError, match=f"no {mark} row"):
        start_length(np.zeros((4, 9), np.int64), exported(case)[1])
