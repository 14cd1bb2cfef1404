"""The text of one utterance, which may still be being written, on its way to the feeds of its sentences."""

from collections import deque
from collections.abc import Iterable, Iterator

from .cued_feed import CuedFeed
from .errors import InputError
from .text.frontend import TextEvent, TextFrontEnd, Word
from .text.normaliser import SentenceEnd

_PIECE_CHARACTERS = 400


class Script:
    """Text read piece by piece, no sooner than it is needed, and handed to one feed after the other.

    A text that is a string is there at once. Other text is waited for, in the caller's thread; `waits` counts how
    often. `in_sentence` tells, after `has_more`, whether the next word goes on with a sentence that was cut off.
    """

    def __init__(self, text: str | Iterable[str], front_end: TextFrontEnd) -> None:
        self.waits = 0
        self.in_sentence = False
        self._front_end = front_end
        self._there = isinstance(text, str)
        self._pieces = _pieces([text] if isinstance(text, str) else text)
        self._events: deque[TextEvent] = deque()
        self._handed: list[TextEvent] = []
        self._read = False

    def has_more(self) -> bool:
        """Whether there is a further word; waits until that is known.

        It begins a sentence, or goes on with one whose stream was cut off: then a mark may be left before it.
        """
        while not self._read or self._events:
            if not self._events:
                self.wait()
            elif isinstance(self._events[0], Word):
                return True
            else:
                self._pop()
        return False

    def supply(self, feed: CuedFeed) -> None:
        """Hand on what follows of the current sentence, until the feed is ready or more text must be waited for."""
        while not feed.ready:
            if not self._events and self._there and not self._read:
                self.wait()
            elif self._events:
                event = self._pop()
                self._handed.append(event)
                _hand_on(event, feed)
            elif self._read:
                feed.finish()
            else:
                return

    def take_back(self, feed: CuedFeed) -> None:
        """Take leave of a feed; of one that was cut off, take back all from the first word on that was not heard."""
        handed, self._handed = self._handed, []
        if feed.ended:
            return
        place = 0
        for index, event in enumerate(handed):
            if isinstance(event, Word) and place >= feed.tokens_heard:
                self._events.extendleft(reversed(handed[index:]))
                self.in_sentence = True
                return
            place += 0 if isinstance(event, SentenceEnd) else len(event.tokens)

    def wait(self) -> None:
        """Read one more piece, or learn that there is none."""
        self.waits += not self._there
        piece = next(self._pieces, None)
        self._read = piece is None
        self._events += self._front_end.finish() if piece is None else self._front_end.push(piece)

    def sentence_lengths(self) -> list[int]:
        """Read all text and count the tokens of each sentence that was not yet begun."""
        while not self._read:
            self.wait()
        lengths = [0]
        for event in self._events:
            if isinstance(event, SentenceEnd):
                lengths.append(0)
            else:
                lengths[-1] += len(event.tokens)
        return [length for length in lengths if length]

    def _pop(self) -> TextEvent:
        event = self._events.popleft()
        self.in_sentence = not isinstance(event, SentenceEnd)
        return event


def _hand_on(event: TextEvent, feed: CuedFeed) -> None:
    if isinstance(event, SentenceEnd):
        feed.finish()
    elif isinstance(event, Word):
        # Words that are said for a part of another's spelling have none of their own, and no time.
        feed.push(event.tokens, event.spelling or None)
    else:
        feed.push(event.tokens)


def _pieces(texts: Iterable[str]) -> Iterator[str]:
    """The same text in pieces short enough that none delays the first word for long."""
    try:
        each = iter(texts)
    except TypeError:
        raise _no_text(texts) from None
    return _short_pieces(each)


def _short_pieces(texts: Iterator[str]) -> Iterator[str]:
    for text in texts:
        if not isinstance(text, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise _no_text(text)
        for start in range(0, len(text), _PIECE_CHARACTERS):
            yield text[start : start + _PIECE_CHARACTERS]


def _no_text(got: object) -> InputError:
    return InputError(f"text must be a string or give strings, got {type(got).__name__}")
