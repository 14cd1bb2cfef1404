"""How long a text will be when spoken: the duration field of a prompt, from the number of characters."""

import re

from ..errors import InputError
from .text_normaliser import CJK

TOKENS_PER_CHARACTER = {"zh": 3.0984, "en": 0.8673, "fr": 0.9, "ja": 2.2, "ko": 1.8}
"""Frames (12.5 a second) per character of text."""
_NAMES = {"chinese": "zh", "english": "en", "french": "fr", "japanese": "ja", "korean": "ko"}
_CJK = re.compile(f"[{CJK}]")


def guess_language(text: str) -> str:
    """`zh` for a text with any Chinese or Japanese character, else `en`."""
    return "zh" if _CJK.search(text) else "en"


def estimate_tokens(text: str, language: str | None = None) -> int:
    """The frames a text will take, at least 1.

    Args:
        text: the text to speak.
        language: a code or an English name (`fr`, `French`); guessed from the characters when None.
    """
    asked = guess_language(text) if language is None else language.strip().lower()
    code = _NAMES.get(asked, asked)
    if code not in TOKENS_PER_CHARACTER:
        known = ", ".join(TOKENS_PER_CHARACTER)
        raise InputError(f"no speaking rate is known for language {language!r}, only for {known}; give the duration")
    return max(1, round(len(text) * TOKENS_PER_CHARACTER[code]))
