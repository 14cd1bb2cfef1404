"""Abbreviations, initials and units: what is said, and whether the full stop after them ends the sentence."""

import re
from dataclasses import dataclass

from .edges import Around
from .measures import counted
from .numbers import Words, letters
from .readings import HALF_DAY, is_number
from .vocabulary import (
    ABBREVIATIONS,
    BEFORE_NUMBER,
    CALENDAR,
    CAPITALISED_ONLY,
    DAYS_AND_MONTHS,
    DAYS_LIKE_WORDS,
    DAYS_WITHOUT_STOP,
    DOTLESS,
    LETTERED_CLASSES,
    LOWER_CASE_ONLY,
    NEVER_LAST,
    NOT_AFTER_SPACE,
    ROMAN,
    SENTENCE_OPENERS,
    SHORT_MONTHS,
    STATES,
    STATES_BEFORE_ZIP,
    STATES_LIKE_WORDS,
    STREETS,
    TITLES,
    UNITS,
)

_DOTTED_LETTERS = re.compile(r"[A-Za-z](?:\.[A-Za-z])+|Ph\.D")
_DOTTED_JOINED = re.compile(r"((?:[A-Z]\.){2,})(-[a-z]+|'s)")
_AMOUNTS = re.compile(r"\d[\d.,]*[-x×]\d[\d.,]*")
"""Two numbers before one unit: `3-5 km`, `10x12 ft`."""
_NAMED_RANGE = re.compile(r"([A-Z][a-z]+)([-/])([A-Z][a-z]+)")
_NUMBERED_STREET = re.compile(r"\d+(?:st|nd|rd|th)")
_ZIP = re.compile(r"\d{5}(?:-\d{4})?")
_INCH = ("inch", "inches")
_BEFORE_UNIT = {"sq": "square", "cu": "cubic", "fl": "fluid"}
_TITLES_WITHOUT_STOP = frozenset("mr mrs ms dr st mt".split())
_WITH_STOP = re.compile(r"[^\w$€£]*([A-Za-z]|[A-Za-z.]*[A-Za-z])\.[^\w]*")
_ABBREVIATED = frozenset((*ABBREVIATIONS, *TITLES, *STREETS, *BEFORE_NUMBER, *map(str.lower, UNITS)))


@dataclass(frozen=True, slots=True)
class Expansion:
    """Words said for an abbreviation; `ends` tells whether a full stop right after it ends the sentence."""

    words: Words
    ends: bool


def waits_for_next(text: str) -> bool:
    """Whether what is said for this abbreviation, or its full stop, depends on the atom after it."""
    match = _WITH_STOP.fullmatch(text)
    if match is None:
        return text in ("Dr", "St", "Mt") or text in SHORT_MONTHS or text in (*STATES_LIKE_WORDS, *STATES_BEFORE_ZIP)
    core = match[1]
    return (
        len(core) == 1
        or core.lower() in _ABBREVIATED
        or core in DAYS_LIKE_WORDS
        or _DOTTED_LETTERS.fullmatch(core) is not None
    )


def expand(core: str, around: Around, *, has_stop: bool) -> Expansion | None:
    """The expansion of an atom without its surrounding punctuation, or None when it is no abbreviation."""
    lower, after = core.lower(), around.after
    is_last = not around.after_raw
    opens_sentence = is_last or after in SENTENCE_OPENERS
    is_capital_next = after[:1].isupper()
    if HALF_DAY.fullmatch(core) and (around.before[-1:].isdigit() or "." in core):
        return Expansion(letters(core), is_last or (is_capital_next and after not in DAYS_AND_MONTHS))
    if _is_amount(around.before) and core in _BEFORE_UNIT:
        return Expansion([_BEFORE_UNIT[core]], False)
    amount = _amount_before(around)
    if _is_amount(amount) and (core in UNITS or _is_inch(core, around)) and core not in NOT_AFTER_SPACE:
        return Expansion(counted(UNITS.get(core, _INCH), amount), is_last or is_capital_next)
    if lower in BEFORE_NUMBER and has_stop and after[:1].isdigit():
        return Expansion([BEFORE_NUMBER[lower]], False)
    if lower in TITLES or lower in STREETS:
        return _title_or_street(core, around, has_stop, opens_sentence)
    if lower in ABBREVIATIONS and has_stop and _is_cased_so(core):
        ends = lower not in NEVER_LAST and (opens_sentence or (lower == "etc" and is_capital_next))
        return Expansion(ABBREVIATIONS[lower].split(), ends)
    if core in DAYS_LIKE_WORDS and has_stop and around.before.lower() != "the" and _goes_on(after):
        return Expansion([DAYS_LIKE_WORDS[core]], False)
    if core in DAYS_WITHOUT_STOP or (core in SHORT_MONTHS and after[:1].isdigit()):
        return Expansion([CALENDAR[core]], True)
    named = _NAMED_RANGE.fullmatch(core)
    if named is not None and named[1] in CALENDAR and named[3] in CALENDAR:
        to = [] if named[2] == "/" else ["to"]
        return Expansion([CALENDAR[named[1]], *to, CALENDAR[named[3]]], True)
    if core in DAYS_LIKE_WORDS and around.before in CALENDAR:
        return Expansion([DAYS_LIKE_WORDS[core]], True)
    if core in STATES and around.city and _is_state(core, after, has_stop):
        return Expansion(STATES[core].split(), True)
    if lower in DOTLESS:
        return Expansion(DOTLESS[lower].split(), True)
    joined = _DOTTED_JOINED.fullmatch(core)
    if joined is not None:
        said = letters(joined[1])
        rest = joined[2]
        return Expansion([*said[:-1], said[-1].lower() + "'s"] if rest == "'s" else [*said, rest[1:]], True)
    if _DOTTED_LETTERS.fullmatch(core):
        return Expansion(letters(core), opens_sentence)
    if has_stop and len(core) == 1 and core.isupper() and core != "I":
        ends = is_last or (around.before.lower() in LETTERED_CLASSES and not after[:1].islower())
        return Expansion([core], ends)
    if core in ROMAN and around.before[:1].isupper():
        return Expansion([ROMAN[core]], True)
    return None


def _is_state(core: str, after: str, has_stop: bool) -> bool:
    """Whether two capitals behind a city are its state; a full stop, a comma or the end leaves nothing after them."""
    if core in STATES_BEFORE_ZIP or (core in STATES_LIKE_WORDS and after and not has_stop):
        return _ZIP.fullmatch(after) is not None
    return True


def _is_amount(text: str) -> bool:
    return is_number(text) or _AMOUNTS.fullmatch(text) is not None


def _amount_before(around: Around) -> str:
    """What a unit would be of: in `200 sq ft` another word stands between."""
    return around.before_that if around.before in _BEFORE_UNIT else around.before


def _is_inch(core: str, around: Around) -> bool:
    """Whether this `in` is a measure: `6 ft 2 in`, `3 sq in`."""
    return core == "in" and (around.before_that == "ft" or around.before in _BEFORE_UNIT)


def _goes_on(after: str) -> bool:
    """Whether a word cannot begin a sentence, or is a date or a time that belongs to the day before it."""
    return after[:1].isdigit() or after[:1].islower() or after in SHORT_MONTHS or after in DAYS_AND_MONTHS


def _is_cased_so(core: str) -> bool:
    lower = core.lower()
    return not (lower in CAPITALISED_ONLY and core.islower()) and not (lower in LOWER_CASE_ONLY and not core.islower())


def _title_or_street(core: str, around: Around, has_stop: bool, opens_sentence: bool) -> Expansion | None:
    """`Dr. Harris` is a doctor, `415 Oak Dr.` a drive."""
    lower = core.lower()
    name_follows = around.after[:1].isupper() and not opens_sentence
    is_numbered = _NUMBERED_STREET.fullmatch(around.before) is not None
    in_address = is_numbered or (around.before[:1].isupper() and around.before_that[-1:].isdigit())
    is_short = lower in _TITLES_WITHOUT_STOP
    if lower in TITLES and name_follows and not in_address and core[0].isupper() and (has_stop or is_short):
        return Expansion([TITLES[lower]], False)
    if lower in STREETS and core[0].isupper() and (in_address or (has_stop and around.before[:1].isupper())):
        return Expansion([STREETS[lower]], opens_sentence)
    if lower in STREETS and has_stop and around.after[:1].isdigit():
        return Expansion([STREETS[lower]], False)
    if lower in ("mr", "mrs", "ms", "dr") and (has_stop or (core[0].isupper() and lower != "dr")):
        return Expansion([TITLES[lower]], not around.after_raw)
    return None
