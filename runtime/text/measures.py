"""Numbers with a unit: lengths, times, temperatures, sizes; each takes a match of `readings` and what is beside it."""

import re

from . import numbers
from .edges import Around
from .numbers import Words
from .vocabulary import UNITS

_PICTURES = frozenset("480 720 1080 1440 2160".split())
_HOURS = re.compile(r"\d+h")
_POWERS = {"2": ["squared"], "3": ["cubed"]}


def measure_name(unit: str) -> Words:
    """The name of a unit behind `per`."""
    return UNITS[unit][0].split() if unit in UNITS else [unit.lower()]


def counted(names: tuple[str, str], amount: str) -> Words:
    """The name of a unit, singular or plural, behind an amount of it."""
    return names[not numbers.is_one(amount)].split()


def measure(match: re.Match[str], around: Around) -> Words | None:
    """`5km`; None when it is no unit."""
    text, unit = match[1], match[2]
    if unit not in UNITS:
        return None
    if unit == "m" and _HOURS.fullmatch(around.before):
        unit = "min"  # 2h 30m
    return [*numbers.amount(text), *counted(UNITS[unit], text)]


def degrees(match: re.Match[str], around: Around) -> Words | None:
    """`72°F`."""
    scale = {"C": ["celsius"], "F": ["fahrenheit"]}.get(match[2].upper(), [])
    return [*numbers.amount(match[1]), *counted(UNITS["°"], match[1]), *scale]


def by(match: re.Match[str], around: Around) -> Words | None:
    """`10x12`."""
    return [*numbers.amount(match[1]), "by", *numbers.amount(match[2])]


def times(match: re.Match[str], around: Around) -> Words | None:
    """`2x`."""
    return [*numbers.amount(match[1]), "times"]


def feet_and_inches(match: re.Match[str], around: Around) -> Words | None:
    """`5'10`."""
    return [*numbers.cardinal(match[1]), "foot", *numbers.cardinal(match[2])]


def duration(match: re.Match[str], around: Around) -> Words | None:
    """`2h30m`, and `2h30`."""
    minutes = match[2].removeprefix("0") or "0"
    hours = [*numbers.cardinal(match[1]), *counted(UNITS["h"], match[1])]
    return [*hours, *numbers.cardinal(minutes), *counted(UNITS["min"], minutes)]


def part_of_unit(match: re.Match[str], around: Around) -> Words | None:
    """`1/4-inch`."""
    return [*numbers.fraction(match[1], match[2]), match[3]]


def picture(match: re.Match[str], around: Around) -> Words | None:
    """`1080p`, the lines of a moving picture."""
    if match[1] not in _PICTURES:
        return None
    lines = match[1]
    return [*numbers.cardinal(lines[:-2]), *numbers.cardinal(lines[-2:]), "P"]


def power(match: re.Match[str], around: Around) -> Words | None:
    """`10^6`."""
    exponent = match[2].removeprefix("-")
    said = [*(["minus"] if exponent != match[2] else []), *numbers.cardinal(exponent)]
    return [*numbers.amount(match[1]), *_POWERS.get(match[2], ["to", "the", "power", "of", *said])]
