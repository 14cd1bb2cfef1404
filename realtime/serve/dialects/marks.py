"""Marks in a text that is still being written: where each stands, and when that is reached."""

from collections import deque
from dataclasses import dataclass, field

from voicestack.runtime import WordTiming

_WINDOW = 300
"""How far ahead a word is looked for: what is spelled otherwise than it was said must not carry us to the end."""

_MOST_CHARS, _MOST_UTTERANCES = 32_768, 1000
"""More than may wait to be spoken; what is refused is not followed either."""


@dataclass(slots=True)
class _Said:
    """The text of one utterance from the last word that sounded on; at: where that begins in all of it."""

    text: str = ""
    at: int = 0
    marks: deque[tuple[int, str]] = field(default_factory=deque)

    def word(self, word: str) -> int | None:
        """Where in the text a word begins that sounds now; None if it is not found."""
        place = self.text.find(word, 0, _WINDOW + len(word))
        if place < 0 or not word:
            return None
        found = self.at + place
        self.at += place + len(word)
        self.text = self.text[place + len(word) :]
        return found


class Marks:
    """Follows the texts of utterances as they are said, and the words as they sound.

    A mark is reached at the first word that was said behind it, at the latest at the end of its utterance.
    """

    def __init__(self) -> None:
        self._said: deque[_Said] = deque()

    def say(self, text: str) -> None:
        """More of the utterance that is being said."""
        said = self._last()
        if len(said.text) < _MOST_CHARS:
            said.text += text

    def put(self, name: str) -> None:
        """A mark behind what was said so far; inside a word it stands behind that."""
        said = self._last()
        said.marks.append((said.at + len(said.text), name))

    def complete(self) -> None:
        """What is said now belongs to the next utterance."""
        self._last()
        if len(self._said) < _MOST_UTTERANCES:
            self._said.append(_Said())

    def reached(self, words: tuple[WordTiming, ...]) -> list[tuple[str, float]]:
        """The marks before words that begin to sound, with the second of each."""
        reached: list[tuple[str, float]] = []
        if not self._said:
            return reached
        said = self._said[0]
        for word in words:
            place = said.word(word.text)
            while place is not None and said.marks and said.marks[0][0] <= place:
                reached.append((said.marks.popleft()[1], word.start_s))
        return reached

    def ended(self, *, complete: bool) -> list[str]:
        """The utterance is over; the marks not reached before. If it is not complete, its text goes on in the next."""
        if not self._said:
            return []
        said = self._said[0]
        names = [name for _, name in said.marks]
        said.marks.clear()
        if complete:
            self._said.popleft()
        return names

    def clear(self) -> None:
        """All was interrupted."""
        self._said.clear()

    @property
    def waiting(self) -> int:
        """How many marks have not been reached."""
        return sum(len(said.marks) for said in self._said)

    def _last(self) -> _Said:
        if not self._said:
            self._said.append(_Said())
        return self._said[-1]
