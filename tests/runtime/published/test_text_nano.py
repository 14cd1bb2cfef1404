"""What Nano does to a text, against pairs from the reference code: hyphens, language, chunks."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.text_nano import (
    NanoChunk,
    chunk_text,
    nano_language,
    pause_after,
    rewrite_hyphens,
    split_text,
)

CASES = json.loads((Path(__file__).parents[2] / "data" / "published" / "text" / "text_cases.json").read_text("utf-8"))


@pytest.mark.parametrize(("text", "expected"), CASES["nano_hyphens_before_zh_wetext"])
def test_hyphens(text: str, expected: str) -> None:
    """Hyphens become what the reference makes of them."""
    assert rewrite_hyphens(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("-5 度", "-5 度"), ("1 - 2", "1-2"), ("a-", "a"), ("", ""), ("中文-abc", "中文 abc")]
)
def test_hyphens_at_the_edges(text: str, expected: str) -> None:
    """A hyphen at an end, between blanks or between scripts is read too."""
    assert rewrite_hyphens(text) == expected


@pytest.mark.parametrize(("text", "expected"), CASES["nano_wetext_language"])
def test_language(text: str, expected: str) -> None:
    """The number reader is chosen as the reference chooses it."""
    assert nano_language(text) == expected


@pytest.mark.parametrize("case", CASES["nano_split"], ids=lambda case: f"{case['text'][:12]}-{case['max_tokens']}")
def test_chunks(case: dict[str, Any]) -> None:
    """Chunks and pauses are those of the reference, with one token a character."""
    chunks = split_text(case["text"], case["max_tokens"], len)
    assert chunks == case["chunks"]
    assert [pause_after(chunk) for chunk in chunks] == case["pauses"]


def test_a_text_that_fits_is_left_as_it_is() -> None:
    """The prepared text is used only when there is more than one chunk."""
    assert chunk_text("short one", 30, len) == [NanoChunk("short one", 0.4)]
    assert [chunk.text for chunk in chunk_text("one two. three four.", 12, len)] == ["One two.", "three four."]
    assert chunk_text(" ", 30, len) == []


@pytest.mark.parametrize("text", ["Pi is 3.14 here.", "See example.com now.", "At 10:30 we pay 1,000 each."])
def test_marks_inside_numbers_cut_nothing(text: str) -> None:
    """A decimal point, a domain, a time and a thousands comma are no places to cut."""
    pieces = split_text(text, 12, len)
    assert " ".join(pieces) == text


def test_a_budget_of_nothing() -> None:
    """A chunk needs at least one token."""
    with pytest.raises(InputError, match="max_tokens is 0"):
        split_text("a", 0, len)


@given(
    text=st.lists(st.sampled_from([*'ab你好.!?,;:。，；"” ', "word ", "longerword"]), max_size=60).map("".join),
    budget=st.integers(1, 40),
)
def test_nothing_is_lost(text: str, budget: int) -> None:
    """The chunks hold the prepared text, blanks aside, and exceed the budget by a closing mark and blanks at most."""
    chunks = split_text(text, budget, len)
    assert all(chunk == chunk.strip() != "" for chunk in chunks)
    said = "".join("".join(chunks).split())
    given_text = "".join(text.split())
    assert said[1:].startswith(given_text[1:])
    assert len(said) - len(given_text) in (0, 1)
    assert all(len("".join(chunk.split())) <= budget + 1 for chunk in chunks)


def test_counts_that_are_not_per_character() -> None:
    """With one token a word, no chunk has more words than the budget."""
    text = "one two three four five six seven, eight nine ten eleven twelve."
    chunks = split_text(text, 4, lambda piece: len(piece.split()))
    assert all(len(chunk.split()) <= 4 for chunk in chunks)
    assert " ".join(chunks).lower() == text


@pytest.mark.parametrize("piece", ["a", "a ", "a.", "- ", " "])
def test_long_texts_take_linear_time(piece: str) -> None:
    """A text of 40,000 characters is cut and rewritten at once."""
    began = time.perf_counter()
    split_text(piece * 20_000, 50, len)
    rewrite_hyphens(piece * 20_000)
    assert time.perf_counter() - began < 2
