"""A progress line that is drawn over itself on a terminal, and is not there anywhere else."""

from typing import TextIO

_MIN_INTERVAL_S = 0.1
_CLEAR = "\r\x1b[K"


class ProgressLine:
    """Shows the newest text on a terminal's last line, at most ten times a second."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_terminal = stream.isatty()
        self._last_s = float("-inf")
        self._is_drawn = False

    def show(self, text: str, now_s: float) -> None:
        """Draw one line of text, unless the last drawing is too recent."""
        if not self._is_terminal or now_s - self._last_s < _MIN_INTERVAL_S:
            return
        self._last_s = now_s
        self._is_drawn = True
        self._stream.write(_CLEAR + text)
        self._stream.flush()

    def clear(self) -> None:
        """Take the line away, so that other output may follow."""
        if self._is_drawn:
            self._stream.write(_CLEAR)
            self._stream.flush()
            self._is_drawn = False
