"""Raw text to atoms: pieces between white space, folded to plain characters, as soon as each is complete.

What is cut where depends on the text alone, never on how it arrived: an atom ends at white space, at a pause that is
asked for, at `MAX_ATOM_CHARACTERS`, or at the end of the text.
"""

import html
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from .numbers import CURRENCY_SIGNS
from .pause_tags import match_tag
from .pronunciation import SlashGroup, match_group
from .vocabulary import CALENDAR

MAX_ATOM_CHARACTERS = 200

_SPACE = re.compile(r"\s")
_BEFORE_GROUP = re.compile(r"[(\[\"'“‘*_`]{0,8}/")
_KEPT = frozenset(CURRENCY_SIGNS + "¢°×÷±–")
_FOLDS = {
    **dict.fromkeys("‘’‚‛ʼ′´", "'"), **dict.fromkeys("“”„‟″«»", '"'), **dict.fromkeys("‐‑−", "-"),
    **dict.fromkeys("—―‒", " -- "), **dict.fromkeys("•‣◦▪●○∙·", "•"), **dict.fromkeys("→⇒➜", " -- "),
    **dict.fromkeys("©®™", ""), "\u2044": "/", "²": " squared", "³": " cubed", "ß": "ss", "æ": "ae", "Æ": "AE",
    "ø": "o", "Ø": "O", "œ": "oe", "Œ": "OE", "ł": "l", "Ł": "L", "đ": "d", "Đ": "D", "ð": "d", "þ": "th", "Þ": "Th",
    "ı": "i", "≈": "~", "≤": "<=", "≥": ">=", "№": "No. ",
}  # fmt: skip
_DIGIT_DASH = re.compile(r"(?<=[\d%])–(?=[\d$£€])")
_HALF_DAY_DASH = re.compile(r"((?:^|\d)[ap]\.?m\.?)[–-](?=\d)", re.I)
_CALENDAR = "|".join(CALENDAR)
_CALENDAR_DASH = re.compile(rf"\b({_CALENDAR})–(?=(?:{_CALENDAR})\b)")
_COMPARISON = re.compile(r"^(?!<3$)([<>]=?)(?=[$€£]?\d)")
_GLUED_DASH = re.compile(r"(?<=\S)–|–(?=\S)|(?<=\w)--+(?=\w)")


@dataclass(frozen=True, slots=True)
class Atom:
    """A piece of text without white space.

    text: folded to ASCII, currency signs and a few symbols.
    source: what was written.
    opens_line: whether it is the first on its line.
    phones: set for an explicit pronunciation only.
    continues: whether it is the rest of an atom that was cut for its length.
    """

    text: str
    source: str
    opens_line: bool
    phones: tuple[str, ...] | None = None
    continues: bool = False


@dataclass(frozen=True, slots=True)
class LineBreak:
    """A newline, or the second of two that nothing but white space separates (`ends_paragraph`)."""

    ends_paragraph: bool


@dataclass(frozen=True, slots=True)
class PauseTag:
    """Silence that is asked for; to everything else in the text it is white space."""

    seconds: float


class _FoldTable(dict[int, str]):
    """Code point to plain text, filled on demand, for `str.translate`."""

    def __missing__(self, code: int) -> str:
        folded = self[code] = _fold_character(chr(code))
        return folded


def _fold_character(character: str) -> str:
    if character in _FOLDS:
        return _FOLDS[character]
    if character in _KEPT or " " < character <= "~":
        return character
    category = unicodedata.category(character)
    if category[0] in "CM" or category == "Sk":
        return ""
    compatible = unicodedata.normalize("NFKD", character)
    if category == "No" and "\u2044" in compatible:
        return " " + compatible.replace("\u2044", "/")
    if category == "So" and not ("\u2100" <= character <= "\u214f" or "\u3300" <= character <= "\u33ff"):
        return " "
    plain = "".join(part for part in compatible if " " < part <= "~" or part in _KEPT)
    return plain or " "


_FOLD_TABLE = _FoldTable()


def fold(text: str) -> str:
    """Text with accents, typographic marks and compatibility forms folded; what has no plain form becomes a space."""
    if text.isascii():
        plain = text if text.isprintable() else text.translate(_FOLD_TABLE)
    else:
        plain = text.translate(_FOLD_TABLE)
    if "&" in plain and ";" in plain:
        plain = html.unescape(plain).translate(_FOLD_TABLE)
    plain = _COMPARISON.sub(r"\1 ", plain)
    plain = _HALF_DAY_DASH.sub(r"\1 to ", plain)
    if "–" in plain:
        plain = _CALENDAR_DASH.sub(r"\1-", _DIGIT_DASH.sub("-", plain))
    return _GLUED_DASH.sub(" -- ", plain)


class Atomiser:
    """Cuts text that arrives in any chunks into atoms, line breaks and pauses."""

    __slots__ = ("_buffer", "_continues", "_newlines", "_opens_line", "_place")

    def __init__(self) -> None:
        self._buffer = ""
        self._place = 0
        self._newlines = 0
        self._opens_line = True
        self._continues = False

    def push(self, text: str, *, final: bool = False) -> Iterator[Atom | LineBreak | PauseTag]:
        """Yield what the text so far determines; `final` says that no more text will come."""
        self._buffer = self._buffer[self._place :] + text
        self._place = 0
        while self._place < len(self._buffer):
            character = self._buffer[self._place]
            if character.isspace():
                self._place += 1
                self._continues = False
                if character == "\n":
                    self._newlines += 1
                    self._opens_line = True
                    if self._newlines <= 2:
                        yield LineBreak(ends_paragraph=self._newlines == 2)
                continue
            length, special = self._measure(final)
            if not length:
                return
            if isinstance(special, PauseTag):
                self._place += length
                self._continues = False
                if special.seconds:
                    yield special
            else:
                yield from self._cut(length, special)

    def _measure(self, final: bool) -> tuple[int, SlashGroup | PauseTag | None]:
        """Length of the next piece, 0 when only more text can tell, and the pronunciation or pause that it is."""
        opening = _BEFORE_GROUP.match(self._buffer, self._place)
        if opening is not None:
            group = match_group(self._buffer, opening.end() - 1, final=final)
            if group == "more":
                return 0, None
            if isinstance(group, SlashGroup):
                before = opening.end() - 1 - self._place
                return (before, None) if before else (group.length, group)
        space = _SPACE.search(self._buffer, self._place, self._place + MAX_ATOM_CHARACTERS)
        left = min(len(self._buffer) - self._place, MAX_ATOM_CHARACTERS)
        length = left if space is None else space.start() - self._place
        bracket = self._buffer.find("[", self._place, self._place + length)
        while bracket >= 0:
            tag = match_tag(self._buffer, bracket, final=final)
            if tag == "more":
                return 0, None
            if tag is not None:
                before = bracket - self._place
                return (before, None) if before else (tag[1], PauseTag(tag[0]))
            bracket = self._buffer.find("[", bracket + 1, self._place + length)
        return (length, None) if space is not None or final or left == MAX_ATOM_CHARACTERS else (0, None)

    def _cut(self, length: int, group: SlashGroup | None) -> Iterator[Atom]:
        source = self._buffer[self._place : self._place + length]
        self._place += length
        if group is not None:
            yield Atom(source, source, self._opens_line, phones=group.phones)
            self._newlines, self._opens_line = 0, False
            return
        parts = fold(source).split()
        for part in parts:
            # A source that folds to several atoms (a dash between words) has no spelling of each but the folded one.
            yield Atom(part, source if len(parts) == 1 else part, self._opens_line, continues=self._continues)
            # Here, not above: an emoji alone opens no line and does not separate newlines.
            self._newlines, self._opens_line = 0, False
        self._continues = length == MAX_ATOM_CHARACTERS
