"""The text of one utterance, which may still be being written, on its way to the feeds of its sentences."""

from collections import deque
from itertools import takewhile

from .cued_feed import CuedFeed
from .text.frontend import Mark, TextEvent, TextFrontEnd, Word
from .text.items import SentenceEnd, Silence

_PIECE_CHARACTERS = 400
"""Longer text is made words of in pieces, so that none delays the first word for long."""


class TextQueue:
    """Text as it was pushed, read no sooner than it is needed, and handed to one feed after the other.

    `in_sentence` tells, after `has_more`, whether the next word goes on with a sentence that was cut off; `complete`
    whether no text will follow.
    """

    def __init__(self, front_end: TextFrontEnd) -> None:
        self.in_sentence = False
        self._front_end = front_end
        self._pieces: deque[str] = deque()
        self.complete = self._read = False
        self._events: deque[TextEvent] = deque()
        self._handed: list[TextEvent] = []

    def push(self, text: str) -> None:
        """Append text; ValueError after `finish`."""
        if self.complete:
            raise ValueError("text was pushed to an utterance whose text had been finished")
        self._pieces.extend(text[start : start + _PIECE_CHARACTERS] for start in range(0, len(text), _PIECE_CHARACTERS))

    def finish(self) -> None:
        """Say that no text will follow; once more does no harm."""
        self.complete = True

    def has_more(self) -> bool | None:
        """Whether there is a further word, or a pause; None when that is not known before more text comes.

        A word begins a sentence, or goes on with one whose stream was cut off: then a mark may be left before it.
        """
        while True:
            while self._events:
                if isinstance(self._events[0], Word | Silence):
                    return True
                self._pop()
            if self._read:
                return False
            if not self._read_on():
                return None

    def take_pause(self) -> float:
        """The seconds of silence that stand before the next word, of one pause; 0 when none does."""
        if not (self._events and isinstance(self._events[0], Silence)):
            return 0.0
        pause = self._pop()
        return pause.seconds if isinstance(pause, Silence) else 0.0

    def sentence_tokens(self) -> int | None:
        """Count the tokens that are left of the current sentence, or of the next; None when more text must tell."""
        sentence = self._sentence()
        return None if sentence is None else sum(len(e.tokens) for e in sentence if isinstance(e, Word | Mark))

    def supply(self, feed: CuedFeed) -> bool:
        """Hand on what follows of the current sentence, until the feed is ready; false when more text must come.

        A feed that has a target length gets the whole sentence, since how fast it is to speak depends on what is left.
        One that has not begun is told the mark that closes the sentence, if that has been pushed.
        """
        while not feed.ready or (feed.target_frames is not None and not feed.complete):
            if self._events:
                event = self._pop()
                self._handed.append(event)
                _hand_on(event, feed)
            elif self._read:
                feed.finish()
            elif not self._read_on():
                return False
        if not feed.begun:
            feed.foretell(self._closing_mark())
        return True

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
            place += len(event.tokens) if isinstance(event, Word | Mark) else 0

    def sentence_lengths(self) -> list[int]:
        """Read all text there is and count the tokens of each sentence that was not yet begun."""
        while not self._read and self._read_on():
            pass
        lengths = [0]
        for event in self._events:
            if isinstance(event, Word | Mark):
                lengths[-1] += len(event.tokens)
            else:
                lengths.append(0)
        return [length for length in lengths if length]

    def silence_s(self) -> float:
        """Seconds of all pauses in the text that was read and not yet spoken."""
        return sum(event.seconds for event in self._events if isinstance(event, Silence))

    def _closing_mark(self) -> str:
        """The mark that closes the sentence which is being handed on; empty where it has not been pushed."""
        sentence = self._sentence()
        last = sentence[-1] if sentence else None
        return last.mark if isinstance(last, Mark) else ""

    def _sentence(self) -> list[TextEvent] | None:
        """What the sentence that is being handed on, or the next, is made of; None when more text must tell."""
        while True:
            events = [*self._handed, *self._events]
            sentence = list(takewhile(lambda event: not isinstance(event, SentenceEnd), events))
            if len(sentence) < len(events) or self._read:
                return sentence
            if not self._read_on():
                return None

    def _read_on(self) -> bool:
        """Make words of one more piece, or of what the front end held back at the end; false when neither is there."""
        if self._pieces:
            self._events += self._front_end.push(self._pieces.popleft())
        elif self.complete:
            self._events += self._front_end.finish()
            self._read = True
        else:
            return False
        return True

    def _pop(self) -> TextEvent:
        event = self._events.popleft()
        self.in_sentence = isinstance(event, Word | Mark)
        return event


def _hand_on(event: TextEvent, feed: CuedFeed) -> None:
    if isinstance(event, SentenceEnd | Silence):
        feed.finish()
    elif isinstance(event, Word):
        # Words that are said for a part of another's spelling have none of their own, and no time.
        feed.push(event.tokens, event.spelling or None)
    else:
        feed.push(event.tokens)
