"""Text from a pipe that is still open, in the pieces in which it arrives."""

import codecs
import os
import select
import time
from collections.abc import Callable, Iterator

from voicestack.runtime import InputError

_READ_BYTES = 65_536


class TextPipe:
    """Iterates over the text of a file descriptor; each piece is what one unbuffered read returned.

    Bytes that are no UTF-8 become U+FFFD; a character split between two reads arrives whole. One pass only.

    Attributes:
        waiting: whether a read is waiting for text now.
        waited_s: how long reads have waited so far.
        waited_until_s: when the last wait ended, by the clock given.
        first_text_s: when the first text arrived, by the same clock; None before.
    """

    def __init__(self, descriptor: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._descriptor = descriptor
        self._clock = clock
        self.waiting = False
        self.waited_s = 0.0
        self.waited_until_s = 0.0
        self.first_text_s: float | None = None

    def __iter__(self) -> Iterator[str]:
        """Raises InputError when the descriptor cannot be read."""
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        data = b"-"
        while data:
            data = self._read()
            text = decoder.decode(data, final=not data)
            if text:
                if self.first_text_s is None:
                    self.first_text_s = self._clock()
                yield text

    def _read(self) -> bytes:
        started_s = self._clock()
        self.waiting = True
        try:
            while True:
                try:
                    return os.read(self._descriptor, _READ_BYTES)
                except BlockingIOError:
                    # Whoever shares this descriptor made it non-blocking; the text is still to come.
                    select.select([self._descriptor], [], [])
        except OSError as error:
            raise InputError(f"cannot read standard input: {error.strerror}; pipe the text into it") from error
        finally:
            self.waiting = False
            self.waited_until_s = self._clock()
            self.waited_s += self.waited_until_s - started_s
