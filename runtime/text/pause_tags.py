"""Silence that is asked for in the text: `[pause 0.5s]`, `[pause 500ms]`, `[Pause: 2 seconds]`."""

import re
from typing import Literal

LONGEST_PAUSE_S = 10.0
"""A longer pause is as long as this, so that no line of text makes a listener wait for ever."""
MAX_TAG_CHARACTERS = 40
"""Anything in brackets that is longer is ordinary text."""

_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("ms", "msec", "millisecond", "milliseconds"), 0.001),
}
_TAG = re.compile(r"\[pause[^\S\n]*[:=]?[^\S\n]*(-?[0-9]+\.?[0-9]*|-?\.[0-9]+)[^\S\n]*([a-z]+)[^\S\n]*\]", re.I)
_BEGINNING = re.compile(
    r"\[(?:p(?:a(?:u(?:s(?:e(?:[^\S\n]*[:=]?[^\S\n]*(?:-?[0-9]*\.?[0-9]*[^\S\n]*[a-z]*[^\S\n]*))?)?)?)?)?)?", re.I
)


def match_tag(text: str, start: int, *, final: bool) -> tuple[float, int] | Literal["more"] | None:
    """Seconds and characters of the tag at `text[start]`; None when there is none, `more` when only more text can tell.

    A pause is 0 to LONGEST_PAUSE_S long, whatever was asked for. An answer other than `more` never changes when text is
    appended.
    """
    window = text[start : start + MAX_TAG_CHARACTERS]
    match = _TAG.match(window)
    if match is not None and match[2].lower() in _SECONDS:
        seconds = float(match[1]) * _SECONDS[match[2].lower()]
        return min(max(seconds, 0.0), LONGEST_PAUSE_S), match.end()
    if final or len(window) == MAX_TAG_CHARACTERS or not _BEGINNING.fullmatch(window):
        return None
    return "more"
