"""Spelling to phones: the CMU pronouncing dictionary, with unstressed function words."""

import lzma
from bisect import bisect_left
from collections.abc import Iterator
from pathlib import Path
from string import ascii_lowercase

from ..errors import BundleError
from .phones import PHONES, VOWELS

_REMEDY = "install the bundle again"
_UNSTRESSED = frozenset(
    "a an the of to and or but nor in on at by for from with as if than that is are was were be been am "
    "has have had do does did can could will would shall should may might must it its he she we you they "
    "i me him her us them my your his our their this there so".split()
)
_SPOKEN = {"a": "AH0", "to": "T UW0", "i": "AY0", "and": "AE0 N D", "or": "AO0 R", "for": "F AO0 R"}
_KNOWN_PHONES = frozenset(PHONES)
LETTER_NAMES = {"a": ("EY1",)}
"""Letters whose name is not what the lexicon says of the one-letter word."""


def unstressed(phones: tuple[str, ...]) -> tuple[str, ...]:
    """The same phones with every vowel's stress digit set to 0."""
    return tuple(phone[:2] + "0" if phone[:2] in VOWELS else phone for phone in phones)


class Lexicon:
    """A read-only map from a lower-case word to its phones; parsed lazily, one word at a time.

    The lines stay as they are, and a word is found by halving: to take all of them apart would be a tenth of the time
    to the first sound of a fresh process. BundleError names the file (`source`) when it is no lexicon: at once, or for
    a phone that does not exist when its word is first looked up.
    """

    def __init__(self, text: str, source: str = "lexicon") -> None:
        self._source = source
        self._lines = sorted(text.splitlines())  # As long as it takes to see that they are sorted already.
        # One in each: all have one, and there are no more. To count them line by line takes three times as long.
        if text.count("\t") != len(self._lines) or not all("\t" in line for line in self._lines):
            line = next(line for line in self._lines if line.count("\t") != 1)
            raise self._broken(f"{line!r}, a line without a tab or with several")
        for letter in ascii_lowercase:
            if letter not in self:
                raise self._broken(f"no entry for the letter {letter!r}")
            self.letter_name(letter)

    @classmethod
    def load(cls, path: Path) -> "Lexicon":
        """Read an xz file of `word<TAB>PH ON EM ES` lines, UTF-8, one pronunciation a word."""
        try:
            text = lzma.decompress(path.read_bytes()).decode()
        except (OSError, lzma.LZMAError, UnicodeDecodeError) as error:
            raise BundleError(f"{path}: not readable as an xz file of UTF-8 text ({error}); {_REMEDY}") from error
        return cls(text, str(path))

    def __contains__(self, word: object) -> bool:
        return isinstance(word, str) and self._entry(word) is not None

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[str]:
        return (line.partition("\t")[0] for line in self._lines)

    def phones(self, word: str) -> tuple[str, ...] | None:
        """Phones of a lower-case word as said inside a sentence, or None when the lexicon lacks it."""
        entry = _SPOKEN.get(word) or self._entry(word)
        if entry is None:
            return None
        phones = self._parsed(word, entry)
        return unstressed(phones) if word in _UNSTRESSED else phones

    def spells(self, word: str) -> bool:
        """Whether a word is said by the names of its letters, however they are stressed."""
        names = [phone for letter in word if letter in ascii_lowercase for phone in self.letter_name(letter)]
        return word.isalpha() and unstressed(self.phones(word) or ()) == unstressed(tuple(names))

    def letter_name(self, letter: str) -> tuple[str, ...]:
        """Phones of the name of one letter a..z, as in a spelled word."""
        return LETTER_NAMES.get(letter) or self._parsed(letter, self._entry(letter) or "")

    def _entry(self, word: str) -> str | None:
        """What stands behind a word and its tab."""
        head = word + "\t"
        place = bisect_left(self._lines, head)
        found = self._lines[place] if place < len(self._lines) else ""
        return found[len(head) :] if found.startswith(head) else None

    def _parsed(self, word: str, entry: str) -> tuple[str, ...]:
        phones = tuple(entry.split())
        if not phones or not _KNOWN_PHONES.issuperset(phones):
            raise self._broken(f"{entry!r} for {word!r}, which are no phones")
        return phones

    def _broken(self, what: str) -> BundleError:
        return BundleError(f"{self._source}: it holds {what}; {_REMEDY}")
