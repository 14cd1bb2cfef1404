"""The growing WAV file."""

import wave
from pathlib import Path

import numpy as np
from desk_fakes import RATE_HZ, hum

from voicestack.realtime.wav import WavFile


def samples(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE_HZ)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_chunks_become_one_file(tmp_path: Path) -> None:
    """What is written in pieces is read as a whole, to a sixteen-bit step."""
    signal = hum(5000)
    with WavFile(tmp_path / "a.wav", RATE_HZ) as file:
        for piece in np.split(signal, [7, 1927, 4000]):
            file.write(piece)
    np.testing.assert_allclose(samples(tmp_path / "a.wav") / 32767, signal, atol=1 / 32767)


def test_the_file_is_valid_while_it_grows(tmp_path: Path) -> None:
    """A reader in the middle, or after a crash, gets all that was written."""
    path = tmp_path / "a.wav"
    with WavFile(path, RATE_HZ) as file:
        file.write(hum(1920))
        assert len(samples(path)) == 1920
        file.write(hum(1920))
        assert len(samples(path)) == 3840


def test_what_is_too_loud_is_clipped(tmp_path: Path) -> None:
    """Samples beyond full scale do not wrap around."""
    with WavFile(tmp_path / "a.wav", RATE_HZ) as file:
        file.write(np.array([2.0, -2.0], np.float32))
    assert samples(tmp_path / "a.wav").tolist() == [32767, -32767]


def test_without_samples_there_is_no_file(tmp_path: Path) -> None:
    """A failed call leaves no empty file behind."""
    with WavFile(tmp_path / "a.wav", RATE_HZ):
        pass
    assert list(tmp_path.iterdir()) == []
