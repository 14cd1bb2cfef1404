"""Text that is still being written: segments, and ids that never change once they are given out."""

import json
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.text_stream import REFERENCE_HOLD_BACK, SegmentCutter, TextDelta, tokenise_segments
from voicestack.runtime.published.tokenizer import JsonTokenizer

tokenizers = pytest.importorskip("tokenizers")

DATA = Path(__file__).parents[2] / "data" / "published"
CASES = json.loads((DATA / "text" / "text_cases.json").read_text("utf-8"))
BYTES = JsonTokenizer(DATA / "prompts" / "realtime" / "tokenizer.json")
WORD_PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CORPUS = ["the weather in the western weatherproof northern land isn't what they're telling the others  it's 12"] * 3
TEXTS = st.one_of(
    st.lists(
        st.sampled_from(
            [
                *"aehtrw'12.,!-é한\u0301\u0331\u1161\u11a8 \n\t",
                "the",
                "weather",
                "'re",
                "  ",
                "\r\n",
                "<think>",
                "<|im_end|>",
            ]
        ),
        max_size=24,
    ).map("".join),
    st.text(max_size=16),
)


@pytest.fixture(scope="module")
def merging(tmp_path_factory: pytest.TempPathFactory) -> JsonTokenizer:
    """A tokenizer with merges, pieces and NFC as published ones have, and a control that is not marked special."""
    made = tokenizers.Tokenizer(tokenizers.models.BPE())
    made.normalizer = tokenizers.normalizers.NFC()
    pieces = tokenizers.pre_tokenizers.Split(tokenizers.Regex(WORD_PATTERN), behavior="isolated")
    as_bytes = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([pieces, as_bytes])
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=340, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(CORPUS, trainer)
    made.add_special_tokens([tokenizers.AddedToken("<|im_end|>", special=True)])
    made.add_tokens([tokenizers.AddedToken("<think>", special=False)])
    path = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    made.save(str(path))
    return JsonTokenizer(path)


def in_chunks(text: str, cuts: list[int]) -> Iterator[str]:
    """The text in chunks of the given lengths, then the rest."""
    for cut in cuts:
        yield text[:cut]
        text = text[cut:]
    yield text


@pytest.mark.parametrize("case", CASES["realtime_segments"])
def test_segments(case: dict[str, Any]) -> None:
    """Every addition completes the segments that the reference completes."""
    cutter = SegmentCutter()
    assert [cutter.push(delta) for delta in case["deltas"]] == case["segments_per_push"]
    assert cutter.finish() == case["rest_at_end"]


@given(text=TEXTS, cuts=st.lists(st.integers(0, 9), max_size=6))
@example(text="aaaa theweatherweather<|im_end|>", cuts=[])
def test_segments_are_the_text(text: str, cuts: list[int]) -> None:
    """However the text arrives, the segments and the rest make it up, and only one that a blank ends is short."""
    cutter = SegmentCutter()
    segments = [segment for chunk in in_chunks(text, cuts) for segment in cutter.push(chunk)]
    assert "".join(segments) + cutter.finish() == text
    ends = accumulate(map(len, segments))
    for segment, end in zip(segments, ends, strict=True):
        # Only of 32 characters or more, none of them a mark to cut behind, the last blank will do.
        is_of_much = segment[-1].isspace() and len(text) - (end - len(segment)) >= 32
        assert len(segment) >= 8 or is_of_much
    assert cutter.push("1234567.") == ["1234567."]


def test_settings_that_make_no_sense() -> None:
    """Limits are checked when they are given."""
    with pytest.raises(InputError, match="min_chars is 9 and max_buffer 8"):
        SegmentCutter(9, 8)
    with pytest.raises(InputError, match="hold_back is -1"):
        TextDelta(BYTES, -1)


def test_segments_are_tokenised_apart(merging: JsonTokenizer) -> None:
    """A merge never spans two segments."""
    assert tokenise_segments(merging, ["wea", "ther"]) == merging.encode("wea") + merging.encode("ther")
    assert tokenise_segments(merging, ["wea", "ther"]) != merging.encode("weather")


@pytest.mark.parametrize("case", CASES["realtime_text_delta"])
def test_ids_held_back_as_the_reference_does(case: dict[str, Any]) -> None:
    """Every addition gives the ids that the reference gives."""
    assert case["hold_back"] == REFERENCE_HOLD_BACK
    stream = TextDelta(BYTES, case["hold_back"])
    assert [stream.push(delta) for delta in case["deltas"]] == case["ids_per_push"]
    assert stream.finish() == case["flush"]


@given(text=TEXTS, cuts=st.lists(st.integers(0, 4), max_size=24))
@example(text="e\u0331\u0301a", cuts=[1, 1, 1, 1])
@example(text="a \n  \n b", cuts=[1] * 8)
@example(text="they're", cuts=[5, 1])
@example(text="a<think>b<|im_end|>", cuts=[2, 3, 6])
@settings(max_examples=300)
def test_ids_do_not_depend_on_the_chunks(merging: JsonTokenizer, text: str, cuts: list[int]) -> None:
    """The ids given out at any time begin the ids of the whole text, and all together are them."""
    stream = TextDelta(merging)
    whole = merging.encode(text)
    ids: list[int] = []
    for chunk in in_chunks(text, cuts):
        ids += stream.push(chunk)
        assert ids == whole[: len(ids)]
    assert ids + stream.finish() == whole
    assert stream.push("one two") == merging.encode("one")


@given(text=TEXTS, cuts=st.lists(st.integers(0, 4), max_size=24))
def test_held_back_ids_do_not_depend_on_the_chunks(text: str, cuts: list[int]) -> None:
    """Where adding text changes no id before the last three, as with bytes, holding three back does as well."""
    stream = TextDelta(BYTES, REFERENCE_HOLD_BACK)
    ids = [token for chunk in in_chunks(text, cuts) for token in stream.push(chunk)]
    whole = BYTES.encode(text)
    assert ids == whole[: max(0, len(whole) - REFERENCE_HOLD_BACK)]
    assert ids + stream.finish() == whole


def test_a_word_that_outgrows_what_is_held_back(tmp_path: Path) -> None:
    """Its tokens merge in pairs, fours, eights: to hold three ids is not enough, to hold the word is."""
    word = "abcdefghijklmnop"
    levels = [[word[i : i + size] for i in range(0, 16, size)] for size in (1, 2, 4, 8, 16)]
    merges = [(piece[: len(piece) // 2], piece[len(piece) // 2 :]) for level in levels[1:] for piece in level]
    vocabulary = {piece: number for number, piece in enumerate(piece for level in levels for piece in level)}
    made = tokenizers.Tokenizer(tokenizers.models.BPE(vocabulary, merges))
    made.save(str(tmp_path / "tokenizer.json"))
    tokenizer = JsonTokenizer(tmp_path / "tokenizer.json")
    held, certain = TextDelta(tokenizer, REFERENCE_HOLD_BACK), TextDelta(tokenizer)
    assert [t for letter in word for t in held.push(letter)] + held.finish() == [vocabulary["abcdefgh"]]
    assert [t for letter in word for t in certain.push(letter)] + certain.finish() == [vocabulary[word]]


def test_a_word_is_given_out_when_the_next_begins() -> None:
    """No more is held back than one word, and a blank shows that it is complete only with what follows."""
    stream = TextDelta(BYTES)
    assert stream.push("Hello") == []
    assert stream.push(" ") == []
    assert stream.push("t") == []
    assert bytes(stream.push("he")) == b"Hello"
    assert bytes(stream.finish()) == b" the"


def test_nothing_pushed() -> None:
    """An empty text has no ids."""
    stream = TextDelta(BYTES)
    assert stream.push("") == [] == stream.finish()
