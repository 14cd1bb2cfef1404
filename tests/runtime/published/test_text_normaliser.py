"""The published normalisers against pairs from the reference code, and what holds for any text."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicestack.runtime.published.text_normaliser import normalise_delay, normalise_nano

CASES = json.loads((Path(__file__).parents[2] / "data" / "published" / "text" / "text_cases.json").read_text("utf-8"))
BOTH = pytest.mark.parametrize("normalise", [normalise_delay, normalise_nano])
PIECES = st.sampled_from(
    "a foo_bar x.py https://a.b/c me@x.org @you u/me #tag .env -> => ← -- —— ... … 你好 明天 10 3.14 个 "
    '【 】 「 」 [ ] { } 《 》 ! ? ！ ？ 。 ， , . ; : “ ” " - * + # > '
    "1. 2) [a](b) \u200b \ue000 \U000f0000 é 한국 かな 😀".split()
    + [" ", "  ", "\n", "\r\n", "\t", "\u3000"]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=20))


@pytest.mark.parametrize(("text", "expected"), CASES["normalize_delay"])
def test_delay(text: str, expected: str) -> None:
    """Delay's normaliser gives what the reference gives."""
    assert normalise_delay(text) == expected


@pytest.mark.parametrize(("text", "expected"), CASES["normalize_nano"])
def test_nano(text: str, expected: str) -> None:
    """Nano's normaliser gives what the reference gives."""
    assert normalise_nano(text) == expected


@pytest.mark.parametrize(
    ("text", "delay", "nano"),
    [
        ("one.\ntwo", "one. two", "one. two。"),
        ("List:\n- a\n- b", "List: a。b", "List: a。b。"),
        ("他说：\n好", "他说：好", "他说：好。"),
        ('He said "Go."\nThen', 'He said "Go." Then', 'He said "Go." Then。'),
        ("Title\n---\ntext", "Title。text", "Title。text。"),
        ("> 1. first\n> 2. second", "first。second", "first。second。"),
        ("我用Python写bot.py程序", "我用 Python 写 bot.py 程序", "我用 Python 写 bot.py 程序。"),
        ("a , b ; c !", "a, b; c!", "a, b; c!"),
        ("well-known state-of-the-art", "well-known state-of-the-art", "well-known state-of-the-art。"),
        ("好，， 好！！", "好，好！", "好，好！"),
        ("A->B", "A，B", "A，B。"),
        ("a\r\nb\u2028c", "a。b。c", "a。b。c。"),
        ("about .5 or 3.14 个", "about .5 or 3.14个", "about .5 or 3.14个。"),
        ("走吧！『好』的", "走吧！好。的", '走吧！"好"的。'),
    ],
)
def test_rules(text: str, delay: str, nano: str) -> None:
    """Lines, lists, marks and mixed scripts, beyond the reference pairs."""
    assert (normalise_delay(text), normalise_nano(text)) == (delay, nano)


@BOTH
@given(text=TEXTS)
@settings(max_examples=60)
def test_any_text_becomes_one_line(normalise: Callable[[str], str], text: str) -> None:
    """No line breaks, controls, double blanks or stand-ins for protected tokens are left, whatever comes in."""
    line = normalise(text)
    assert line == line.strip()
    assert not any(character in line for character in "\n\r\t\u200b\ue000\U000f0000")
    assert "  " not in line


@BOTH
@given(words=st.lists(st.from_regex(r"[a-z]{1,8}", fullmatch=True), min_size=1, max_size=8))
@settings(max_examples=30)
def test_plain_words_stay(normalise: Callable[[str], str], words: list[str]) -> None:
    """Words between blanks are left as they are."""
    text = " ".join(words)
    assert normalise(text).removesuffix("。") == text


@given(text=TEXTS)
@settings(max_examples=60)
def test_nano_closes_every_text(text: str) -> None:
    """A text that is not empty ends in a mark, perhaps inside quotes, and has no brackets that Nano cannot read."""
    line = normalise_nano(text)
    assert not line or line.rstrip("\"'”’」』）)]】〗}》")[-1:] in {*".!?。！？；;：:，,、…~～—-", ""}


@BOTH
@pytest.mark.parametrize("piece", ["a.", "1-", "-", ".", "a-b ", "【", "[a](", "《", "- ", "!?", "你 ", "@", "# ", ">"])
def test_long_texts_take_linear_time(normalise: Callable[[str], str], piece: str) -> None:
    """No pattern backtracks: 40,000 repetitions of anything are normalised at once."""
    began = time.perf_counter()
    normalise(piece * 40_000)
    normalise("[a](" + piece.strip() * 40_000)
    assert time.perf_counter() - began < 2
