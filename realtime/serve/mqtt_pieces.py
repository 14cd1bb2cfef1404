"""Sound cut into the messages of a session."""

import asyncio
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .mqtt_core import Open
from .pcm import Frames, PcmFormat, PcmStream


class Pieces(Frames, Protocol):
    """Sound as the messages of one session, cut to their length."""

    content_type: str
    chunk_ms: int


class PcmPieces:
    """Samples of 16 bits, little-endian, in pieces of some milliseconds; the last of an utterance is shorter."""

    def __init__(self, source_rate_hz: int, sample_rate_hz: int, chunk_ms: int) -> None:
        self.sample_rate_hz, self.chunk_ms = sample_rate_hz, chunk_ms
        self.content_type = f"audio/L16;rate={sample_rate_hz};endianness=little-endian"
        self._piece_bytes = 2 * (sample_rate_hz * chunk_ms // 1000)
        self._waiting = b""
        self._stream = PcmStream(source_rate_hz, PcmFormat(sample_rate_hz))

    def feed(self, pcm: NDArray[np.float32]) -> list[bytes]:
        """The pieces that are complete now."""
        waiting = self._waiting + self._stream.feed(pcm)
        whole = len(waiting) - len(waiting) % self._piece_bytes
        self._waiting = waiting[whole:]
        return self._cut(waiting[:whole])

    def finish(self) -> list[bytes]:
        """What is left of an utterance."""
        waiting, self._waiting = self._waiting + self._stream.finish(), b""
        return self._cut(waiting)

    def drop(self) -> None:
        """Forget what is left of an utterance."""
        self._waiting = b""
        self._stream.drop()

    def _cut(self, data: bytes) -> list[bytes]:
        return [data[at : at + self._piece_bytes] for at in range(0, len(data), self._piece_bytes)]


class _OpusPieces:
    """An Opus packet of 20 ms each."""

    content_type, sample_rate_hz, chunk_ms = "audio/opus", 48_000, 20

    def __init__(self, source_rate_hz: int) -> None:
        # It takes its time to import, and not everybody has what it needs.
        from .encoders import OpusPackets

        packets = OpusPackets(source_rate_hz)
        self.feed, self.finish, self.drop = packets.feed, packets.finish, packets.drop


async def pieces_for(wish: Open, source_rate_hz: int) -> Pieces:
    """The sound that a device asked for. InputError when what makes it is not installed."""
    if wish.form == "opus":
        return await asyncio.to_thread(_OpusPieces, source_rate_hz)
    return PcmPieces(source_rate_hz, wish.sample_rate_hz or source_rate_hz, wish.chunk_ms or 80)
