"""The growing WAV file."""

import os
import struct
import threading
import wave
from pathlib import Path

import numpy as np
import pytest
from desk_fakes import RATE_HZ, hum

from voicestack.realtime.wav import CannotWriteError, WavFile, check_writable, is_piped_to


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


def test_two_channels(tmp_path: Path) -> None:
    """They alternate; what is mono goes to both, and the length is that of one."""
    left, right = hum(1920), hum(1920, 0.25)
    with WavFile(tmp_path / "a.wav", 48_000, 2) as file:
        file.write(np.column_stack((left, right)))
        file.write(left)
        assert file.audio_s == 3840 / 48_000
    with wave.open(str(tmp_path / "a.wav")) as read:
        assert (read.getnchannels(), read.getframerate(), read.getnframes()) == (2, 48_000, 3840)
        written = np.frombuffer(read.readframes(3840), "<i2").reshape(-1, 2) / 32767
    np.testing.assert_allclose(written[:, 0], np.concatenate((left, left)), atol=1 / 32767)
    np.testing.assert_allclose(written[:, 1], np.concatenate((right, left)), atol=1 / 32767)


def test_without_samples_there_is_no_file(tmp_path: Path) -> None:
    """A failed call leaves no empty file behind."""
    with WavFile(tmp_path / "a.wav", RATE_HZ):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_seek_gets_a_header_without_a_length(tmp_path: Path) -> None:
    """Through a FIFO come one header, whose sizes say that more follows, and the bare samples."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.append(path.read_bytes()))
    reader.start()
    with WavFile(path, RATE_HZ) as file:
        for piece in np.split(hum(5000), [1920]):
            file.write(piece)
    reader.join(10)
    (data,) = received
    assert struct.unpack_from("<I", data, 4) == struct.unpack_from("<I", data, 40) == (0xFFFFFFFF,)
    np.testing.assert_allclose(np.frombuffer(data[44:], "<i2") / 32767, hum(5000), atol=1 / 32767)


def test_a_full_disk_is_told_with_file_and_remedy() -> None:
    """The message names the file, the reason and the option, and closing adds nothing to it."""
    with WavFile(Path("/dev/full"), RATE_HZ) as file, pytest.raises(CannotWriteError) as told:
        file.write(hum(1920))
    assert str(told.value) == "cannot write /dev/full: No space left on device; name another file with --out"


def test_looking_whether_a_file_can_be_written_leaves_no_trace(tmp_path: Path) -> None:
    """A new file is not there afterwards, an old one is unchanged, and a link to a new file stays one."""
    old, new, link = (tmp_path / name for name in ("old.wav", "new.wav", "link.wav"))
    old.write_bytes(b"as it was")
    link.symlink_to(new)
    for path in (old, new, link, Path("/dev/null")):
        check_writable(path)
    assert old.read_bytes() == b"as it was"
    assert link.is_symlink()
    assert not new.exists()


@pytest.mark.parametrize("name", ["x" * 300, "folder", "no/such/folder.wav"])
def test_what_cannot_be_written_is_found_out_beforehand(name: str, tmp_path: Path) -> None:
    """A name that is too long, a folder, and a file in a folder that is not there."""
    (tmp_path / "folder").mkdir()
    with pytest.raises(CannotWriteError, match="cannot write .*; name another file with --out"):
        check_writable(tmp_path / name)


def test_a_path_is_recognised_as_an_open_pipe_or_file(tmp_path: Path) -> None:
    """/dev/fd leads to what is open; another file does not, and sharing /dev/null harms nobody."""
    reader, writer = os.pipe()
    assert is_piped_to(Path(f"/dev/fd/{writer}"), writer)
    assert not is_piped_to(tmp_path, writer)
    os.close(reader)
    os.close(writer)
    assert not is_piped_to(Path("/dev/null"), writer)
    with open(os.devnull, "w") as nowhere:
        assert not is_piped_to(Path("/dev/null"), nowhere.fileno())
