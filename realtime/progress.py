"""A progress line that is drawn over itself on a terminal, and is not there anywhere else."""

from collections.abc import Callable

_MIN_INTERVAL_S = 0.1
_CLEAR = "\r\x1b[K"


class ProgressLine:
    """Shows the newest text on a terminal's last line, at most ten times a second."""

    def __init__(self, write: Callable[[str], None], *, is_terminal: bool) -> None:
        self._write = write
        self._is_terminal = is_terminal
        self._last_s = float("-inf")
        self._is_drawn = False

    def show(self, text: str, now_s: float) -> None:
        """Draw one line of text, unless the last drawing is too recent."""
        if not self._is_terminal or now_s - self._last_s < _MIN_INTERVAL_S:
            return
        self._last_s = now_s
        self._is_drawn = True
        self._write(_CLEAR + text)

    def clear(self) -> None:
        """Take the line away, so that other output may follow."""
        if self._is_drawn:
            self._is_drawn = False
            self._write(_CLEAR)
