"""Sound as bytes at the rate and in the encoding that a client asked for, piece by piece."""

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import soxr
from numpy.typing import NDArray

from voicestack.runtime import InputError

from ..meter import mono

Encoding = Literal["pcm_s16le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"]
RATES_HZ = range(8000, 48_001)


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """One channel of samples. Raises InputError for a rate or an encoding there is not."""

    sample_rate_hz: int = 24_000
    encoding: Encoding = "pcm_s16le"

    def __post_init__(self) -> None:
        if self.sample_rate_hz not in RATES_HZ:
            raise InputError(f"sample_rate must be 8000 to 48000, got {self.sample_rate_hz!r}")
        if self.encoding not in get_args(Encoding):
            raise InputError(f"encoding must be one of {', '.join(get_args(Encoding))}, got {self.encoding!r}")


class PcmStream:
    """Float32 in, [samples] or [samples, channels]; bytes out. The pieces of an utterance have no joints."""

    def __init__(self, source_rate_hz: int, form: PcmFormat) -> None:
        self.form, self._source_rate_hz = form, source_rate_hz
        self._resampler = self._fresh()

    def feed(self, pcm: NDArray[np.float32]) -> bytes:
        """The bytes of what came, all channels as their mean, but for what the resampler holds back."""
        return self._bytes(pcm, is_last=False)

    def finish(self) -> bytes:
        """What it held back; the utterance is over, and the next owes nothing to it."""
        rest = self._bytes(np.zeros(0, np.float32), is_last=True)
        self.drop()
        return rest

    def drop(self) -> None:
        """Forget what it held back, at an interruption."""
        self._resampler = self._fresh()

    def _fresh(self) -> soxr.ResampleStream | None:
        source_rate_hz, rate_hz = self._source_rate_hz, self.form.sample_rate_hz
        if rate_hz == source_rate_hz:
            return None
        # QQ delays by 0.08 ms, LQ by 3 to 13 ms; but QQ has no filter, and would mirror what a lower rate cannot hold.
        quality = "QQ" if rate_hz > source_rate_hz else "LQ"
        return soxr.ResampleStream(source_rate_hz, rate_hz, 1, "float32", quality)

    def _bytes(self, pcm: NDArray[np.float32], *, is_last: bool) -> bytes:
        samples = mono(pcm)
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(np.ascontiguousarray(samples), last=is_last)
        return _encoded(samples, self.form.encoding)


class Frames(Protocol):
    """Makes messages of the sound of one utterance after the other."""

    sample_rate_hz: int

    def feed(self, pcm: NDArray[np.float32]) -> list[bytes]:
        """Those that are complete now."""
        ...

    def finish(self) -> list[bytes]:
        """Those that are left of an utterance."""
        ...

    def drop(self) -> None:
        """Forget what is left of it, at an interruption."""
        ...


def _encoded(samples: NDArray[np.float32], encoding: Encoding) -> bytes:
    if encoding == "pcm_f32le":
        return samples.astype("<f4").tobytes()
    clipped = np.clip(samples, -1.0, 1.0)
    if encoding == "pcm_s16le":
        return np.rint(clipped * 32767).astype("<i2").tobytes()
    return (_mulaw(clipped) if encoding == "pcm_mulaw" else _alaw(clipped)).tobytes()


def _mulaw(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """ITU-T G.711, mu-law: 14-bit magnitude with a bias of 33, three bits of exponent, four of mantissa, inverted."""
    magnitude = np.minimum(np.rint(np.abs(samples) * 8159).astype(np.int32) + 33, 8191)
    exponent = np.maximum(np.floor(np.log2(magnitude)).astype(np.int32) - 5, 0)
    mantissa = (magnitude >> (exponent + 1)) & 0x0F
    sign = np.where(samples < 0, 0x80, 0)
    code: NDArray[np.uint8] = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return code


def _alaw(samples: NDArray[np.float32]) -> NDArray[np.uint8]:
    """ITU-T G.711, A-law: 13-bit magnitude, three bits of exponent, four of mantissa, even bits inverted."""
    magnitude = np.minimum(np.rint(np.abs(samples) * 4095).astype(np.int32), 4095)
    exponent = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int32) - 4, 0)
    exponent = np.minimum(exponent, 7)
    mantissa = (magnitude >> np.maximum(exponent, 1)) & 0x0F
    sign = np.where(samples < 0, 0, 0x80)
    code: NDArray[np.uint8] = ((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8)
    return code
