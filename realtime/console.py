"""Standard output and standard error of one call, either of which may be closed, full or left by its reader."""

import contextlib
import os
from typing import TextIO

from .progress import ProgressLine


class Console:
    """Prints results on standard output and tells the rest on standard error.

    Speech goes on without a stream that is lost: that of standard output is told once, on the other one.

    Attributes:
        stdout: where results go.
        lost: why nothing can be printed any more; None while it can.
        progress: a line on standard error that is cleared before anything else is written.
    """

    def __init__(self, stdout: TextIO | None, stderr: TextIO | None) -> None:
        """Args: a stream that is None was closed by whoever started this process."""
        # Opening something in its place also keeps its descriptor from being given to a file of ours.
        self.stdout = stdout or open(os.devnull, "w", encoding="utf-8")
        self._stderr = stderr or open(os.devnull, "w", encoding="utf-8")
        self.lost: OSError | None = None
        self.progress = ProgressLine(self._write_stderr, is_terminal=self._stderr.isatty())

    def print(self, line: str) -> None:
        """Write a line to standard output at once."""
        if self.lost is not None:
            return
        self.progress.clear()
        try:
            self.stdout.write(line + "\n")
            self.stdout.flush()
        except OSError as error:
            self.lost = error
            _drain(self.stdout)
            self.tell(f"voicestack: cannot write to standard output, going on without it: {error.strerror}")

    def tell(self, line: str) -> None:
        """Write a line to standard error at once."""
        self.progress.clear()
        self._write_stderr(line + "\n")

    def _write_stderr(self, text: str) -> None:
        try:
            self._stderr.write(text)
            self._stderr.flush()
        except OSError:
            # There is nobody left to tell.
            _drain(self._stderr)


def _drain(stream: TextIO) -> None:
    """Lead a broken stream to nowhere, or what it still holds becomes a second complaint when Python exits."""
    with contextlib.suppress(OSError):
        descriptor = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
