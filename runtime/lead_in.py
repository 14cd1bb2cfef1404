"""The silence an utterance begins with: whoever waits for the first sound need not hear it."""

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

AUDIBLE = 0.004
"""Samples below this, -48 dBFS, are silence, well under what counts as the onset of speech."""
_PRE_ROLL_S, _FADE_S = 0.010, 0.005
_LONGEST_S = 0.3
"""No more silence than this is taken away: a voice that says nothing for longer means to."""


class LeadIn:
    """Cuts the silence off the beginning of an utterance, up to 10 ms before its first sound, and fades in there.

    Attributes:
        trimmed: how many samples were taken away so far.
    """

    __slots__ = ("_fade", "_held", "_is_over", "_limit", "_pre_roll", "trimmed")

    def __init__(self, sample_rate_hz: int) -> None:
        self.trimmed = 0
        self._held: FloatArray = np.zeros(0, np.float32)
        self._is_over = False
        self._limit, self._pre_roll, self._fade = (
            round(seconds * sample_rate_hz) for seconds in (_LONGEST_S, _PRE_ROLL_S, _FADE_S)
        )

    def cut(self, pcm: FloatArray, *, is_last: bool = False) -> FloatArray:
        """What is to be heard of the next samples; none while all is silence, and all behind the first sound.

        A few samples are held back until it is known what follows them; with `is_last` nothing is.
        """
        if self._is_over:
            return pcm
        pcm = np.concatenate([self._held, pcm])
        loud = np.flatnonzero(np.abs(pcm) > AUDIBLE)
        silent = int(loud[0]) if loud.size else len(pcm)
        taken = min(max(silent - self._pre_roll, 0), self._limit - self.trimmed)
        self.trimmed += taken
        if not (loud.size or is_last or self.trimmed == self._limit):
            self._held = pcm[taken:]
            return pcm[:0]
        self._is_over = True
        heard = pcm[taken:].copy()
        if self.trimmed:
            count = min(self._fade, len(heard))
            heard[:count] *= np.linspace(0, 1, count, dtype=np.float32)
        return heard
