import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("soxr", reason="the `serve` extra is not installed")

from voicestack.realtime.serve.pcm import Encoding, PcmFormat, PcmStream
from voicestack.runtime import InputError


def tone(samples: int, rate_hz: int = 24_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(samples) / rate_hz)).astype(np.float32)


def spoken(pcm: np.ndarray, source_hz: int, form: PcmFormat) -> bytes:
    """All bytes of an utterance that comes in one piece."""
    stream = PcmStream(source_hz, form)
    return stream.feed(pcm) + stream.finish()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 3000), max_size=8), st.sampled_from([8000, 16_000, 22_050, 24_000, 48_000]))
def test_how_sound_is_cut_does_not_matter(cuts: list[int], rate_hz: int) -> None:
    """The bytes of the pieces are those of the whole, at any rate."""
    pcm = tone(sum(cuts))
    whole = spoken(pcm, 24_000, PcmFormat(rate_hz))
    stream = PcmStream(24_000, PcmFormat(rate_hz))
    parts = [stream.feed(piece) for piece in np.split(pcm, np.cumsum(cuts, dtype=int)[:-1])]
    parts.append(stream.finish())
    got, expected = (np.frombuffer(data, "<i2").astype(int) for data in (b"".join(parts), whole))
    assert len(got) == len(expected)
    assert np.abs(got - expected).max(initial=0) <= 1


def test_the_length_follows_the_rate() -> None:
    """A second is a second at any rate, and the tone is the same tone."""
    data = spoken(tone(24_000), 24_000, PcmFormat(8000))
    samples = np.frombuffer(data, "<i2")
    assert abs(len(samples) - 8000) <= 2
    assert np.argmax(np.abs(np.fft.rfft(samples[:8000]))) == pytest.approx(440, abs=1)


def test_channels_become_their_mean() -> None:
    """Stereo is heard as one channel."""
    pcm = np.stack([tone(100), -tone(100)], axis=1)
    assert not any(PcmStream(24_000, PcmFormat()).feed(pcm))


def test_too_loud_samples_are_clipped() -> None:
    """They never wrap around."""
    data = PcmStream(24_000, PcmFormat()).feed(np.array([2.0, -2.0, 0.0], np.float32))
    assert np.frombuffer(data, "<i2").tolist() == [32767, -32767, 0]


@pytest.mark.parametrize(
    ("encoding", "loud", "codes"),
    [
        # ITU-T G.711, tables 1a and 2a: the ends of the first and the last segment, and silence.
        ("pcm_mulaw", [1.0, -1.0, 0.0], [0x80, 0x00, 0xFF]),
        ("pcm_alaw", [1.0, -1.0, 0.0], [0xAA, 0x2A, 0xD5]),
    ],
)
def test_companded_codes_are_those_of_the_standard(encoding: Encoding, loud: list[float], codes: list[int]) -> None:
    """The loudest codes and silence are as in G.711."""
    data = PcmStream(24_000, PcmFormat(24_000, encoding)).feed(np.array(loud, np.float32))
    assert list(data) == codes


@pytest.mark.parametrize("encoding", ["pcm_mulaw", "pcm_alaw"])
def test_companding_is_undone_by_a_decoder(encoding: Encoding) -> None:
    """FFmpeg's decoder gives back each sample to within half a step of its segment."""
    av = pytest.importorskip("av", reason="the `serve` extra is not installed")
    pcm = np.linspace(-1, 1, 4001).astype(np.float32)
    decoder = av.CodecContext.create(encoding, "r")
    decoder.sample_rate, decoder.layout = 24_000, "mono"
    (frame,) = decoder.decode(av.Packet(PcmStream(24_000, PcmFormat(24_000, encoding)).feed(pcm)))
    error = np.abs(frame.to_ndarray()[0] / 32768 - pcm)
    assert (error <= np.maximum(np.abs(pcm) / 30, 0.0008)).all()


@pytest.mark.parametrize(("rate_hz", "encoding"), [(7999, "pcm_s16le"), (96_000, "pcm_s16le"), (24_000, "mp3")])
def test_formats_there_are_not_are_refused(rate_hz: int, encoding: Encoding) -> None:
    """The error names the field and what would do."""
    with pytest.raises(InputError, match="must be"):
        PcmFormat(rate_hz, encoding)


@pytest.mark.parametrize(("source_hz", "rate_hz", "tone_hz"), [(24_000, 8000, 7000), (48_000, 24_000, 14_000)])
def test_what_a_lower_rate_cannot_hold_is_left_out(source_hz: int, rate_hz: int, tone_hz: int) -> None:
    """It is not mirrored into what can be heard."""
    times = np.arange(source_hz) / source_hz
    pcm = (0.5 * np.sin(2 * np.pi * tone_hz * times)).astype(np.float32)
    data = spoken(pcm, source_hz, PcmFormat(rate_hz, "pcm_f32le"))
    middle = np.frombuffer(data, "<f4")[rate_hz // 4 : -rate_hz // 4]
    assert np.abs(middle).max() < 0.005
