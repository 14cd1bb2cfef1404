"""A WAV file that grows while speech is made."""

import contextlib
import os
import stat
import struct
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import VoicestackError

_SAMPLE_BYTES = 2
_UNKNOWN_BYTES = 0xFFFF_FFFF
"""The size that players read as `until the stream ends`."""


class CannotWriteError(VoicestackError):
    """A file cannot be written; the message names it, the reason and the remedy."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(f"cannot write {path}: {error.strerror}; name another file with --out")


def check_writable(path: Path) -> None:
    """Find out whether a file can be written, and leave it as it was. Raises CannotWriteError."""
    try:
        if not path.exists():
            # Only making it tells for sure. The real path, because a link may lead to a file that is not there yet.
            real = Path(os.path.realpath(path))
            real.open("xb").close()
            real.unlink()
        elif path.is_file() or path.is_dir():
            path.open("ab").close()
        # Opening anything else, such as a FIFO, would already be noticed at its other end.
    except OSError as error:
        raise CannotWriteError(path, error) from error


def is_piped_to(path: Path, descriptor: int) -> bool:
    """Whether a path such as /dev/stdout leads to the pipe or file that is open as this descriptor."""
    try:
        target, opened = path.stat(), os.fstat(descriptor)
    except OSError:
        return False
    # Two writers do not spoil anything in /dev/null.
    return os.path.samestat(target, opened) and not stat.S_ISCHR(opened.st_mode)


class WavFile:
    """A 16-bit WAV file, made with the first samples and valid after every write.

    Where the file cannot seek, as a pipe cannot, its header says that the length is unknown. A file that never got a
    sample is never made. Use it as a context manager.
    """

    def __init__(self, path: Path, sample_rate_hz: int, channels: int = 1) -> None:
        self.path = path
        self._rate, self._channels = sample_rate_hz, channels
        self._file: BinaryIO | None = None
        self._data_bytes = 0

    @property
    def audio_s(self) -> float:
        """Seconds of audio in the file."""
        return self._data_bytes / (_SAMPLE_BYTES * self._channels) / self._rate

    def __enter__(self) -> "WavFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; what was written is valid already."""
        if self._file is not None:
            # All was flushed, unless writing failed, and then that was told.
            with contextlib.suppress(OSError):
                self._file.close()

    def write(self, pcm: NDArray[np.float32]) -> None:
        """Append float32 [samples, channels], or [samples] for every channel. Raises CannotWriteError.

        What lies outside [-1, 1] is clipped.
        """
        columns = pcm[:, None] if pcm.ndim == 1 else pcm
        pcm = np.broadcast_to(columns, (len(columns), self._channels))
        data = (np.clip(pcm, -1.0, 1.0) * 32_767.0).round().astype("<i2").tobytes()
        try:
            if self._file is None:
                self._file = self.path.open("wb")
                self._file.write(self._header(0 if self._file.seekable() else _UNKNOWN_BYTES))
            self._file.write(data)
            # The data goes first: a header never promises more than there is.
            self._file.flush()
            self._data_bytes += len(data)
            if self._file.seekable():
                self._file.seek(0)
                self._file.write(self._header(self._data_bytes))
                self._file.seek(0, os.SEEK_END)
        except OSError as error:
            raise CannotWriteError(self.path, error) from error

    def _header(self, data_bytes: int) -> bytes:
        return _header(data_bytes, self._rate, self._channels)


def endless_header(sample_rate_hz: int) -> bytes:
    """The header of a 16-bit WAV stream of one channel that is as long as it turns out to be."""
    return _header(_UNKNOWN_BYTES, sample_rate_hz, 1)


def _header(data_bytes: int, rate_hz: int, channels: int) -> bytes:
    form = struct.pack("<4sI4s", b"RIFF", min(data_bytes + 36, _UNKNOWN_BYTES), b"WAVE")
    pcm, frame_bytes = 1, _SAMPLE_BYTES * channels
    layout = (rate_hz, rate_hz * frame_bytes, frame_bytes, 8 * _SAMPLE_BYTES)
    form += struct.pack("<4sIHHIIHH", b"fmt ", 16, pcm, channels, *layout)
    return form + struct.pack("<4sI", b"data", min(data_bytes, _UNKNOWN_BYTES))
