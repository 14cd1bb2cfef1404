"""What became of the words of a text in what a recogniser heard: right, wrong or missing, and words nobody meant."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, chain, groupby, pairwise

from voicestack.runtime.text import spoken_form

from .speech import SpokenWord
from .word_errors import Pair, align, heard_form

_CONTRACTIONS = {
    "can't": "can not", "won't": "will not", "n't": " not", "'re": " are", "'ll": " will", "'ve": " have", "'m": " am",
    "'s": " is", "'d": " would",
}  # fmt: skip


class Fate(Enum):
    """What became of a word that was meant."""

    RIGHT = "right"
    WRONG = "wrong"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Hearing:
    """What was heard of a text: the fate of each of its words, and words nobody meant, by the word they come before."""

    fates: tuple[Fate, ...]
    repeated: dict[int, int]
    added: dict[int, int]

    @property
    def missing(self) -> list[int]:
        """The places of the words that are missing."""
        return [place for place, fate in enumerate(self.fates) if fate is Fate.MISSING]


def hearing(text: str, heard: str, said: Collection[int] = ()) -> Hearing:
    """What became of the words of a text in what was heard.

    Both are compared as spoken, contractions written out, along an alignment with the fewest edits. Between words that
    agree lie blocks that do not. A block that has the same letters on both sides is right ("seat belts", "seatbelts").
    Words of a block are missing only if no more than half of its letters were heard, else they were run together, and
    are wrong. In the same way words are added only to a block that at least doubled; they are repeated if the same
    words were heard just before or after them.

    said: places of words that were said after all, as another judge knows: they are wrong and not missing.
    """
    meant = spoken_form(text)
    pairs = align(_plain(meant), _plain(heard_form(meant.split(), heard)))
    spoken = [pair[1] for pair in pairs]
    fates: list[Fate] = []
    repeated: dict[int, int] = {}
    added: dict[int, int] = {}
    place = 0
    for agree, block in groupby(pairs, key=lambda pair: pair[0] == pair[1]):
        rows = list(block)
        gap, extra = len(fates), [heard for meant, heard in rows if meant is None and heard is not None]
        fates += [Fate.RIGHT] * len(rows) if agree else _fates(rows)
        if not agree and extra and 2 * _letters(rows, 0) <= _letters(rows, 1):
            around = [word for word in spoken[:place] if word], [word for word in spoken[place + len(rows) :] if word]
            again = extra in (around[0][-len(extra) :], around[1][: len(extra)])
            (repeated if again else added)[gap] = len(extra)
        place += len(rows)
    known = [Fate.WRONG if fate is Fate.MISSING and word in said else fate for word, fate in enumerate(fates)]
    return Hearing(tuple(known), repeated, added)


def places_of(text: str, words: Sequence[SpokenWord]) -> list[range] | None:
    """The places `hearing` gives to what each spoken word of a text says; None if the words are not those of the text.

    A contraction is one word as spoken, and two there.
    """
    plain = [_plain(spoken_form(word.text)) for word in words]
    if list(chain.from_iterable(plain)) != _plain(spoken_form(text)):
        return None
    return [range(begin, end) for begin, end in pairwise(accumulate(map(len, plain), initial=0))]


def _plain(spoken: str) -> list[str]:
    for short, full in _CONTRACTIONS.items():
        spoken = spoken.replace(short, full)
    return spoken.split()


def _fates(rows: list[Pair]) -> list[Fate]:
    """Of the meant words of a block that does not agree."""
    meant, heard = ("".join(word for pair in rows if (word := pair[side])) for side in (0, 1))
    if meant == heard:
        return [Fate.RIGHT for pair in rows if pair[0]]
    lost = Fate.MISSING if 2 * len(heard) <= len(meant) else Fate.WRONG
    return [Fate.WRONG if pair[1] else lost for pair in rows if pair[0]]


def _letters(rows: list[Pair], side: int) -> int:
    return sum(len(pair[side] or "") for pair in rows)
