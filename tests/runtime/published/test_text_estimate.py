"""The length of a text when spoken."""

import pytest

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.text_estimate import estimate_tokens, guess_language


@pytest.mark.parametrize(
    ("text", "language", "tokens"),
    [
        ("a" * 100, None, 87),
        ("你" * 100, None, 310),
        ("a" * 100, "English", 87),
        ("a" * 100, "fr", 90),
        ("a" * 100, " Japanese ", 220),
        ("a" * 100, "ko", 180),
        ("a" * 100, "zh", 310),
        ("", None, 1),
    ],
)
def test_frames_per_character(text: str, language: str | None, tokens: int) -> None:
    """The number of frames follows the characters, at the language's rate."""
    assert estimate_tokens(text, language) == tokens


def test_a_guessed_language() -> None:
    """One Chinese or Japanese character makes a text Chinese, everything else is English."""
    assert [guess_language(text) for text in ("hello", "hello 你", "かな", "한국", "")] == [
        "en",
        "zh",
        "zh",
        "en",
        "en",
    ]


def test_a_language_without_a_rate() -> None:
    """The languages that have one are named."""
    with pytest.raises(InputError, match="'German', only for zh, en, fr, ja, ko"):
        estimate_tokens("a", "German")
