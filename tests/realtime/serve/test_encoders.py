import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

pytest.importorskip("soxr")

from voicestack.realtime.serve.encoders import FORMATS, PACKET_S, OpusPackets, encoder
from voicestack.runtime import InputError

av: Any = pytest.importorskip("av")

RATE = 24_000
FRAME = 1920


def tone(seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def decoded(data: bytes) -> tuple[NDArray[np.float32], int]:
    """The samples of a file, as another program hears them."""
    with av.open(io.BytesIO(data)) as container:
        frames = [(frame.to_ndarray(), frame.sample_rate) for frame in container.decode(audio=0)]
    parts = [part.reshape(-1).astype(np.float32) / (32768 if part.dtype.kind == "i" else 1) for part, _ in frames]
    return np.concatenate(parts), frames[0][1]


def pitch_hz(pcm: NDArray[np.float32], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * rate / len(pcm))


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "pcm"])
def test_a_file_made_piece_by_piece_is_what_was_said(form: str) -> None:
    """Another decoder hears the tone at its pitch, loudness and length."""
    made, pcm = encoder(form, RATE), tone(1.0)
    data = b"".join([*(made.feed(pcm[at : at + FRAME]) for at in range(0, len(pcm), FRAME)), made.finish()])
    heard, rate = decoded(data)
    assert len(heard) / rate == pytest.approx(1.0, abs=0.1)
    middle = heard[rate // 4 : -rate // 4]
    assert pitch_hz(middle, rate) == pytest.approx(440, abs=5)
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.1)


@pytest.mark.parametrize("form", FORMATS)
def test_the_first_sound_is_out_with_the_first_frame_or_the_second(form: str) -> None:
    """AAC holds the first 80 ms back, no format more than that."""
    made = encoder(form, RATE)
    first, second = made.feed(tone(0.08)), made.feed(tone(0.08))
    assert second
    assert first or form == "aac"


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_of_nothing_is_made_without_an_error(form: str) -> None:
    """Whoever gets no sound finishes all the same."""
    encoder(form, RATE).finish()


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 44_100, 48_000])
def test_every_rate_of_a_voice_becomes_that_of_the_file(rate: int) -> None:
    """The length in seconds and the pitch stay."""
    made, pcm = encoder("wav", rate), tone(0.8, rate)
    data = b"".join([*(made.feed(pcm[at : at + 1000]) for at in range(0, len(pcm), 1000)), made.finish()])
    heard = np.frombuffer(data[44:], "<i2").astype(np.float32) / np.float32(32767)
    assert len(heard) / RATE == pytest.approx(0.8, abs=0.01)
    assert pitch_hz(heard, RATE) == pytest.approx(440, abs=5)


def test_an_unknown_format_is_told_with_those_there_are() -> None:
    """InputError names them."""
    with pytest.raises(InputError, match=r"mp3, opus, aac, flac, wav, pcm, got 'ogg'"):
        encoder("ogg", RATE)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=12), st.sampled_from([8000, 22_050, 24_000, 48_000]))
def test_opus_packets_are_20_ms_each_however_the_sound_is_cut(sizes: list[int], rate: int) -> None:
    """As many as the sound fills, the last one filled up; their number does not depend on the pieces."""
    opus, pcm = OpusPackets(rate), tone(sum(sizes) / rate, rate)[: sum(sizes)]
    packets, at = [], 0
    for size in sizes:
        packets += opus.feed(pcm[at : at + size])
        at += size
    packets += opus.finish()
    exact = len(pcm) / rate / PACKET_S
    assert exact - 0.2 <= len(packets) <= exact + 1.2
    assert all(2 < len(packet) < 400 for packet in packets)


def test_opus_packets_are_heard_as_they_were_spoken() -> None:
    """A decoder gets the tone back, silence behind it, and 20 ms of each packet."""
    opus = OpusPackets(RATE)
    packets = [*opus.feed(tone(1.0)), *opus.finish(), *(opus.silence() for _ in range(10))]
    assert len(packets) == 60
    decoder = av.CodecContext.create("libopus", "r")
    decoder.sample_rate, decoder.layout = 48_000, "mono"
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    assert {frame.samples for frame in frames} == {960}
    heard = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32)
    heard /= np.float32(32768 if frames[0].format.name.startswith("s16") else 1)
    assert pitch_hz(heard[9600:38_400], 48_000) == pytest.approx(440, abs=5)
    assert np.abs(heard[-4800:]).max() < 0.01
    assert np.mean([len(packet) for packet in packets[:50]]) * 50 * 8 == pytest.approx(32_000, rel=0.4)


def test_silence_completes_a_packet_and_dropping_forgets_it() -> None:
    """After either nothing is left of the sound before."""
    opus = OpusPackets(RATE)
    assert opus.feed(tone(0.01)) == []
    assert len(opus.silence()) > 20
    assert opus.finish() == []
    opus.feed(tone(0.01))
    opus.drop()
    assert opus.finish() == []


@pytest.mark.parametrize("drop", [True, False])
def test_an_utterance_owes_nothing_to_the_one_before(drop: bool) -> None:
    """At a rate that Opus has not, either: what the resampler holds back ends with its utterance."""
    packets = OpusPackets(44_100)
    loud = np.full(441, 0.5, np.float32)
    if drop:
        packets.feed(loud)
        packets.drop()
    else:
        assert len([*packets.feed(loud), *packets.finish()]) == 1
    packets.feed(np.zeros(800, np.float32))
    assert not any(packets._waiting)
