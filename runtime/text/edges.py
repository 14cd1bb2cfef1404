"""Where the punctuation around an atom ends and what is said begins; and what stands beside it."""

import re
from dataclasses import dataclass

from .numbers import CURRENCY_SIGNS

_OPENING = frozenset("\"'([{<>*_|!?;:,^\\/=}])")
_CLOSING = frozenset("\".,;:!?)]}>*_|~\\/'^<={([-")
_CLITICS = ("'cause", "'em", "'til", "'n'", "'twas", "'tis", "'bout")
_AROUND_SOURCE = "\"'“”‘’()[]{}<>*_`|~.,;:!?…—–-"
_SIGN_OF_NUMBER = re.compile(r"(?<![-.])(?:-\.?|\.)$")


@dataclass(frozen=True, slots=True)
class Around:
    """The spellings beside an atom, without punctuation; empty at a pause, at a line break and where none is needed.

    city: the capitalised word before the comma that stands before the atom.
    """

    before: str = ""
    before_that: str = ""
    after: str = ""
    after_raw: str = ""
    city: str = ""


def written(source: str) -> str:
    """What was written, without the punctuation around it; the sign of a number is none."""
    bare = source.strip(_AROUND_SOURCE)
    if bare and (bare[0].isdigit() or bare[0] in CURRENCY_SIGNS):
        sign = _SIGN_OF_NUMBER.search(source[: source.find(bare)])
        return (sign[0] if sign else "") + bare
    return bare


def core_span(part: str) -> tuple[int, int]:
    """Where an atom begins and ends without the punctuation around it; signs of a number stay."""
    start, stop = 0, len(part)
    while start < stop:
        following = part[start + 1 : start + 2]
        is_sign = part[start] in "-." and (
            following.isdigit() or (part[start] == "-" and following and following in CURRENCY_SIGNS + ".")
        )
        if is_sign or (part[start] not in _OPENING and part[start] not in "-."):
            break
        start += 1
    while stop > start and part[stop - 1] in _CLOSING:
        stop -= 1
    if part.lower().startswith(_CLITICS, max(start - 1, 0)):
        start = max(start - 1, 0)
    return start, stop
