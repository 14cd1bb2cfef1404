"""The cued text feed: the model itself says, frame by frame, when it takes the next text token.

    row      BEGIN t0 t1 t2 | t3  -   -   t4  -  ..  END  -   -
    channel              N  | H   H   N   H   ..  N   H   H   END
    frame                0  | 1   2   3   4   ..            not spoken

The rows left of the bar are the prefix; the last of them yields frame 0. Channel 0 of a frame decides the text of the
row behind it: NEXT a token, HOLD none. When NEXT meets an empty queue the stream is parked: no row is made until the
text goes on. This module knows nothing of models and runs on plain integers.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .cue_clock import NO_TIMING, CueClock, primer_onset
from .names import CHANNEL_CLASSES, END, LOOKAHEAD_FRAMES, MASKED, NEXT, PRIMER_TOKENS, control_id
from .text.phones import END_TOKEN, NO_TOKEN, Token, begin_token

Row = tuple[int, ...]
"""The text side of one backbone row: its ids by the columns of `cue_clock.COLUMN_ROWS`."""


@dataclass(frozen=True, slots=True)
class WordCue:
    """A word and the frame, counted from the start of its stream, in which it begins to sound."""

    text: str
    frame: int


def _bias(masked: int) -> NDArray[np.float32]:
    bias = np.zeros(CHANNEL_CLASSES, np.float32)
    bias[masked] = MASKED
    return bias


_BEFORE_END, _AFTER_END = _bias(END), _bias(NEXT)
_STEERING = 30.0
"""How many nats dearer HOLD gets when the text left takes e times the frames left, and NEXT when it takes as much less.

Measured on 20 sentences at 0.9, 1 and 1.15 times the teacher's length: with 0 / 16 / 30 / 60 a mean error of
8 / 3 / 1.6 / 0.8 %; with 30 as many words were misheard as with 0.
"""


@dataclass(slots=True)
class CuedFeed:
    """The text of one stream: what came, what was taken, and where in it the speech is.

    `frames` counts the spoken ones; `words` are those whose onset is known, which may be yet to come. `tokens` are all
    that came, each with its word where one begins, the end among them; `onsets` the frames in which those taken so far
    begin. A feed that has a target length, all its text, and is told the usual `frames_per_token` and the
    `tail_frames` behind the cue of the end steers towards that length. `foretold_marks` are the closing marks that the
    voice can be told before its sentence begins.
    """

    target_frames: int | None = None
    frames_per_token: float = 0.0
    tail_frames: float = 0.0
    foretold_marks: tuple[str, ...] = ()
    frames: int = 0
    words: list[WordCue] = field(default_factory=list)
    tokens: list[tuple[Token, str | None]] = field(default_factory=list)
    onsets: list[int] = field(default_factory=list)
    ended: bool = False
    _complete: bool = False
    _end_fed: bool = False
    _begun: bool = False
    _closing_mark: str = ""
    _next: bool = False
    _clock: CueClock = field(default_factory=CueClock)

    def push(self, tokens: Sequence[Token], word: str | None = None) -> None:
        """Append the tokens of one word or mark; `word` is what its cue is to be called."""
        if self._complete:
            raise ValueError("text was pushed to a feed that had been finished")
        self.tokens.extend((token, None if place else word) for place, token in enumerate(tokens))

    def finish(self) -> None:
        """Say that no text will follow; once more does no harm."""
        if not self._complete:
            self._complete = True
            self.tokens.append((END_TOKEN, None))

    def foretell(self, mark: str) -> None:
        """Say which mark closes the sentence, before it has begun; one the voice has not learned about is not told."""
        if mark in self.foretold_marks:
            self._closing_mark = mark

    @property
    def complete(self) -> bool:
        """Whether all text has come."""
        return self._complete

    @property
    def ready(self) -> bool:
        """Whether the next row can be made: false before the first tokens are there, while parked, and at the end."""
        if self.ended:
            return False
        if not self._begun:
            return self._complete or self._waiting >= PRIMER_TOKENS
        return self._waiting > 0 or not self._next

    @property
    def begun(self) -> bool:
        """Whether the prefix has been made."""
        return self._begun

    @property
    def tokens_fed(self) -> int:
        """How many tokens were taken, the end among them."""
        return len(self.onsets)

    @property
    def tokens_heard(self) -> int:
        """How many of them began to sound in the frames spoken so far."""
        return bisect_left(self.onsets, self.frames)

    @property
    def channel_bias(self) -> NDArray[np.float32]:
        """What channel 0 may be now, float32 [3]: END only after all text was taken, NEXT only before that."""
        if self._end_fed:
            return _AFTER_END
        if self.target_frames is None or not self.frames_per_token or not self._complete:
            return _BEFORE_END
        # The model is told the frames left, but of the text it sees the next half second only: whether it is late is
        # known here alone.
        wanted = self._waiting * self.frames_per_token + self.tail_frames
        bias = _BEFORE_END.copy()
        bias[NEXT] = _STEERING * math.log(wanted / max(self.target_frames - self.frames, 1))
        return bias

    def rows(self) -> list[Row]:
        """Make the next rows: the whole prefix at first, then one at a time. Only when `ready`."""
        if not self._begun:
            self._begun = True
            taken = [self._take(primer_onset(place)) for place in range(self._primer_length())]
            tokens = [begin_token(self._closing_mark), *taken]
        else:
            tokens = [self._take(self.frames + LOOKAHEAD_FRAMES) if self._next else NO_TOKEN]
        left = None if self.target_frames is None else self.target_frames - self.frames
        timings = [NO_TIMING] * (len(tokens) - 1) + [self._clock.timing(self.frames)]
        return [(*token, control_id(left), *timing) for token, timing in zip(tokens, timings, strict=True)]

    def flush_row(self, step: int) -> Row:
        """Make the row of a step behind the END, which is there only for the layers that lag: it cues nothing."""
        left = None if self.target_frames is None else 0
        return (*NO_TOKEN, control_id(left), *self._clock.timing(step))

    def heed(self, channel: int) -> None:
        """Take note of channel 0 of the frame that came of the last row."""
        self._next = channel == NEXT
        self.ended = channel == END
        self.frames += not self.ended

    @property
    def _waiting(self) -> int:
        """How many tokens came and were not taken."""
        return len(self.tokens) - len(self.onsets)

    def _primer_length(self) -> int:
        return min(PRIMER_TOKENS, self._waiting)

    def _take(self, onset: int) -> Token:
        token, word = self.tokens[len(self.onsets)]
        self._clock.cue(token, onset)
        self.onsets.append(onset)
        self._end_fed = token == END_TOKEN
        if word is not None:
            self.words.append(WordCue(word, onset))
        return token
