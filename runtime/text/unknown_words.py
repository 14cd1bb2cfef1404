"""Phones of words the lexicon lacks, where cheap morphology finds them: `smartwatches`, `unsubscribing`."""

from .lexicon import Lexicon
from .phones import VOWELS

_SIBILANTS = frozenset("S Z SH ZH CH JH".split())
_UNVOICED = frozenset("P T K F TH S SH CH".split())
_MIN_PART_LETTERS = 3

Phones = tuple[str, ...]

_RECENT_ENTRIES = {
    "gigahertz": "G IH1 G AH0 HH ER2 T S", "gigabit": "G IH1 G AH0 B IH2 T", "covid": "K OW1 V IH0 D",
    "emoji": "IH0 M OW1 JH IY0", "tiktok": "T IH1 K T AA2 K", "airbnb": "EH1 R B IY2 AH0 N B IY1", "vlog": "V L AA1 G",
    "ramen": "R AA1 M AH0 N", "ebook": "IY1 B UH2 K", "async": "EY1 S IH2 NG K", "json": "JH EY1 S AH0 N",
    "jpeg": "JH EY1 P EH2 G", "gif": "G IH1 F", "yaml": "Y AE1 M AH0 L", "sudoku": "S UW0 D OW1 K UW0",
    "matcha": "M AA1 CH AH0", "kombucha": "K AA0 M B UW1 CH AH0", "hoodie": "HH UH1 D IY0", "config": "K AH0 N F IH1 G",
}  # fmt: skip
_RECENT: dict[str, Phones] = {word: tuple(phones.split()) for word, phones in _RECENT_ENTRIES.items()}
"""Everyday words younger than the lexicon, which their letters mislead about."""


def derived_phones(word: str, lexicon: Lexicon) -> Phones | None:
    """Phones of a lower-case word from its parts, or None when no part is known: spell it then."""
    if word in _RECENT:
        return _RECENT[word]
    if word.endswith("'s"):
        base = _known_or_derived(word[:-2], lexicon)
        return None if base is None else base + _sibilant_ending(base)
    return (
        _with_plural(word, lexicon)
        or _with_past(word, lexicon)
        or _with_ing(word, lexicon)
        or _negated(word, lexicon)
        or _compound(word, lexicon)
    )


def _known_or_derived(word: str, lexicon: Lexicon) -> Phones | None:
    return lexicon.phones(word) or derived_phones(word, lexicon)


def _base(stems: tuple[str, ...], lexicon: Lexicon) -> Phones | None:
    """Phones of the first stem that is a word or a compound."""
    for stem in stems:
        if len(stem) >= _MIN_PART_LETTERS:
            phones = lexicon.phones(stem) or _RECENT.get(stem) or _negated(stem, lexicon) or _compound(stem, lexicon)
            if phones is not None:
                return phones
    return None


def _with_plural(word: str, lexicon: Lexicon) -> Phones | None:
    if not word.endswith("s") or word.endswith("ss"):
        return None
    stems = (
        word[:-1],
        *([word[:-2]] if word.endswith("es") else []),
        *([word[:-3] + "y"] if word.endswith("ies") else []),
    )
    base = _base(stems, lexicon)
    return None if base is None else base + _sibilant_ending(base)


def _with_past(word: str, lexicon: Lexicon) -> Phones | None:
    if not word.endswith("ed"):
        return None
    base = _base(
        (word[:-2], word[:-1], *_undoubled(word[:-2]), *([word[:-3] + "y"] if word.endswith("ied") else [])), lexicon
    )
    if base is None:
        return None
    if base[-1] in ("T", "D"):
        return (*base, "AH0", "D")
    return (*base, "T" if base[-1] in _UNVOICED else "D")


def _with_ing(word: str, lexicon: Lexicon) -> Phones | None:
    if not word.endswith("ing"):
        return None
    base = _base((word[:-3], word[:-3] + "e", *_undoubled(word[:-3])), lexicon)
    return None if base is None else (*base, "IH0", "NG")


def _negated(word: str, lexicon: Lexicon) -> Phones | None:
    base = lexicon.phones(word[2:]) if word.startswith("un") and len(word) > 4 else None
    return None if base is None else ("AH0", "N", *base)


def _compound(word: str, lexicon: Lexicon) -> Phones | None:
    """Two lexicon words in one; of several splits the most even one, since short entries are often names."""
    places = range(_MIN_PART_LETTERS, len(word) - _MIN_PART_LETTERS + 1)
    for place in sorted(places, key=lambda place: abs(len(word) - 2 * place)):
        first, second = lexicon.phones(word[:place]), lexicon.phones(word[place:])
        if first is not None and second is not None:
            return first + tuple(
                phone[:2] + "2" if phone[:2] in VOWELS and phone[2:] == "1" else phone for phone in second
            )
    return None


def _undoubled(stem: str) -> tuple[str, ...]:
    return (stem[:-1],) if len(stem) > 3 and stem[-1] == stem[-2] else ()


def _sibilant_ending(base: Phones) -> Phones:
    if base[-1] in _SIBILANTS:
        return ("AH0", "Z")
    return ("S",) if base[-1] in _UNVOICED else ("Z",)
