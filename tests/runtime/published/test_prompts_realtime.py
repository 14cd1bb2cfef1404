"""Prompts of the Realtime family against the reference rows of a tiny checkpoint."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.generator_info import GeneratorInfo, read_generator_info
from voicestack.runtime.published.prompts_realtime import (
    SYSTEM_PROMPT,
    TEXT_LEAD,
    assistant_rows,
    system_rows,
    user_rows,
)
from voicestack.runtime.published.prompts_rows import left_padded
from voicestack.runtime.published.tokenizer import JsonTokenizer

pytest.importorskip("tokenizers")

DATA = Path(__file__).parents[2] / "data" / "published" / "prompts" / "realtime"
INFO = read_generator_info(DATA / "generator.json")
TOKENIZER = JsonTokenizer(DATA / "tokenizer.json")
with np.load(DATA / "reference.npz") as archive:
    ARRAYS: dict[str, NDArray[Any]] = dict(archive)
SHORT = ("Hi?", ARRAYS["user_codes"])
LONG = ("A longer question here?", ARRAYS["user2_codes"])


def test_the_system_turn() -> None:
    """With and without a voice, the rows are those of the reference."""
    np.testing.assert_array_equal(system_rows(INFO, TOKENIZER, system="Speak."), ARRAYS["prompt_system"])
    cloned = system_rows(INFO, TOKENIZER, ARRAYS["ref_codes"], system="Speak.")
    np.testing.assert_array_equal(cloned, ARRAYS["prompt_system_clone"])


def test_the_published_system_prompt() -> None:
    """The first of its two lines ends in a blank."""
    assert SYSTEM_PROMPT.splitlines()[0].endswith("Intelligence. ")
    ids = system_rows(INFO, TOKENIZER)[:, 0]
    assert bytes(ids[ids < 256].tolist()).decode() == f"system\n{SYSTEM_PROMPT}\n"


@pytest.mark.parametrize(("turn", "name"), [(SHORT, "short"), (LONG, "long")])
def test_the_users_turn(turn: tuple[str, NDArray[Any]], name: str) -> None:
    """Fewer than 12 text ids and more: the rows are those of the reference, whichever way round the codes are given."""
    text, codes = turn
    expected = ARRAYS[f"prompt_user_{name}"]
    np.testing.assert_array_equal(user_rows(INFO, TOKENIZER, text, codes), expected)
    np.testing.assert_array_equal(user_rows(INFO, TOKENIZER, text, codes.T, layers_first=True), expected)


def test_the_rows_of_a_turn() -> None:
    """A first turn is the system's and the user's rows joined, a later one the user's alone."""
    system = system_rows(INFO, TOKENIZER, ARRAYS["ref_codes"], system="Speak.")
    turn1 = np.concatenate((system, user_rows(INFO, TOKENIZER, *SHORT)))
    np.testing.assert_array_equal(turn1, ARRAYS["turn1_ids"])
    np.testing.assert_array_equal(user_rows(INFO, TOKENIZER, *LONG), ARRAYS["turn2_ids"])


def test_prompts_without_a_users_turn() -> None:
    """The offline prompts are a system turn and the start of the assistant's."""
    opening = assistant_rows(INFO, TOKENIZER)
    for place, voice in enumerate((ARRAYS["ref_codes"], None)):
        rows = np.concatenate((system_rows(INFO, TOKENIZER, voice, system="Speak."), opening))
        np.testing.assert_array_equal(rows, ARRAYS[f"offline_prompt{place}"])


def test_the_streamed_text() -> None:
    """The text of the reference's turns is tokenised to the ids it streams."""
    assert TOKENIZER.encode("Hello, streaming world of tokens.") == ARRAYS["text1"].tolist()
    assert TOKENIZER.encode("Second turn text.") == ARRAYS["text2"].tolist()


@pytest.mark.parametrize("characters", [0, 1, 11, 12, 13, 14, 17, 18, 19, 20, 40])
def test_where_the_users_audio_stands(characters: int) -> None:
    """Begin, codes and end follow each other, beside the text from its 12th id on, and nothing else has codes."""
    codes = ARRAYS["ref_codes"]
    rows = user_rows(INFO, TOKENIZER, "x" * characters, codes)
    prefix = len("\nuser\n") + 2
    marks = np.flatnonzero((rows[:, 1] == INFO.ids.audio_bos) | (rows[:, 1] == INFO.ids.audio_eos))
    begin = prefix + min(characters, TEXT_LEAD) - 1
    assert marks.tolist() == [begin, begin + 1 + len(codes)]
    np.testing.assert_array_equal(rows[begin + 1 : marks[1], 1:], codes)
    with_codes = (rows[:, 1:] != INFO.ids.audio_pad).any(axis=1)
    assert np.flatnonzero(with_codes).tolist() == [*range(begin, marks[1] + 1)]
    body = max(characters, min(characters, TEXT_LEAD) + len(codes) + 1)
    assert len(rows) == prefix + body + len("\nassistant\n") + 2


def test_as_many_frames_as_layers_are_read_as_told() -> None:
    """A square array is frames first unless the caller says otherwise."""
    codes = np.arange(64).reshape(8, 8)
    rows = user_rows(INFO, TOKENIZER, "x" * 12, codes)
    assert rows[8 + 12, 1:].tolist() == codes[0].tolist()
    rows = user_rows(INFO, TOKENIZER, "x" * 12, codes, layers_first=True)
    assert rows[8 + 12, 1:].tolist() == codes[:, 0].tolist()


def test_wrong_codes() -> None:
    """The message says which codes and what shape they must have."""
    with pytest.raises(InputError, match=r"the user's codes has shape \[8, 3\], must be \[frames, 8\]"):
        user_rows(INFO, TOKENIZER, "a", np.zeros((8, 3), int))
    with pytest.raises(InputError, match="voice has codes 66"):
        system_rows(INFO, TOKENIZER, np.full((2, 8), 66))


def test_a_turn_that_is_too_long() -> None:
    """A turn alone must fit the model's positions."""
    short = dataclasses.replace(INFO.backbone, max_positions=30)
    info: GeneratorInfo = dataclasses.replace(INFO, backbone=short)
    with pytest.raises(InputError, match="the model's limit is 30"):
        user_rows(info, TOKENIZER, *SHORT)


def test_offline_batch() -> None:
    """Prompts of different lengths are padded on the left, though the family has no pad id of its own."""
    prompts = [ARRAYS["offline_prompt0"], ARRAYS["offline_prompt1"]]
    ids, mask = left_padded(prompts, INFO, pad=256)
    assert ids.shape == (2, len(prompts[0]), 1 + INFO.n_vq)
    np.testing.assert_array_equal(ids[1][mask[1]], prompts[1])
    assert (ids[1][~mask[1]] == [256] + [INFO.ids.audio_pad] * INFO.n_vq).all()
