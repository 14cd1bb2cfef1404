"""Where a signal becomes audible."""

import numpy as np
from numpy.typing import NDArray

AUDIBLE_DBFS = -40.0
AUDIBLE_S = 0.05
_BLOCK_S = 0.01


class OnsetDetector:
    """Finds the first audible sample: where 50 ms begin whose every 10 ms are louder than -40 dBFS (RMS).

    The answer does not depend on how the signal was cut into chunks.

    Attributes:
        onset_sample: index of the first audible sample since the start; None while there is none.
    """

    def __init__(self, sample_rate_hz: int) -> None:
        self.onset_sample: int | None = None
        self._block = round(sample_rate_hz * _BLOCK_S)
        self._needed = round(AUDIBLE_S / _BLOCK_S)
        self._floor = 10 ** (AUDIBLE_DBFS / 20)
        self._rest = np.zeros(0, np.float32)
        self._blocks_seen = 0
        self._loud_run = 0

    def add(self, pcm: NDArray[np.float32]) -> None:
        """Listen to the next samples. pcm: float32 [samples], or [samples, channels], in [-1, 1]."""
        if self.onset_sample is not None:
            return
        if pcm.ndim > 1:
            # As loud as its channels are on average.
            pcm = np.sqrt(np.mean(np.square(pcm), axis=1))
        signal = np.concatenate([self._rest, pcm])
        whole = len(signal) // self._block
        blocks = signal[: whole * self._block].reshape(whole, self._block)
        self._rest = signal[whole * self._block :]
        for loud in np.sqrt(np.mean(np.square(blocks), axis=1)) > self._floor:
            self._blocks_seen += 1
            self._loud_run = self._loud_run + 1 if loud else 0
            if self._loud_run == self._needed:
                self.onset_sample = (self._blocks_seen - self._needed) * self._block
                return
