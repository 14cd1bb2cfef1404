"""What a listener would have noticed: delays, speed and gaps of one utterance. Knows no clock; times are given."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .onset import OnsetDetector

_TIMER_SLACK_S = 1e-3


@dataclass(frozen=True, slots=True)
class Figures:
    """One utterance in numbers.

    ttfb_s: request to the first chunk. ttfa_s: request to the moment the first audible sample is heard, when playback
    starts at the first chunk; None when nothing was audible. rtf: seconds of work per second of audio.
    """

    ttfb_s: float
    ttfa_s: float | None
    rtf: float
    audio_s: float
    underruns: int
    underrun_s: float


def mono(pcm: NDArray[np.float32]) -> NDArray[np.float32]:
    """Float32 [samples] of [samples] or [samples, channels]: the mean of all channels."""
    return pcm if pcm.ndim == 1 else pcm.mean(axis=1)


class Meter:
    """Follows the chunks of one utterance against a virtual player that starts with the first one.

    An underrun is a moment at which that player runs dry while there is text to speak. Silence that begins while text
    is awaited is the writer's, also for as long as it then takes to make speech of the text.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self._rate = sample_rate_hz
        self._onset = OnsetDetector(sample_rate_hz)
        self._samples = 0
        self._work_s = 0.0
        self._first_s: float | None = None
        self._dry_at_s = 0.0
        self._onset_heard_s: float | None = None
        self._underruns = 0
        self._underrun_s = 0.0

    @property
    def audio_s(self) -> float:
        """Seconds of audio so far."""
        return self._samples / self._rate

    @property
    def rtf(self) -> float:
        """Seconds of work per second of audio so far; 0 before the first chunk."""
        return self._work_s / self.audio_s if self._samples else 0.0

    def lead_s(self, now_s: float) -> float:
        """Seconds of audio that exist but are not played yet at that moment."""
        return max(0.0, self._dry_at_s - now_s)

    def add(
        self,
        pcm: NDArray[np.float32],
        *,
        arrived_s: float,
        work_s: float,
        waited_s: float = 0.0,
        waited_until_s: float = 0.0,
    ) -> None:
        """Count a chunk.

        Args:
            pcm: float32 [samples] or [samples, channels].
            arrived_s: when it arrived, on any clock.
            work_s: how long it took to make.
            waited_s: how long, of the time since the last chunk, there was no text to speak.
            waited_until_s: when that ended, on the clock of `arrived_s`.
        """
        if self._first_s is None:
            self._first_s = self._dry_at_s = arrived_s
        gap_s = arrived_s - self._dry_at_s
        if waited_until_s > self._dry_at_s:
            # Waiting that ended within the lead was heard by nobody and excuses nothing.
            began_dry = waited_until_s - waited_s > self._dry_at_s
            gap_s = gap_s - waited_s if began_dry else 0.0
        if gap_s > _TIMER_SLACK_S:
            self._underruns += 1
            self._underrun_s += gap_s
        begins_s = max(self._dry_at_s, arrived_s)
        self._onset.add(pcm)
        if self._onset_heard_s is None and self._onset.onset_sample is not None:
            # The detector decides up to 50 ms late, so the onset may lie in an earlier chunk than this one.
            self._onset_heard_s = begins_s + (self._onset.onset_sample - self._samples) / self._rate
        self._samples += len(pcm)
        self._work_s += work_s
        self._dry_at_s = begins_s + len(pcm) / self._rate

    def figures(self, requested_s: float) -> Figures:
        """The numbers so far, for a request made at that moment; there must have been a chunk."""
        if self._first_s is None:
            raise RuntimeError("no chunk was counted yet")
        return Figures(
            ttfb_s=self._first_s - requested_s,
            ttfa_s=None if self._onset_heard_s is None else self._onset_heard_s - requested_s,
            rtf=self.rtf,
            audio_s=self.audio_s,
            underruns=self._underruns,
            underrun_s=self._underrun_s,
        )
