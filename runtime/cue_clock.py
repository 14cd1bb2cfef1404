"""The text side of a row: which token is cued, which one sounds now and for how long, which comes next and when.

A cue is a promise: a token begins to sound LOOKAHEAD frames later. So at every frame it is known what is sounding
and what is about to. Said outright in columns of its own, the backbone need not learn to count rows back to a cue.
This module is shared with the recipe, which writes the same columns for training.
"""

from collections import deque
from dataclasses import dataclass, field
from itertools import accumulate

from .names import CONTROL_ROWS, LOOKAHEAD_FRAMES
from .text.phones import NO_TOKEN, UNITS, Token

AGE_MAX = 15
"""A token that has sounded for more frames than this is told as this old."""

COLUMN_ROWS = (
    *(len(UNITS), len(UNITS), CONTROL_ROWS),
    *(len(UNITS), len(UNITS), AGE_MAX + 2),
    *(len(UNITS), len(UNITS), LOOKAHEAD_FRAMES + 1),
)
"""How many ids each column of `text_ids` has: cued units a and b, control; sounding units a and b, 1 + age in frames;
next units a and b, frames until they sound. 0 is nothing in every column."""

COLUMN_STARTS = (0, *accumulate(COLUMN_ROWS[:-1]))
"""Where each column's rows begin in the one embedding table of all columns."""

Timing = tuple[int, int, int, int, int, int]
"""The last six columns of one row."""
NO_TIMING: Timing = (0, 0, 0, 0, 0, 0)

_PRIMER_SPACING, _PRIMER_LAST = 2, 5


def primer_onset(place: int) -> int:
    """The frame in which a token of the prefix is taken to begin: no cue tells, so a fixed spacing does."""
    return min(_PRIMER_SPACING * place, _PRIMER_LAST)


@dataclass(slots=True)
class CueClock:
    """The tokens cued so far that matter still: the one sounding and those about to."""

    _now: Token = NO_TOKEN
    _since: int = 0
    _waiting: deque[tuple[int, Token]] = field(default_factory=deque)

    def cue(self, token: Token, onset: int) -> None:
        """Note a token that begins to sound in frame `onset`, later than every token before it."""
        self._waiting.append((onset, token))

    def timing(self, frame: int) -> Timing:
        """The timing columns of the row that makes `frame`; frames may not go back."""
        while self._waiting and self._waiting[0][0] <= frame:
            self._since, self._now = self._waiting.popleft()
        age = 0 if self._now == NO_TOKEN else 1 + min(frame - self._since, AGE_MAX)
        if not self._waiting:
            return (*self._now, age, *NO_TOKEN, 0)
        onset, coming = self._waiting[0]
        return (*self._now, age, *coming, min(onset - frame, LOOKAHEAD_FRAMES))
