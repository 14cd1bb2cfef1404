"""Word errors between a text and what a recogniser heard, both in their spoken forms."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from voicestack.runtime.text import spoken_form

Pair = tuple[str | None, str | None]
"""A word that was meant and the one that was heard for it."""

_UNSURE = re.compile(r"(?<![\d$.,:-])(?:\d[\d-]+\d(?![,.:]?\d)|\d{1,2}\.\d\d(?![.:]?\d))|\b[Aa](?:lright|ll right)\b")
"""A whole number of three digits or more, what looks like a part of a phone number, a number that may be a time, and a
phrase with two spellings."""


@dataclass(frozen=True, slots=True)
class WordErrors:
    """Edits between what was meant and what was heard."""

    words: int
    substitutions: int
    deletions: int
    insertions: int
    longest_deletion: int
    longest_insertion: int

    @property
    def edits(self) -> int:
        """All errors together."""
        return self.substitutions + self.deletions + self.insertions


def align(meant: Sequence[str], heard: Sequence[str]) -> list[Pair]:
    """A Levenshtein alignment with the fewest edits, in order; None where a word was left out or added."""
    rows, columns = len(meant) + 1, len(heard) + 1
    cost = np.zeros((rows, columns), np.int64)
    cost[:, 0], cost[0, :] = np.arange(rows), np.arange(columns)
    for i in range(1, rows):
        for j in range(1, columns):
            change = cost[i - 1, j - 1] + (meant[i - 1] != heard[j - 1])
            cost[i, j] = min(change, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    i, j = rows - 1, columns - 1
    pairs: list[Pair] = []
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (meant[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((meant[i], heard[j]))
        elif i and cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
            pairs.append((meant[i], None))
        else:
            j -= 1
            pairs.append((None, heard[j]))
    return pairs[::-1]


def heard_form(words: Sequence[str], heard: str) -> str:
    """The spoken form of what was heard; a number is read digit by digit, or as a time, if that is closer to `words`.

    A recogniser writes "four eight two nine" as 4829 or 48-29, "four thirty" as 430 or 4.30, and "all right" as one
    word or two, which does not tell what was said.
    """
    for unsure in reversed([*_UNSURE.finditer(heard)]):
        wholes = [heard[: unsure.start()] + reading + heard[unsure.end() :] for reading in _readings(unsure[0])]
        heard = min(wholes, key=lambda whole: _edits(words, spoken_form(whole)))
    return spoken_form(heard)


def _readings(written: str) -> tuple[str, ...]:
    """What may have been said where a recogniser wrote this."""
    if written[0] in "Aa":
        return "all right", "alright"
    if "." in written:
        return written, written.replace(".", ":")
    return written, " ".join(re.findall(r"\d", written)), f"{written[:-2]}:{written[-2:]}"


def word_errors(meant: str, heard: str) -> WordErrors:
    """Edits of an alignment of the spoken forms; the longest runs tell skips and repeats."""
    words = spoken_form(meant).split()
    runs = [(kind, len(list(run))) for kind, run in groupby(map(_kind, align(words, heard_form(words, heard).split())))]
    of_kind = {kind: [length for k, length in runs if k == kind] for kind in ("changed", "left out", "added")}
    return WordErrors(
        len(words),
        substitutions=sum(of_kind["changed"]),
        deletions=sum(of_kind["left out"]),
        insertions=sum(of_kind["added"]),
        longest_deletion=max(of_kind["left out"], default=0),
        longest_insertion=max(of_kind["added"], default=0),
    )


def _edits(words: Sequence[str], heard: str) -> int:
    return sum(meant != said for meant, said in align(words, heard.split()))


def _kind(pair: Pair) -> str:
    meant, heard = pair
    if meant == heard:
        return "right"
    return "left out" if heard is None else "added" if meant is None else "changed"
