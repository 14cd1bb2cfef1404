"""Numbers as English words, in the forms the embedded voice was trained with.

A reading is a list of lower-case words; a single capital is a letter name and a comma is a pause.
"""

import re
from functools import lru_cache

Words = list[str]

MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_MAX_CARDINAL_DIGITS = 15
_NO_FRACTIONS = frozenset({("9", "11")})
_FRACTION_NAMES = {2: ("half", "halves"), 4: ("quarter", "quarters")}
_CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "¥": ("yen", "yen", "sen", "sen"),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₿": ("bitcoin", "bitcoins", "", ""),
    "₩": ("won", "won", "", ""),
    "₽": ("ruble", "rubles", "", ""),
    "₪": ("shekel", "shekels", "", ""),
    "₺": ("lira", "lira", "", ""),
}
CURRENCY_SIGNS = "".join(_CURRENCIES)
_SCALES = {"k": "thousand", "m": "million", "mn": "million", "b": "billion", "bn": "billion", "t": "trillion"}


@lru_cache(maxsize=4096)
def _num2words(number: int, kind: str) -> str:
    # Not at the top: it costs 40 ms of a cold start, and many a text has no number.
    from num2words import num2words  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

    words: str = num2words(number, to=kind)
    return words.replace("-", " ").replace(",", "")


def cardinal(digits: str) -> Words:
    """A string of digits as one number; digit by digit when it begins with 0 or is too long to say."""
    if len(digits) > _MAX_CARDINAL_DIGITS or (len(digits) > 1 and digits[0] == "0"):
        return digit_by_digit(digits)
    return _num2words(int(digits), "cardinal").split()


def ordinal(digits: str) -> Words:
    """`21` as `twenty first`."""
    if len(digits) > _MAX_CARDINAL_DIGITS:
        return digit_by_digit(digits)
    return _num2words(int(digits), "ordinal").split()


def year(digits: str) -> Words:
    """`1905` as `nineteen oh five`."""
    return _num2words(int(digits), "year").split()


def digit_by_digit(digits: str) -> Words:
    """Each digit by its name, a pause after every third when there are more than four."""
    words: Words = []
    for place, digit in enumerate(digits):
        if place and place % 3 == 0 and len(digits) > 4:
            words.append(",")
        words.append(_num2words(int(digit), "cardinal"))
    return words


def amount(text: str) -> Words:
    """`1,204.75` as `one thousand two hundred and four point seven five`."""
    whole, _, decimals = text.replace(",", "").partition(".")
    words = cardinal(whole) if whole else ["zero"]
    return [*words, "point", *(_num2words(int(digit), "cardinal") for digit in decimals)] if decimals else words


def is_one(text: str) -> bool:
    """Whether the noun after this amount is singular."""
    return text.replace(",", "") == "1"


def money(symbol: str, text: str, scale: str = "") -> Words:
    """`$`, `23.50` as `twenty three dollars and fifty cents`; with a scale letter, `two point five million dollars`.

    Currencies whose parts nobody names have a decimal point: `zero point zero five bitcoins`.
    """
    one, many, one_part, many_parts = _CURRENCIES[symbol]
    whole, _, decimals = text.replace(",", "").partition(".")
    if scale:
        return [*amount(text), _SCALES[scale.lower()], many]
    if len(decimals) != 2 or not one_part:
        return [*amount(text), one if is_one(text) else many]
    parts = [] if decimals == "00" else [*cardinal(str(int(decimals))), one_part if decimals == "01" else many_parts]
    if parts and not whole.strip("0"):
        return parts
    units = [*cardinal(whole or "0"), one if whole == "1" else many]
    return [*units, "and", *parts] if parts else units


def plural_currency(symbol: str) -> str:
    """The name of more than one unit of a currency."""
    return _CURRENCIES[symbol][1]


def letters(text: str) -> Words:
    """Letter names of a spelled word."""
    return [character.upper() for character in text if character.isalpha()]


def clock(hour: str, minute: str, half_day: str = "", *, half_day_follows: bool = False) -> Words | None:
    """`7`, `05` as `seven oh five`, `10`, `00` as `ten o'clock`; None when it is no time of day."""
    if not (len(minute) == 2 and int(hour) < 25 and int(minute) < 60):
        return None
    words = _num2words(int(hour), "cardinal").split()
    if int(minute):
        words += ["oh"] if int(minute) < 10 else []
        words += _num2words(int(minute), "cardinal").split()
    elif int(hour) > 12:
        words.append("hundred")
    elif not half_day and not half_day_follows:
        words.append("o'clock")
    return words + letters(half_day)


def date(month: int, day: int, year_digits: str = "") -> Words | None:
    """`12`, `25`, `2024` as `december twenty fifth twenty twenty four`; None when it is no date."""
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    words = [MONTHS[month - 1].lower(), *ordinal(str(day))]
    if len(year_digits) == 2:
        year_digits = ("19" if int(year_digits) > 69 else "20") + year_digits
    return words + (year(year_digits) if year_digits else [])


def fraction(top: str, bottom: str) -> Words:
    """`3`, `4` as `three quarters`; what is no fraction (`24/7`, `9/11`) as two numbers."""
    is_proper = len(top) <= 2 and len(bottom) <= 3 and 0 < int(top) < int(bottom)
    if not is_proper or (top, bottom) in _NO_FRACTIONS:
        return [*cardinal(top), *cardinal(bottom)]
    one, many = _FRACTION_NAMES.get(int(bottom)) or (name := _num2words(int(bottom), "ordinal"), name + "s")
    return [*cardinal(top), *(one if int(top) == 1 else many).split()]


def decade(digits: str) -> Words:
    """`1980` as `nineteen eighties`, `90` as `nineties`."""
    words = year(digits) if len(digits) == 4 else _num2words(int(digits), "cardinal").split()
    last = words[-1]
    return [*words[:-1], last[:-1] + "ies" if last.endswith("y") else last + "s"]


def phone(text: str) -> Words:
    """A telephone number digit by digit, a pause between its groups."""
    words: Words = []
    for group in re.findall(r"\d+", text):
        words += [",", *digit_by_digit(group)] if words else digit_by_digit(group)
    return words
