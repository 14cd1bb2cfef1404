"""Silence that a text asks for, given out in the place of a sentence."""

import numpy as np

from .chunk import Chunk
from .lead_in import LeadIn
from .sentence_sound import Progress, Studio


class Rest:
    """One pause of an utterance, between two sentences, before the first or behind the last.

    It is to be heard as long as it was asked for. So the silence that the sentence before it ended with is a part of
    it, and the one that the next begins with is taken away, but where a length was asked for of the whole utterance:
    there every sentence keeps all of its share.
    """

    def __init__(self, seconds: float, studio: Studio, progress: Progress) -> None:
        self._studio, self._progress = studio, progress
        rate_hz = studio.manifest.sample_rate_hz
        self._left = round(seconds * rate_hz)
        if progress.lead_in is not None:
            self._left -= progress.quiet
            progress.lead_in = LeadIn(rate_hz)
        progress.quiet = 0

    @property
    def over(self) -> bool:
        """Whether nothing of it is left."""
        return self._left <= 0

    def chunk(self, frames: int) -> Chunk:
        """The next piece of it, of so many frames of sound, or what is left; it has no codes."""
        studio, progress = self._studio, self._progress
        count = min(self._left, frames * studio.manifest.frame_samples)
        self._left -= count
        start, rate_hz = progress.samples, studio.manifest.sample_rate_hz
        progress.samples += count
        progress.lead.give(studio.clock(), count / rate_hz)
        return Chunk(
            np.zeros(count, np.float32), start / rate_hz, (), codes=np.zeros((0, studio.manifest.n_vq), np.int64)
        )
