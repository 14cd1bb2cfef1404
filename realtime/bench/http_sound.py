"""What an OpenAI-compatible server sends: raw samples or a WAV file, in pieces that may end anywhere."""

import struct

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import InputError

from ..meter import mono

PCM_RATE_HZ = 24_000
"""What `response_format: pcm` means there: 24 kHz, 16 bit, one channel, no header."""
_PCM16 = 1


class SoundParser:
    """Bytes in, float32 samples out; a WAV header, where there is one, tells the rate and the channels."""

    def __init__(self) -> None:
        self.sample_rate_hz = PCM_RATE_HZ
        self._channels = 1
        self._rest = b""
        self._in_samples = False

    def feed(self, data: bytes) -> NDArray[np.float32]:
        """The samples that are complete now, float32 [samples], all channels as their mean."""
        self._rest += data
        if not self._in_samples and not self._header():
            return np.zeros(0, np.float32)
        whole = len(self._rest) // (2 * self._channels) * 2 * self._channels
        samples, self._rest = np.frombuffer(self._rest[:whole], "<i2").astype(np.float32), self._rest[whole:]
        return mono(samples.reshape(-1, self._channels) / np.float32(32768))

    def _header(self) -> bool:
        """Read past a WAV header; false when more bytes are needed for that."""
        if len(self._rest) < 4:
            return False
        if self._rest[:4] != b"RIFF":
            self._in_samples = True
            return True
        at = 12
        while len(self._rest) >= at + 8:
            name, size = self._rest[at : at + 4], struct.unpack_from("<I", self._rest, at + 4)[0]
            if name == b"data":
                self._rest, self._in_samples = self._rest[at + 8 :], True
                return True
            if name == b"fmt " and len(self._rest) >= at + 24:
                kind, self._channels, self.sample_rate_hz = struct.unpack_from("<HHI", self._rest, at + 8)
                bits = struct.unpack_from("<H", self._rest, at + 22)[0]
                if kind not in (_PCM16, 0xFFFE) or bits != 16 or not self._channels or not self.sample_rate_hz:
                    raise InputError(f"the server sends WAV of kind {kind} with {bits} bits; only 16-bit PCM is read")
            at += 8 + size + size % 2
        return False
