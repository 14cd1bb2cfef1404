"""One written piece (letters, or letters mixed with digits and symbols) to the words that are said for it."""

import re
from collections.abc import Container

from .edges import Around
from .lexicon import Lexicon
from .numbers import Words, cardinal, letters
from .readings import read_number
from .vocabulary import PRONOUNCED, SPELLED, SYMBOLS, WORDLESS

MAX_WORD_LETTERS = 24
"""Longer runs of letters are no word; they are said in parts of this length."""

_PIECES = re.compile(r"\d+(?:st|nd|rd|th)(?![a-zA-Z])|\d+|[A-Za-z][A-Za-z']*|'[a-z]+|(?<!\.)\.(?=\w)|[&@+=%×÷±]")
_NUMBER_PIECE = re.compile(r"[$€£]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?%?(?:st|nd|rd|th)?|'?\d{1,3}0'?s")
_INITIALS = re.compile(r"[A-Z]{1,3}(?:&[A-Z]{1,3})+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_VOWELS = frozenset("aeiouy")
_WEB = re.compile(r"(?:https?://|ftp://|mailto:)?(?:www\.)?(?P<rest>[^\s?#]+)", re.I)
_IS_WEB = re.compile(r"(?:https?|ftp)://\S|mailto:\S|www\.\S|[\w.+-]+@[\w-]+\.\w", re.I)
_IS_DOMAIN = re.compile(r"[\w-]+(?:\.[\w-]+)*\.(?:com|org|net|edu|gov|io|ai|dev|co|uk|us|info|app)(?:/\S*)?", re.I)
_WEB_PIECES = re.compile(r"\d+|[A-Za-z]+|[.@/_-]")
_WEB_SYMBOLS = {".": "dot", "@": "at", "/": "slash", "_": "underscore", "-": "dash"}


def is_web(text: str) -> bool:
    """Whether the text is a URL, a domain or an e-mail address."""
    return _IS_WEB.match(text) is not None or _IS_DOMAIN.fullmatch(text) is not None


def _beside_digit(match: re.Match[str]) -> bool:
    return match.string[: match.start()][-1:].isdigit() or match.string[match.end() :][:1].isdigit()


class Speller:
    """Decides between word, letter names and parts; `known` holds the lower-case words that need no spelling."""

    __slots__ = ("_known",)

    def __init__(self, known: Container[str] | None) -> None:
        self._known = known

    def web(self, text: str) -> Words:
        """A URL or e-mail address without its scheme and query: `example dot com slash help`."""
        match = _WEB.match(text)
        words: Words = []
        for piece in _WEB_PIECES.findall((match["rest"] if match else text).rstrip("/.")):
            if piece in _WEB_SYMBOLS:
                words.append(_WEB_SYMBOLS[piece])
            else:
                words += cardinal(piece) if piece.isdigit() else self.word(piece, shouting=False)
        return words

    def mixed(self, text: str, *, shouting: bool) -> Words:
        """Anything written without white space: `6-digit`, `mid-1990s`, `AT&T`, `GPT4`, `node.js`, `and/or`."""
        if _INITIALS.fullmatch(text):
            return [word for part in text.split("&") for word in ("and", *letters(part))][1:]
        words: Words = []
        for part in re.split(r"[-_/\\]", text):
            if part and _NUMBER_PIECE.fullmatch(part):
                words += read_number(part, Around()) or []
                continue
            for match in _PIECES.finditer(part):
                piece = match[0]
                if piece[0].isdigit():
                    words += read_number(piece, Around("than")) or []
                elif piece == ".":
                    words += ["dot"] if words else []
                elif len(piece) == 2 and piece.isupper() and _beside_digit(match):
                    words += letters(piece)
                else:
                    words += SYMBOLS[piece].split() if piece in SYMBOLS else self.word(piece, shouting=shouting)
        return words

    def word(self, piece: str, *, shouting: bool) -> Words:
        """Letters and apostrophes only; `shouting` says that capitals mean nothing here."""
        piece = piece.rstrip("'")
        lower = piece.lower()
        if len(piece) == 1:
            return [piece.upper() if piece != "a" and lower != "i" else lower] if piece.isalpha() else []
        if (
            piece.endswith(("'s", "s"))
            and len(stem := piece.removesuffix("s").removesuffix("'")) > 1
            and stem.isupper()
        ):
            return self._acronym_with_s(stem, "'" in piece)
        if len(piece) > MAX_WORD_LETTERS and not self._knows(lower):
            return [lower[place : place + MAX_WORD_LETTERS] for place in range(0, len(lower), MAX_WORD_LETTERS)]
        if self._is_spelled(piece, shouting):
            return letters(piece)
        if self._known is not None and not self._knows(lower) and len(humps := _HUMP.split(piece)) > 1:
            return [word for hump in humps for word in self.word(hump, shouting=False)]
        return [lower]

    def _acronym_with_s(self, stem: str, possessive: bool) -> Words:
        if not self._is_spelled(stem, False):
            return [stem.lower() + ("'s" if possessive else "s")]
        return [*letters(stem[:-1]), stem[-1].lower() + "'s"]

    def _is_spelled(self, piece: str, shouting: bool) -> bool:
        lower = piece.lower()
        if "'" in piece or lower in WORDLESS or lower in PRONOUNCED:
            return False
        if piece.isupper() and lower in SPELLED:
            return not shouting
        if self._knows(lower):
            return False
        if not _VOWELS.intersection(lower):
            return True
        return self._known is not None and piece.isupper() and len(piece) <= 5 and not shouting

    def is_acronym(self, piece: str) -> bool:
        """Whether these capitals are no shouting: they are always written so."""
        lower = piece.lower()
        return lower in PRONOUNCED or (isinstance(self._known, Lexicon) and self._known.spells(lower))

    def _knows(self, lower: str) -> bool:
        return self._known is not None and lower in self._known
