"""The phoneme inventory of the embedded voice and its text units.

A text *unit* is a phone (ARPABET, vowels with a stress digit), a letter, a prosody mark or the end mark.
Phones and letters exist twice: the first unit of a word has an id of its own, so word onsets are part of
the text and need no separate token. A text *token*, what one backbone row takes, is up to two units of one
word: at two units a token there are about seven tokens per second of speech, so a feed of one token per
80 ms frame never falls behind.

This module knows nothing of spelling; that is `lexicon.py`.
"""

from collections.abc import Sequence

CONSONANTS = (
    *("B", "CH", "D", "DH", "F", "G", "HH", "JH", "K", "L", "M", "N"),
    *("NG", "P", "R", "S", "SH", "T", "TH", "V", "W", "Y", "Z", "ZH"),
)
VOWELS = (
    *("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER"),
    *("EY", "IH", "IY", "OW", "OY", "UH", "UW"),
)
PHONES = (*CONSONANTS, *(vowel + stress for vowel in VOWELS for stress in "012"))
LETTERS = tuple("abcdefghijklmnopqrstuvwxyz'")
MARKS = (",", ".", "?", "!")
NONE, BEGIN, END = "<none>", "<begin>", "<end>"

_INSIDE = (*PHONES, *LETTERS)
UNITS: tuple[str, ...] = (NONE, BEGIN, END, *MARKS, *_INSIDE, *("^" + unit for unit in _INSIDE))
"""Every unit by id. `^` marks the first unit of a word."""

UNIT_IDS = {unit: index for index, unit in enumerate(UNITS)}

Token = tuple[int, int]
"""Two unit ids; the second is that of `NONE` when the token holds one unit."""

NO_TOKEN: Token = (UNIT_IDS[NONE], UNIT_IDS[NONE])
END_TOKEN: Token = (UNIT_IDS[END], UNIT_IDS[NONE])


def begin_token(closing_mark: str = "") -> Token:
    """The token a sentence begins with; it tells the mark of `MARKS` that will close it, if that is given."""
    return UNIT_IDS[BEGIN], UNIT_IDS[closing_mark or NONE]


def mark_token(mark: str) -> Token:
    """The token of one prosody mark of `MARKS`."""
    return UNIT_IDS[mark], UNIT_IDS[NONE]


def word_tokens(units: Sequence[str]) -> list[Token]:
    """The tokens of one word given as phones or letters, two units a token, the first unit marked as initial."""
    ids = [UNIT_IDS[unit if place else "^" + unit] for place, unit in enumerate(units)]
    if len(ids) % 2:
        ids.append(UNIT_IDS[NONE])
    return list(zip(ids[0::2], ids[1::2], strict=True))
