"""What the Nano family does to a text: hyphens before a Chinese number reader, a language guess, and chunks.

Nano speaks well for some 50 to 75 text tokens; a longer text is cut into chunks that are spoken one after another.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise

from ..errors import InputError
from .text_normaliser import CJK

MODEL_CHUNK_TOKENS = 50
"""The budget of a chunk in the model's own code."""
APP_CHUNK_TOKENS = 75
"""The budget of a chunk in the published command line and ONNX applications."""

SHORT_CHUNK_WORDS = 4
SHORT_PAUSE_S, LONG_PAUSE_S = 0.40, 0.24
"""The silence after a chunk of up to SHORT_CHUNK_WORDS words, and after a longer one."""

_HAN = re.compile("[\u3400-\u9fff]")
_CJK = re.compile(f"[{CJK}]")
_CJK_OR_MARK = re.compile(f"[{CJK}\u3000-\u303f\uff00-\uffef]")
_HYPHEN = re.compile(r"(?<!\s)(\s*)[-\u2010\u2011](\s*)")
_CLOSERS = "\"'”’)]}」』）】》"
# A mark between letters or digits (3.14, example.com, 10:30, 1,000) cuts nothing.
_INSIDE = r"(?<=[A-Za-z0-9]){mark}(?=[A-Za-z0-9])"
_SENTENCE = re.compile(rf"(?:(?!{_INSIDE.format(mark='[.]')})[.!?。！？；;])+[{re.escape(_CLOSERS)}]*")
_CLAUSE = re.compile(rf"(?:(?!{_INSIDE.format(mark='[,:]')})[,，、；;：:])+[{re.escape(_CLOSERS)}]*")
_MAY_CUT = re.compile(rf"(?!{_INSIDE.format(mark='[.,:]')})[.!?。！？；;,，、：: ]")
_CUT_REACH = 25
"""How far a cut inside a clause may move back, in characters, to a mark or blank."""


@dataclass(frozen=True, slots=True)
class NanoChunk:
    """A piece of text that is spoken in one go, and the silence that follows it when another comes."""

    text: str
    pause_s: float


def nano_language(text: str) -> str:
    """`zh` or `en`: which number reader a text needs; a text without letters counts as Chinese."""
    if _HAN.search(text):
        return "zh"
    return "en" if re.search("[A-Za-z]", text) else "zh"


def rewrite_hyphens(text: str) -> str:
    """Hyphens of a Chinese text made clear: kept between digits and as minus, a comma between characters, else a blank.

    A Chinese number reader would say every hyphen as minus.
    """
    return _HYPHEN.sub(_read_hyphen, text).strip()


def _read_hyphen(match: re.Match[str]) -> str:
    before, after = match.string[: match.start()][-1:], match.string[match.end() :][:1]
    if _is_digit(before) and _is_digit(after):
        return "-"
    if _is_digit(after) and not match[2] and not (before.isascii() and before.isalnum()):
        return "-" if _CJK.match(before) else match[1] + "-"
    return "，" if _CJK.match(before) and _CJK.match(after) else " "


def _is_digit(character: str) -> bool:
    return character.isascii() and character.isdigit()


def chunk_text(text: str, max_tokens: int, count: Callable[[str], int]) -> list[NanoChunk]:
    """The chunks a text is spoken in; a text that fits one chunk is left just as it is.

    Args:
        text: the text to speak, normalised.
        max_tokens: how many text tokens a chunk should have; a closing mark may exceed it.
        count: how many tokens a text has.
    """
    chunks = split_text(text, max_tokens, count)
    chunks = chunks if len(chunks) > 1 else [text] if text.strip() else []
    return [NanoChunk(chunk, pause_after(chunk)) for chunk in chunks]


def pause_after(chunk: str) -> float:
    """The silence after a chunk, in seconds."""
    return SHORT_PAUSE_S if len(chunk.split()) <= SHORT_CHUNK_WORDS else LONG_PAUSE_S


def split_text(text: str, max_tokens: int, count: Callable[[str], int]) -> list[str]:
    """The prepared text cut at sentences, then clauses, then blanks, neighbours joined while they fit the budget."""
    if max_tokens < 1:
        raise InputError(f"max_tokens is {max_tokens}; a chunk needs at least 1 token")
    pieces: list[str] = []
    for sentence in _cut_after(_SENTENCE, _prepared(text)):
        for clause in [sentence] if count(sentence) <= max_tokens else _cut_after(_CLAUSE, sentence):
            pieces += _cut_to_budget(clause, max_tokens, count)
    return _joined(pieces, max_tokens, count)


def _prepared(text: str) -> str:
    """Blanks collapsed, the first letter a capital, a mark at the end."""
    text = " ".join(text.split())
    if not text:
        return ""
    if _CJK.search(text):
        return text if text[-1] in ".!?。！？；;" else text + "。"
    text = text[0].upper() + text[1:]
    return text + "." if text[-1].isalnum() else text


def _cut_after(mark: re.Pattern[str], text: str) -> list[str]:
    ends = [0, *(match.end() for match in mark.finditer(text)), len(text)]
    pieces = (text[start:end].strip() for start, end in pairwise(ends))
    return [piece for piece in pieces if piece]


def _cut_to_budget(clause: str, max_tokens: int, count: Callable[[str], int]) -> Iterable[str]:
    """Pieces of a clause that fit the budget, cut behind a mark or blank where one is near."""
    while clause:
        cut = fitting = _longest_fitting(clause, max_tokens, count)
        if fitting < len(clause):
            cut = next((place + 1 for place in _near(fitting, len(clause)) if _MAY_CUT.match(clause, place)), fitting)
        yield clause[:cut].strip()
        clause = clause[cut:].strip()


def _near(fitting: int, length: int) -> range:
    """Places to look for a mark or blank, last first; the one right behind the fitting prefix counts too."""
    return range(min(fitting, length - 1), max(0, fitting - _CUT_REACH), -1)


def _longest_fitting(text: str, max_tokens: int, count: Callable[[str], int]) -> int:
    """The length of the longest prefix within the budget, at least one character; by doubling, then bisection."""
    low, high = 1, 2
    while high <= len(text) and count(text[:high]) <= max_tokens:
        low, high = high, 2 * high
    high = min(high, len(text) + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(text[:middle]) <= max_tokens else (low, middle)
    return low


def _joined(pieces: Iterable[str], max_tokens: int, count: Callable[[str], int]) -> list[str]:
    """Neighbours joined while the sum of their counts is within the budget, counted anew after each join."""
    chunks: list[str] = []
    last_count = 0
    for piece in pieces:
        piece_count = count(piece)
        if chunks and last_count + piece_count <= max_tokens:
            chunks[-1] = _join(chunks[-1], piece)
            last_count = count(chunks[-1])
        else:
            chunks.append(piece)
            last_count = piece_count
    return chunks


def _join(left: str, right: str) -> str:
    between = "" if _CJK_OR_MARK.match(left[-1]) or _CJK_OR_MARK.match(right[0]) else " "
    return left + between + right
