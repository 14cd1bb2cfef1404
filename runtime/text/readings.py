"""How a written number is meant: money, time of day, date, range, telephone number, measure or a plain number.

`read_number` tries the patterns in order, most telling first, on one atom without its surrounding punctuation.
"""

import math
import re
from collections.abc import Callable

from . import numbers
from .edges import Around
from .measures import by, degrees, duration, feet_and_inches, measure, measure_name, part_of_unit, picture, power, times
from .numbers import Words
from .vocabulary import SHORT_MONTHS, UNITS

_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_SIGNS_OF_MONEY = f"[{numbers.CURRENCY_SIGNS}]"
_DECIMAL_COMMA = r"(?:\d{1,3}(?:\.\d{3})+|\d+),\d\d?"
"""`1.204,50`: cents behind a comma, as on the continent of Europe; three digits would be thousands."""
_PLAIN = re.compile(rf"[-+~]?(?:{_NUMBER}|{_DECIMAL_COMMA})")
_MONTHS = frozenset((*numbers.MONTHS, *SHORT_MONTHS))
_YEAR_COMES = frozenset("in since until till before after year summer winter spring fall autumn early late".split())
_COUNT_COMES = frozenset("over than nearly almost approximately least most only exactly total".split())
_COUNT_COMES_OF = frozenset(
    "total number one some out maximum minimum average sum group crowd team population list set batch capacity".split()
)
_CODE_COMES = frozenset("code pin zip passcode password otp extension".split())
_CALL_COMES = frozenset("call dial text code".split())
"""Words right before a number of three digits or more that is dialled: `call 911`."""
_MATHS_COMES = frozenset("is what's calculate compute plus equals times".split())
_MARKS_OUT_OF = ("10", "100")
_AMOUNT = re.compile(r"\d[\d,]*(?:\.\d+)?")
_NO_NOUN = frozenset("was has is this as its his does".split())
_DATE_COMES = frozenset("on by until till before after from since due".split())
SCALES = frozenset("thousand million billion trillion".split())
_DIALLING_PREFIX = re.compile(r"\+\d")
_SIGNS = {"-": "minus", "+": "plus", "~": "about", "±": "plus or minus"}
_HALF_DAY = r"[ap]\.?m\.?"
_HALF_DAY_OF_ONE_CASE = rf"{_HALF_DAY}|[AP]\.?M\.?"
HALF_DAY = re.compile(_HALF_DAY, re.I)
ENDS_HALF_DAY = re.compile(rf"(?:^|\d){_HALF_DAY}$", re.I)


def is_number(text: str) -> bool:
    """Whether the text is a plain amount, signed or not."""
    return _PLAIN.fullmatch(text) is not None


def is_range(lower: str, upper: str, before: str) -> bool:
    """Whether a dash between two numbers means `to`: what is taken away is seldom more than what there is.

    before: the word before the first; `what is 5 - 10` is no range.
    """
    number = _AMOUNT.match(upper)
    if number is None or before.lower() in _MATHS_COMES:
        return False
    return _value(lower.rstrip("%")) < _value(number[0])


def _value(text: str) -> float:
    try:
        return float(text.replace(",", ""))
    except ValueError:  # `~5` and `1.204,50` are numbers, too.
        return math.inf


def read_number(core: str, around: Around) -> Words | None:
    """Words of an atom that is a number in some notation, or None."""
    if not any(character.isdigit() for character in core):
        return None
    for pattern, read in _READERS:
        match = pattern.fullmatch(core)
        words = None if match is None else read(match, around)
        if words is not None:
            return words
    if core[0] in _SIGNS and len(core) > 1 and core[1] not in _SIGNS:
        words = read_number(core[1:], Around(after=around.after))
        return None if words is None else [*_SIGNS[core[0]].split(), *words]
    return None


def _money(match: re.Match[str], around: Around) -> Words | None:
    sign, symbol, inner_sign, text, scale, per = match.groups(default="")
    text = _with_point(text)
    if not scale and around.after.lower() in SCALES:
        # "$5 million": the name of the currency waits for the scale.
        words = numbers.amount(text)
    else:
        words = numbers.money(symbol, text, scale)
    words = ["minus", *words] if sign or inner_sign else words
    return [*words, "per", *measure_name(per)] if per else words


def _money_after(match: re.Match[str], around: Around) -> Words | None:
    text, symbol = _with_point(match[1]), {"USD": "$", "EUR": "€", "GBP": "£"}.get(match[2], match[2])
    if symbol == "¢":
        return [*numbers.amount(text), "cent" if numbers.is_one(text) else "cents"]
    return numbers.money(symbol, text)


def _with_point(text: str) -> str:
    """An amount of money whose decimals stand behind a point, not a comma."""
    return text.replace(".", "").replace(",", ".") if re.fullmatch(_DECIMAL_COMMA, text) else text


def _phone(match: re.Match[str], around: Around) -> Words | None:
    return numbers.phone(match[0])


def _zip(match: re.Match[str], around: Around) -> Words | None:
    return numbers.phone(match[0]) if _is_state(around.before) else None


def _is_state(before: str) -> bool:
    """Whether a zip code may stand behind it: `IL`."""
    return len(before) == 2 and before.isupper()


def _area_code(match: re.Match[str], around: Around) -> Words | None:
    follows = re.match(r"\d{3}[-.]?\d{4}\b", around.after_raw)
    return [*numbers.digit_by_digit(match[1]), ","] if follows else None


def _iso_date(match: re.Match[str], around: Around) -> Words | None:
    return numbers.date(int(match[2]), int(match[3]), match[1])


def _slash_date(match: re.Match[str], around: Around) -> Words | None:
    first, second, year = int(match[1]), int(match[2]), match[3]
    # Month first, as in America, unless that cannot be.
    return numbers.date(first, second, year) or numbers.date(second, first, year)


def _day_in_month(match: re.Match[str], around: Around) -> Words | None:
    is_date = around.before.lower() in _DATE_COMES and int(match[2]) > 4
    return numbers.date(int(match[1]), int(match[2])) if is_date else None


def _clock(match: re.Match[str], around: Around) -> Words | None:
    follows = HALF_DAY.fullmatch(around.after) is not None or around.after.lower().startswith("o'clock")
    return numbers.clock(match[1], match[2], match[3] or "", half_day_follows=follows)


def _hour(match: re.Match[str], around: Around) -> Words | None:
    return numbers.clock(match[1], "00", match[2])


def _ratio(match: re.Match[str], around: Around) -> Words | None:
    parts = match[0].split(":")
    if len(parts) == 2 and len(parts[1]) != 2 or int(parts[0]) > 24:
        return [*numbers.cardinal(parts[0]), *(w for part in parts[1:] for w in ("to", *numbers.cardinal(part)))]
    return [word for part in parts for word in numbers.cardinal(part)]


def _range(match: re.Match[str], around: Around) -> Words | None:
    left, right = match[1], match[2]
    if left[0] in "$€£" and right[0] not in "$€£":
        left, right = left[1:], left[0] + right
    from_words = read_number(left, Around("in" if len(left) == len(right) == 4 else "", after=right))
    to_words = read_number(right, around)
    return None if from_words is None or to_words is None else [*from_words, "to", *to_words]


def _percent(match: re.Match[str], around: Around) -> Words | None:
    return [*numbers.amount(match[1]), "percent"]


def _ordinal(match: re.Match[str], around: Around) -> Words | None:
    return numbers.ordinal(match[1].replace(",", ""))


def _decade(match: re.Match[str], around: Around) -> Words | None:
    return numbers.decade(match[1])


def _possessive(match: re.Match[str], around: Around) -> Words | None:
    *words, last = read_number(match[1], Around("" if around.before[:1].islower() else around.before)) or [""]
    return [*words, last + "'s"]


def _fraction(match: re.Match[str], around: Around) -> Words | None:
    top, bottom = match[1], match[2]
    if bottom in _MARKS_OUT_OF and 1 < int(top) <= int(bottom) and not around.before.isdigit():
        return [*numbers.cardinal(top), "out", "of", *numbers.cardinal(bottom)]
    words = numbers.fraction(top, bottom)
    return ["and", *words] if around.before.isdigit() and int(top) < int(bottom) else words


def _dotted(match: re.Match[str], around: Around) -> Words | None:
    first, *rest = match[0].split(".")
    return [*numbers.cardinal(first), *(word for part in rest for word in ("dot", *numbers.cardinal(part)))]


def _version(match: re.Match[str], around: Around) -> Words | None:
    words = read_number(match[1], Around("than"))
    return None if words is None else ["version", *words]


def _numbered(match: re.Match[str], around: Around) -> Words | None:
    return ["number", *numbers.cardinal(match[1])]


def _at_least(match: re.Match[str], around: Around) -> Words | None:
    return [*numbers.amount(match[1]), "plus"]


def _whole(match: re.Match[str], around: Around) -> Words | None:
    digits, before, after = match[0], around.before, around.after
    context = {before.lower(), around.before_that.lower()}
    is_subscriber = len(digits) == 4 and len(before) == len(around.before_that) == 3 and before.isdigit()
    is_after_prefix = any(_DIALLING_PREFIX.match(text) for text in (before, around.before_that))
    if is_after_prefix or (is_subscriber and around.before_that.isdigit()):
        return [",", *numbers.digit_by_digit(digits)]  # +1 415 555 0142
    is_dialled = before.lower() in _CALL_COMES and not _is_plural(after)
    if (len(digits) >= 4 and context & _CODE_COMES) or (len(digits) >= 3 and is_dialled):
        return numbers.digit_by_digit(digits)
    if len(digits) == 5 and _is_state(before):
        return numbers.digit_by_digit(digits)
    if before in _MONTHS and 1 <= int(digits) <= 31:
        return numbers.ordinal(digits)
    if after in _MONTHS and 1 <= int(digits) <= 31 and not (after == "May" and before.lower() == ""):
        day = [*numbers.ordinal(digits), "of"]
        return day if before.lower() == "the" else ["the", *day]
    if len(digits) == 4 and 1100 <= int(digits) <= 2099 and _is_year(before, around.before_that, after):
        return numbers.year(digits)
    return numbers.cardinal(digits)


def _is_year(before: str, before_that: str, after: str) -> bool:
    if before.lower() in _YEAR_COMES or before in _MONTHS or before_that in _MONTHS:
        return True
    counts = after in UNITS or (after.islower() and _is_plural(after))
    is_count_of = before == "of" and before_that.lower() in _COUNT_COMES_OF
    return not (counts or before.lower() in _COUNT_COMES or is_count_of)


def _is_plural(word: str) -> bool:
    return word == "people" or (word.endswith("s") and word not in _NO_NOUN)


def _amount(match: re.Match[str], around: Around) -> Words | None:
    return numbers.amount(match[0])


_Reader = Callable[[re.Match[str], Around], Words | None]
_READERS: tuple[tuple[re.Pattern[str], _Reader], ...] = tuple(
    (re.compile(pattern), read)
    for pattern, read in (
        (r"\d{1,15}", _whole),
        (
            rf"(-?)(?:US|CA|A)?({_SIGNS_OF_MONEY})(-?)({_NUMBER}|{_DECIMAL_COMMA})(k|K|m|M|mn|b|B|bn|t|T)?"
            r"(?:/([a-zA-Z]+))?",
            _money,
        ),
        (rf"({_NUMBER}|{_DECIMAL_COMMA})({_SIGNS_OF_MONEY}|¢|USD|EUR|GBP)", _money_after),
        (r"\d{5}-\d{4}", _zip),
        (r"(?:\+?\d{1,3}[-.])?(?:\(?\d{3}\)?[-.]?)?\d{3}[-.]\d{4}", _phone),
        (r"(\d{4})-(\d\d?)-(\d\d?)", _iso_date),
        (r"\d+(?:-\d+){2,}|\+\d+", _phone),
        (r"\((\d{3})\)", _area_code),
        (r"(\d\d?)[/.](\d\d?)[/.](\d{4}|\d\d)", _slash_date),
        (r"(\d\d?)/(\d\d?)", _day_in_month),
        (rf"(\d\d?):(\d\d)({_HALF_DAY_OF_ONE_CASE})?", _clock),
        (rf"(\d\d?)({_HALF_DAY_OF_ONE_CASE})", _hour),
        (r"\d+(?::\d+)+", _ratio),
        (rf"({_NUMBER})%", _percent),
        (r"(\d{1,3}(?:,\d{3})+|\d+)(?:st|nd|rd|th|ST|ND|RD|TH)", _ordinal),
        (r"'?(\d\d0|\d0|\d{3}0)'?s", _decade),
        (r"(\d{1,15})'s", _possessive),
        (r"(\d{1,4})/(\d{1,4})", _fraction),
        (r"(\d{1,4})/(\d{1,4})-([a-z]+)", part_of_unit),
        (rf"({_NUMBER})°([CFcf]?)", degrees),
        (r"\d+(?:\.\d+){2,}", _dotted),
        (r"(?:v|V(?=\d+\.))(\d+(?:\.\d+)*)", _version),
        (r"(\d{3,4})p", picture),
        (r"(\d{1,3})h(\d\d?)(?:m|min)?", duration),
        (rf"({_NUMBER})([a-zA-Z°%/]+)", measure),
        (rf"({_NUMBER})\^(-?\d+)", power),
        (r"#(\d+)", _numbered),
        (rf"({_NUMBER})[x×]({_NUMBER})", by),
        (rf"({_NUMBER})[x×]", times),
        (r"(\d)'(\d\d?)", feet_and_inches),
        (rf"({_NUMBER})\+", _at_least),
        (rf"({_NUMBER})", _amount),
        (r"([$€£]?\d[\d.,:%]*(?:am|pm|[kKmMbBT])?)-([$€£]?\d\S*)", _range),
    )
)
