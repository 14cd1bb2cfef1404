"""A WAV file that grows while speech is made."""

import wave
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray


class WavFile:
    """A mono 16-bit WAV file, made with the first samples and valid after every write.

    Use it as a context manager. A file that never got a sample is never made.
    """

    def __init__(self, path: Path, sample_rate_hz: int) -> None:
        self.path = path
        self._rate = sample_rate_hz
        self._raw: BinaryIO | None = None
        self._wave: wave.Wave_write | None = None

    def __enter__(self) -> "WavFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._wave is not None and self._raw is not None:
            self._wave.close()
            self._raw.close()

    def write(self, pcm: NDArray[np.float32]) -> None:
        """Append float32 [samples]; what lies outside [-1, 1] is clipped. Raises OSError as files do."""
        if self._wave is None:
            self._raw = self.path.open("wb", buffering=0)
            self._wave = wave.open(self._raw, "wb")
            self._wave.setnchannels(1)
            self._wave.setsampwidth(2)
            self._wave.setframerate(self._rate)
        # Unlike writeframesraw, writeframes puts the true length into the header each time.
        self._wave.writeframes((np.clip(pcm, -1.0, 1.0) * 32_767.0).round().astype("<i2").tobytes())
