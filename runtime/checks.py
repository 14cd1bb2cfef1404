"""Numbers from a caller, checked: what does not fit is one InputError that names the argument and the range."""

import operator
from numbers import Real

from .errors import InputError


def require_number(field: str, value: float, low: float, high: float, *, above: bool = False) -> None:
    """Check a number of any type, finite: from `low`, or `above` it, to `high`."""
    # Python takes True for a number, and comparisons with not-a-number are all false.
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not (low < value if above else low <= value) or not value <= high:
        span = f"above {low} and at most {high}" if above else f"between {low} and {high}"
        raise InputError(f"{field} must be a number {span}, got {value!r}")


def whole(field: str, value: int, low: int, high: int | None = None) -> int:
    """A whole number of any integer type as an `int`, checked to be from `low` to `high`."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None or number < low or (high is not None and number > high):
        span = f"of at least {low}" if high is None else f"from {low} to {high}"
        raise InputError(f"{field} must be a whole number {span}, got {value!r}")
    return number
