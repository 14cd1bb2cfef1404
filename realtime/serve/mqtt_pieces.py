"""Sound cut into the messages of a session."""

import asyncio
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .mqtt_core import Open
from .pcm import PcmFormat, PcmStream


class Pieces(Protocol):
    """Sound as the messages of one session, cut to their length."""

    content_type: str
    sample_rate_hz: int
    chunk_ms: int

    def feed(self, pcm: NDArray[np.float32], *, is_last: bool = False) -> list[bytes]:
        """The pieces that are complete now; with `is_last` what is left, too."""
        ...

    def drop(self) -> None:
        """Forget what is left of an utterance."""
        ...


class PcmPieces:
    """Samples of 16 bits, little-endian, in pieces of some milliseconds; the last of an utterance is shorter."""

    def __init__(self, source_rate_hz: int, sample_rate_hz: int, chunk_ms: int) -> None:
        self.sample_rate_hz, self.chunk_ms = sample_rate_hz, chunk_ms
        self.content_type = f"audio/L16;rate={sample_rate_hz};endianness=little-endian"
        self._source_rate_hz = source_rate_hz
        self._piece_bytes = 2 * (sample_rate_hz * chunk_ms // 1000)
        self._waiting = b""
        self._stream = self._fresh()

    def feed(self, pcm: NDArray[np.float32], *, is_last: bool = False) -> list[bytes]:
        """The pieces that are complete now; with `is_last` what is left, too."""
        waiting = self._waiting + self._stream.feed(pcm, is_last=is_last)
        size = self._piece_bytes
        whole = len(waiting) if is_last else len(waiting) - len(waiting) % size
        if is_last:
            self.drop()
        else:
            self._waiting = waiting[whole:]
        return [waiting[at : min(at + size, whole)] for at in range(0, whole, size)]

    def drop(self) -> None:
        """Forget what is left of an utterance."""
        self._waiting, self._stream = b"", self._fresh()

    def _fresh(self) -> PcmStream:
        return PcmStream(self._source_rate_hz, PcmFormat(self.sample_rate_hz))


class _OpusPieces:
    """An Opus packet of 20 ms each."""

    content_type, sample_rate_hz, chunk_ms = "audio/opus", 48_000, 20

    def __init__(self, source_rate_hz: int) -> None:
        # It takes its time to import, and not everybody has what it needs.
        from .encoders import OpusPackets

        packets = OpusPackets(source_rate_hz)
        self.feed, self.drop = packets.feed, packets.drop


async def pieces_for(wish: Open, source_rate_hz: int) -> Pieces:
    """The sound that a device asked for. InputError when what makes it is not installed."""
    if wish.form == "opus":
        return await asyncio.to_thread(_OpusPieces, source_rate_hz)
    return PcmPieces(source_rate_hz, wish.sample_rate_hz or source_rate_hz, wish.chunk_ms or 80)
