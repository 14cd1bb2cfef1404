"""Explicit pronunciation in the text: phones between slashes, `/T AH0 M EY1 T OW0/` or `/təˈmeɪtoʊ/`."""

import re
from dataclasses import dataclass
from typing import Literal

from .phones import CONSONANTS, PHONES, VOWELS

MAX_GROUP_CHARACTERS = 120
"""A slash group longer than this, slashes included, is ordinary text."""

_ARPABET = frozenset((*PHONES, *VOWELS))
_IPA = {
    "tʃ": "CH", "t͡ʃ": "CH", "ʧ": "CH", "dʒ": "JH", "d͡ʒ": "JH", "ʤ": "JH", "aɪ": "AY", "eɪ": "EY", "ɔɪ": "OY",
    "aʊ": "AW", "oʊ": "OW", "əʊ": "OW", "i": "IY", "ɪ": "IH", "ɨ": "IH", "e": "EH", "ɛ": "EH", "æ": "AE",
    "a": "AE", "aː": "AA", "ɑ": "AA", "ɒ": "AA", "ɔ": "AO", "o": "OW", "ʊ": "UH", "u": "UW", "ʌ": "AH",
    "ə": "AH", "ɐ": "AH", "ɜ": "ER", "ɜɹ": "ER", "ɜːɹ": "ER", "ɝ": "ER", "ɚ": "ER", "p": "P", "b": "B",
    "t": "T", "d": "D", "k": "K", "g": "G", "ɡ": "G", "f": "F", "v": "V", "θ": "TH", "ð": "DH", "s": "S",
    "z": "Z", "ʃ": "SH", "ʒ": "ZH", "h": "HH", "m": "M", "n": "N", "ŋ": "NG", "l": "L", "ɫ": "L", "r": "R",
    "ɹ": "R", "ɾ": "T", "w": "W", "j": "Y", "x": "K",
}  # fmt: skip
_STRESS = {"ˈ": "1", "'": "1", "ˌ": "2"}
_SILENT = frozenset("ː ˑ . ͡ ̩ ̯ ʔ".split())
_LONGEST_SYMBOL = max(map(len, _IPA))
_MAY_FOLLOW = re.compile(r"[\s.,;:!?)\[\]}\"'”’…*_`—–-]")


@dataclass(frozen=True, slots=True)
class SlashGroup:
    """Phones read from a slash group of `length` characters, both slashes included."""

    phones: tuple[str, ...]
    length: int


def parse_phones(inner: str) -> tuple[str, ...] | None:
    """Phones of the text between two slashes, ARPABET with spaces or IPA without, or None when it is neither."""
    pieces = inner.split()
    units = list(pieces) if pieces and all(piece in _ARPABET for piece in pieces) else _ipa_units(inner)
    if units is None or not any(unit[:2] in VOWELS for unit in units):
        return None
    if not any(unit.endswith("1") for unit in units):
        # Nobody marks the stress of "cat": the first vowel without a digit gets it.
        bare = next((place for place, unit in enumerate(units) if unit in VOWELS), None)
        if bare is not None:
            units[bare] += "1"
    return tuple(unit + "0" if unit in VOWELS else unit for unit in units)


def match_group(text: str, start: int, *, final: bool) -> SlashGroup | Literal["more"] | None:
    """The slash group at `text[start]`, a slash; None when there is none; `more` when only more text can tell.

    An answer other than `more` never changes when text is appended.
    """
    end = text.find("/", start + 1, start + MAX_GROUP_CHARACTERS)
    inner = text[start + 1 : end] if end >= 0 else text[start + 1 : start + MAX_GROUP_CHARACTERS]
    if not _may_begin_group(inner) or (end < 0 and (final or len(text) - start >= MAX_GROUP_CHARACTERS)):
        return None
    if end < 0 or (end + 1 == len(text) and not final):
        return "more"
    if end + 1 < len(text) and not _MAY_FOLLOW.match(text, end + 1):
        return None
    phones = parse_phones(inner)
    return None if phones is None else SlashGroup(phones, end + 1 - start)


def _may_begin_group(inner: str) -> bool:
    """Whether text after a slash can still become phones; it says no as early as it can, so that nothing waits."""
    if inner[:1].isspace() or "\n" in inner:
        return False
    words = inner.split()
    return not any(character.isspace() for character in inner) or all(word in _ARPABET for word in words[:-1])


def _ipa_units(inner: str) -> list[str] | None:
    """ARPABET of an IPA word; vowels carry a stress digit only where the IPA marks stress."""
    units: list[str] = []
    stress, place = "", 0
    while place < len(inner):
        if inner[place] in _STRESS:
            stress = _STRESS[inner[place]]
            place += 1
            continue
        if inner[place] in _SILENT:
            place += 1
            continue
        for length in range(_LONGEST_SYMBOL, 0, -1):
            phone = _IPA.get(inner[place : place + length])
            if phone is not None:
                break
        else:
            return None
        if phone in CONSONANTS:
            units.append(phone)
        else:
            units.append(phone + stress)
            stress = ""
        place += length
    return units
