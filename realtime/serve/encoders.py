"""Speech as files that grow, and as Opus packets: the one place that knows the codecs of FFmpeg."""

from dataclasses import dataclass, field
from fractions import Fraction
from types import ModuleType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import InputError

from ..wav import endless_header
from .pcm import PcmFormat, PcmStream

FILE_RATE_HZ = 24_000
"""Samples in a second of every file format, as clients of OpenAI's API expect."""
PACKET_S = 0.02
_OPUS_RATES_HZ = (8000, 12_000, 16_000, 24_000, 48_000)
_OPUS = {"application": "voip", "frame_duration": "20"}
_LOSSY = {"fec": "1", "packet_loss": "10"}


class Encoder(Protocol):
    """A file that is made while speech is: float32 in, its bytes out."""

    @property
    def content_type(self) -> str:
        """Its media type."""
        ...

    def feed(self, pcm: NDArray[np.float32]) -> bytes:
        """The bytes that are complete now, maybe none."""
        ...

    def finish(self) -> bytes:
        """What is left; nothing may be fed afterwards."""
        ...


@dataclass(frozen=True, slots=True)
class _Form:
    """A format of FFmpeg. sample: how its encoder wants samples; bit_rate: None for a lossless one."""

    content_type: str
    container: str
    codec: str
    sample: str
    bit_rate: int | None = None
    container_options: dict[str, str] = field(default_factory=dict)
    codec_options: dict[str, str] = field(default_factory=dict)


_FORMS = {
    # A Xing header would have to be filled in at the end, where there is no way back.
    "mp3": _Form("audio/mpeg", "mp3", "libmp3lame", "s16p", 64_000, {"write_xing": "0", "id3v2_version": "0"}),
    "opus": _Form("audio/ogg", "ogg", "libopus", "s16", 32_000, {"page_duration": "20000"}, _OPUS),
    "aac": _Form("audio/aac", "adts", "aac", "fltp", 64_000),
    # Its own choice of 170 ms would hold the first sound back.
    "flac": _Form("audio/flac", "flac", "flac", "s16", None, {}, {"frame_size": "1920"}),
}
FORMATS = ("mp3", "opus", "aac", "flac", "wav", "pcm")


def encoder(form: str, source_rate_hz: int) -> Encoder:
    """An encoder of one of FORMATS, for one utterance. InputError when there is none."""
    if form == "pcm":
        return _Raw(source_rate_hz)
    if form == "wav":
        return _Wav(source_rate_hz)
    if form not in _FORMS:
        raise InputError(f"response_format must be one of {', '.join(FORMATS)}, got {form!r}")
    return _File(_FORMS[form], source_rate_hz)


class _Raw(PcmStream):
    """Samples and nothing else: 16 bit, little-endian, one channel."""

    content_type = "audio/pcm"

    def __init__(self, source_rate_hz: int) -> None:
        super().__init__(source_rate_hz, PcmFormat(FILE_RATE_HZ))


class _Wav(_Raw):
    """The same behind a header that leaves the length open."""

    content_type = "audio/wav"

    def __init__(self, source_rate_hz: int) -> None:
        super().__init__(source_rate_hz)
        self._header = endless_header(FILE_RATE_HZ)

    def feed(self, pcm: NDArray[np.float32]) -> bytes:
        return self._headed(super().feed(pcm))

    def finish(self) -> bytes:
        return self._headed(super().finish())

    def _headed(self, samples: bytes) -> bytes:
        header, self._header = self._header, b""
        return header + samples


class _Written:
    """Where FFmpeg writes; without `seek`, so that it never tries to go back."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        return data


class _File:
    """A compressed file."""

    def __init__(self, form: _Form, source_rate_hz: int) -> None:
        self.content_type = form.content_type
        self._av = _load_av()
        self._stream = PcmStream(source_rate_hz, PcmFormat(FILE_RATE_HZ))
        self._written = _Written()
        self._form = form
        self._container = self._av.open(self._written, "w", format=form.container, options=dict(form.container_options))
        self._track: Any = self._container.add_stream(
            form.codec, rate=FILE_RATE_HZ, layout="mono", options=dict(form.codec_options)
        )
        if form.bit_rate is not None:
            self._track.bit_rate = form.bit_rate
        self._samples = 0

    def feed(self, pcm: NDArray[np.float32]) -> bytes:
        self._encode(self._stream.feed(pcm))
        return self._written.take()

    def finish(self) -> bytes:
        self._encode(self._stream.finish())
        for packet in self._track.encode(None):
            self._container.mux(packet)
        self._container.close()
        return self._written.take()

    def _encode(self, data: bytes) -> None:
        if data:
            frame = _frame(self._av, data, self._form.sample, FILE_RATE_HZ, self._samples)
            self._samples += len(data) // 2
            for packet in self._track.encode(frame):
                self._container.mux(packet)


class OpusPackets:
    """Opus packets of 20 ms each, one channel, of one stream: whoever sends them sends all, one after the other.

    Attributes:
        sample_rate_hz: that of the encoder. A packet is a fiftieth of it in samples, in whatever clock it is counted.
    """

    def __init__(self, source_rate_hz: int, bit_rate: int = 32_000) -> None:
        """InputError when PyAV is not installed."""
        av = self._av = _load_av()
        self.sample_rate_hz = source_rate_hz if source_rate_hz in _OPUS_RATES_HZ else 24_000
        self._packet_samples = round(self.sample_rate_hz * PACKET_S)
        self._stream = PcmStream(source_rate_hz, PcmFormat(self.sample_rate_hz))
        self._waiting = bytearray()
        self._samples = 0
        self._codec: Any = av.CodecContext.create("libopus", "w")
        self._codec.sample_rate, self._codec.layout, self._codec.format = self.sample_rate_hz, "mono", "s16"
        self._codec.bit_rate = bit_rate
        self._codec.options = {**_OPUS, **_LOSSY}
        self._codec.open()
        if self._codec.options:
            # An option it does not know is left there, and without it the packets are not what they are said to be.
            raise RuntimeError(f"this build of libopus ignores {sorted(self._codec.options)}; install another PyAV")

    def feed(self, pcm: NDArray[np.float32]) -> list[bytes]:
        """The packets that are complete now."""
        return self._packets(self._stream.feed(pcm))

    def finish(self) -> list[bytes]:
        """What is left of an utterance, filled up with silence."""
        packets = self._packets(self._stream.finish())
        return [*packets, self.silence()] if self._waiting else packets

    def silence(self) -> bytes:
        """One packet of silence, behind what is left of the sound if there is any."""
        self._waiting += bytes(2 * self._packet_samples - len(self._waiting))
        return self._take()

    def _take(self) -> bytes:
        data = bytes(self._waiting[: 2 * self._packet_samples])
        del self._waiting[: len(data)]
        packets = self._codec.encode(_frame(self._av, data, "s16", self.sample_rate_hz, self._samples))
        self._samples += self._packet_samples
        # libopus gives a packet for each frame of its own size.
        (packet,) = packets
        return bytes(packet)

    def drop(self) -> None:
        """Forget what did not fill a packet, at an interruption."""
        self._waiting.clear()
        self._stream.drop()

    def _packets(self, data: bytes) -> list[bytes]:
        self._waiting += data
        packets = []
        while len(self._waiting) >= 2 * self._packet_samples:
            packets.append(self._take())
        return packets


def rtc_packet(payload: bytes, number: int) -> Any:
    """One of `OpusPackets` as a media track hands it out, the n-th 20 ms of its clock."""
    packet = _load_av().Packet(payload)
    packet.pts, packet.time_base = number * 960, Fraction(1, 48_000)
    return packet


def _frame(av: ModuleType, data: bytes, sample: str, rate_hz: int, at_sample: int) -> Any:
    """Samples of 16 bits as FFmpeg takes them, [1, samples]."""
    samples = np.frombuffer(data, "<i2")[None]
    if sample == "fltp":
        samples = samples.astype(np.float32) / np.float32(32767)
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format=sample, layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = rate_hz, at_sample, Fraction(1, rate_hz)
    return frame


def _load_av() -> ModuleType:
    """PyAV, which takes its time to import and not everybody installs."""
    try:
        import av
    except ImportError as error:
        raise InputError(
            "this format needs the package av, which is not installed; install it, or ask for pcm or wav"
        ) from error
    module: ModuleType = av
    return module
