"""The silence an utterance begins with: whoever waits for the first sound need not hear it."""

import numpy as np
from numpy.typing import NDArray

from .manifest import Manifest

FloatArray = NDArray[np.float32]

AUDIBLE = 0.004
"""Samples below this, -48 dBFS, are silence, well under what counts as the onset of speech."""
_PRE_ROLL_S, _FADE_S = 0.010, 0.005
_LONGEST_S = 0.3
"""No more silence than this is taken away: a voice that says nothing for longer means to."""
FIRST_SOUND_S = 0.03
"""So much is left at least of the frame in which speech begins: its listener lives on it until the next was made."""


class LeadIn:
    """Cuts the silence off the beginning of an utterance, up to 10 ms before its first sound, and fades in there.

    Where the first sound comes at the end of a frame, more silence is left, so that the frame holds `FIRST_SOUND_S`: a
    listener who got less would have played it before the next frame was made. Frames of `frame_samples` end where the
    decoder, late by `delay_samples`, leaves off. Without `frame_samples` somebody is being listened to already, and
    nothing more is left.

    Attributes:
        trimmed: how many samples were taken away so far.
    """

    __slots__ = ("_delay", "_fade", "_frame", "_held", "_is_over", "_least", "_limit", "_pre_roll", "trimmed")

    def __init__(self, sample_rate_hz: int, frame_samples: int = 0, delay_samples: int = 0) -> None:
        self.trimmed = 0
        self._frame, self._delay = max(frame_samples, 1), delay_samples
        self._held: FloatArray = np.zeros(0, np.float32)
        self._is_over = False
        self._limit, self._pre_roll, self._fade, self._least = (
            round(seconds * sample_rate_hz) for seconds in (_LONGEST_S, _PRE_ROLL_S, _FADE_S, FIRST_SOUND_S)
        )
        if not frame_samples:
            self._least = 0

    @classmethod
    def of(cls, manifest: Manifest) -> "LeadIn":
        """The one for the beginning of an utterance of a voice."""
        return cls(manifest.sample_rate_hz, manifest.frame_samples, manifest.codec.delay_samples)

    def cut(self, pcm: FloatArray, *, is_last: bool = False) -> FloatArray:
        """What is to be heard of the next samples; none while all is silence, and all behind the first sound.

        A few samples are held back until it is known what follows them; with `is_last` nothing is.
        """
        if self._is_over:
            return pcm
        pcm = np.concatenate([self._held, pcm])
        loud = np.flatnonzero(np.abs(pcm) > AUDIBLE)
        taken = min(self._silence(loud, len(pcm), is_last), self._limit - self.trimmed)
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

    def _silence(self, loud: NDArray[np.intp], length: int, is_last: bool) -> int:
        """How much of the next samples nobody need hear; `loud` are those that are not silent."""
        if not loud.size:
            return max(length - (self._pre_roll if is_last else max(self._pre_roll, self._least)), 0)
        # What was taken away before counts: frames are those of what was made, not of what is heard.
        into_frame = (self.trimmed + int(loud[0]) + self._delay) % self._frame
        left = self._frame - into_frame
        return max(int(loud[0]) - max(self._pre_roll, self._least - left), 0)
