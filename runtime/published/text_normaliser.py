"""The text normalisers of the published checkpoints: what Delay and Nano do to a text before they tokenise it.

Both work line by line: markup goes, tokens that must stay as they are (addresses, file names, tags) are set aside as
one private-use character each, dashes, arrows and dots become marks, blanks are put right, the tokens come back. The
lines are then joined to one. What they keep, and how they close a line, differs: `_Style`.
"""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

CJK = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Chinese characters and Japanese syllables, as the inside of a character class."""
_HELD_FIRST, _HELD_LAST = 0xF0000, 0xFFFFD
_HELD = f"{chr(_HELD_FIRST)}-{chr(_HELD_LAST)}"
"""The private-use characters that stand for protected tokens; the text itself has none left by then."""

_NEWLINES = re.compile("\r\n|[\r\v\f\x85\u2028\u2029]")
_LINK = re.compile(r"!?\[([^\[\]]*)\]\(\s*([^\s()]+)(?:\s[^()]*)?\)")
_LINE_SIGNS = re.compile(r"(?:#{1,6}\s+|>+\s*|[-*+]\s+|\d{1,3}[.)]\s+)+")
_ARROW = re.compile(r"(?<![-=])[-=]+>|<-+|[\u2190-\u21ff\u2794\u2798-\u27be\u27f0-\u27ff]")
_DASHES = re.compile("[-\u2010-\u2015\u2500]{2,}")
_DOTS = re.compile(r"\.{3,}|…+")

_ADDRESSES = (
    r"(?:https?|ftp)://[!-~]*[A-Za-z0-9/_~=#&-]",
    r"(?<![A-Za-z0-9_.+-])[A-Za-z0-9_.+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+",
    r"(?<![A-Za-z0-9_])@[A-Za-z0-9_]+",
    r"(?<![A-Za-z0-9_/])[ur]/[A-Za-z0-9_]+",
    r"(?<![A-Za-z0-9_])#[A-Za-z0-9_]+",
    r"(?<!\S)\.[A-Za-z0-9][A-Za-z0-9._-]*",
)
# Letters with . / : + - ; here as above, starting only where nothing of the kind stands before keeps the search linear.
_FILE_START = r"(?<![A-Za-z0-9_./:+-])(?=[A-Za-z0-9_./:+-]*[A-Za-z])[A-Za-z0-9_]+"
_FILE_STRICT = _FILE_START + r"(?:[./:+-][A-Za-z0-9_]+)+"
_FILE_LOOSE = _FILE_START + r"[./:+-][A-Za-z0-9_./:+-]*"

_SPACING: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\s+"), " "),
    (re.compile(f"(?<=[{CJK}]) (?=[{CJK}0-9])|(?<=[0-9]) (?=[{CJK}])"), ""),
    (re.compile(f"(?<=[{CJK}])(?=[A-Za-z{_HELD}])|(?<=[A-Za-z{_HELD}])(?=[{CJK}])"), " "),
    (re.compile(r" (?=[,.;!?])"), ""),
    (re.compile(r" ?([，。！？；：、]) ?"), r"\1"),
)
_REPEATED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[.。]{2,}"), "。"),
    (re.compile(r"[,，]{2,}"), "，"),
    (re.compile(r"[;；]{2,}"), "；"),
    (re.compile(r"、{2,}"), "、"),
)
_EXCLAIMED = re.compile(r"[!！?？]{2,}")
_LONE_TITLE = re.compile(r"(^|[.。!！?？])《([^《》]*)》(?=$|[.。!！?？])")

_OPENING_BRACKET = re.compile(
    r"(^|[.。!！?？;；]\s*)(?:【([^【】]*)】|〖([^〖〗]*)〗|『([^『』]*)』|「([^「」]*)」)\s*[，。：,.:]?"
)
_BRACKETS = re.compile(r"[\[{【〖『「]([^\[\]{}【】〖〗『』「」]*)[\]}】〗』」]")

_CLOSERS = "\"'”’」』）)]】〗}》"
_LINE_ENDS = ".!?。！？；;：:，,、…~～—-"


@dataclass(frozen=True, slots=True)
class _Style:
    """Where the two normalisers differ.

    Attributes:
        protected: the tokens that are left as they are.
        brackets: what becomes of brackets.
        early_arrows: arrows are read before tokens are protected ("A->" would pass for a file name).
        underscores: an underscore outside a protected token stays.
        closed: the last line, too, gets a final mark.
    """

    protected: re.Pattern[str]
    brackets: Callable[[str], str]
    early_arrows: bool
    underscores: bool
    closed: bool


def _bracketed_sentence(text: str) -> str:
    """A bracket that opens a sentence becomes a sentence of its own; others stay."""
    return _OPENING_BRACKET.sub(lambda match: match[1] + "".join(filter(None, match.groups()[1:])).strip() + "。", text)


def _quoted(text: str) -> str:
    """Every bracket becomes ASCII quotes, which takes the meaning from [S1] and [pause 1.5s]: Nano knows neither."""
    return _BRACKETS.sub(r'"\1"', text)


_DELAY = _Style(
    re.compile("|".join((*_ADDRESSES, _FILE_STRICT))),
    _bracketed_sentence,
    early_arrows=False,
    underscores=True,
    closed=False,
)
_NANO = _Style(
    re.compile("|".join((*_ADDRESSES, _FILE_LOOSE))),
    _quoted,
    early_arrows=True,
    underscores=False,
    closed=True,
)


def normalise_delay(text: str) -> str:
    """One line of text as MossTTSDelay was trained on; [S1], [pause 1.5s] and {event} stay as they are."""
    return _normalise(text, _DELAY)


def normalise_nano(text: str) -> str:
    """One line of text as MossTTSNano expects; it ends in a mark, and brackets are quotes."""
    return _normalise(text, _NANO)


def _normalise(text: str, style: _Style) -> str:
    lines = [_normalise_line(line, style) for line in _without_controls(text).split("\n")]
    lines = [line for line in lines if line]
    # A ruled line is nothing to be said, unless it is all there is.
    lines = [line for line in lines if any(character.isalnum() for character in line)] or lines[:1]
    lines[:-1] = [_closed(line) for line in lines[:-1]]
    joined = "".join(line if line[-1] in "。！？；：，、" else line + " " for line in lines).rstrip()
    return _closed(joined) if style.closed and joined else joined


def _without_controls(text: str) -> str:
    """Line breaks of one kind, every other blank a space; no control, zero-width, private or surrogate characters."""
    text = _NEWLINES.sub("\n", text)
    return "".join(_plain(character) for character in text)


def _plain(character: str) -> str:
    if character == "\n" or not (category := unicodedata.category(character)).startswith(("C", "Z")):
        return character
    if character == "\t" or category == "Zs":
        return " "
    return character if category == "Cn" else ""


def _normalise_line(line: str, style: _Style) -> str:
    line = _LINK.sub(r"\1 \2", line).strip()
    signs = _LINE_SIGNS.match(line)
    line = line[signs.end() :] if signs else line
    if style.early_arrows:
        line = _ARROW.sub("，", line)
    line, held = _protect(line, style.protected)
    line = _DOTS.sub("。", _ARROW.sub("，", line))
    line = style.brackets(_DASHES.sub("。", line))
    line = line if style.underscores else line.replace("_", " ")
    for pattern, replacement in (*_SPACING, *_REPEATED):
        line = pattern.sub(replacement, line)
    line = _EXCLAIMED.sub(_one_exclamation, line.strip())
    return _restore(_LONE_TITLE.sub(r"\1\2", line), held)


def _protect(line: str, pattern: re.Pattern[str]) -> tuple[str, list[str]]:
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        if _HELD_FIRST + len(held) > _HELD_LAST:
            return match[0]
        held.append(match[0])
        return chr(_HELD_FIRST + len(held) - 1)

    return pattern.sub(hold, line), held


def _restore(line: str, held: list[str]) -> str:
    return re.sub(f"[{_HELD}]", lambda match: held[ord(match[0]) - _HELD_FIRST], line)


def _one_exclamation(match: re.Match[str]) -> str:
    asks = "？" if any(mark in match[0] for mark in "?？") else ""
    return asks + ("！" if any(mark in match[0] for mark in "!！") else "")


def _closed(line: str) -> str:
    """The line with a full stop, unless it ends in a mark, perhaps inside closing quotes."""
    return line if line.rstrip(_CLOSERS).endswith(tuple(_LINE_ENDS)) else line + "。"
