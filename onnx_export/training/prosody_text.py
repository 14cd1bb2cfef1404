"""The sentences whose melody is measured, from `prosody.txt`, and the forms in which each of them is said."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

TEXTS = Path(__file__).with_name("prosody.txt")
MARKED = {"statement": ".", "question": "?", "exclamation": "!"}
"""How the same words are said three times."""


@dataclass(frozen=True, slots=True)
class Line:
    """One text to say.

    kind: what it is said as. index: the number of its sentence in that section. breaks: words behind which a mark
    stands within the text, or is left out, counted from 0.
    """

    kind: str
    index: int
    text: str
    breaks: tuple[int, ...]


def lines() -> list[Line]:
    """Everything to be said, in order."""
    return [line for section, texts in _sections() for line in _forms(section, texts)]


def _sections() -> Iterator[tuple[str, list[str]]]:
    for part in TEXTS.read_text("utf-8").split("[")[1:]:
        section, _, body = part.partition("]")
        yield section, body.strip().splitlines()


def _forms(section: str, texts: list[str]) -> Iterator[Line]:
    for index, text in enumerate(texts):
        breaks = tuple(place for place, word in enumerate(text.split()[:-1]) if not word[-1].isalpha())
        match section:
            case "frames":
                yield from (Line(kind, index, text + mark, breaks) for kind, mark in MARKED.items())
            case "commas":
                yield Line("comma", index, text, breaks)
                yield Line("no comma", index, text.replace(",", ""), breaks)
            case _:
                yield Line(section, index, text, breaks)
