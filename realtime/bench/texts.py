"""What is said while it is measured: replies from the package, and the way a language model would write them."""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from importlib.resources import files


def fixture_replies() -> tuple[str, ...]:
    """Replies of an assistant, one to four sentences each; the same in every copy of this version."""
    text = (files("voicestack.realtime.bench") / "replies.txt").read_text("utf-8")
    return tuple(line for line in text.splitlines() if line)


def endless(replies: Sequence[str], draws: random.Random) -> Iterator[str]:
    """All replies in a drawn order, again and again."""
    while True:
        yield from draws.sample(replies, len(replies))


def tokens(text: str) -> list[str]:
    """The text in pieces of at most five characters that never reach over a blank; joined they are the text again."""
    return re.findall(r"\s*\S{1,5}|\s+", text)


def tokens_of_first_word(pieces: Sequence[str]) -> int:
    """How many tokens must be written before the first word is known to be complete: up to the blank behind it."""
    written = ""
    for count, piece in enumerate(pieces, start=1):
        written += piece
        if re.search(r"\S\s", written):
            return count
    return len(pieces)


class Writer:
    """Writes one reply, all at once, or so many tokens a second.

    Attributes:
        begun_s: when the first text was given out; None before.
        word_s: when the first word was complete; None before.
    """

    def __init__(self, reply: str, tokens_per_s: float | None, clock: Callable[[], float]) -> None:
        self.begun_s: float | None = None
        self.word_s: float | None = None
        self._pieces = [reply] if tokens_per_s is None else tokens(reply)
        self._period_s = 0.0 if tokens_per_s is None else 1 / tokens_per_s
        self._clock = clock

    async def write(self) -> AsyncGenerator[str]:
        """The pieces of the reply, each at its time, which does not slip when a piece was taken late."""
        first_word = tokens_of_first_word(self._pieces)
        began_s = self._clock()
        for place, piece in enumerate(self._pieces):
            if (early_s := began_s + place * self._period_s - self._clock()) > 0:
                await asyncio.sleep(early_s)
            if self.begun_s is None:
                self.begun_s = self._clock()
            if place + 1 == first_word:
                self.word_s = self._clock()
            yield piece
