"""What has been heard of an utterance, by a listener that plays in real time, or tells how far it is."""

from collections.abc import Iterable
from dataclasses import dataclass

from voicestack.runtime import WordTiming


@dataclass(frozen=True, slots=True)
class Heard:
    """What was played of an utterance, not what was made; words: those that had begun to sound, the last maybe cut."""

    played_s: float
    words: tuple[WordTiming, ...]

    @property
    def played_ms(self) -> float:
        """The same in milliseconds."""
        return self.played_s * 1000

    @property
    def text(self) -> str:
        """The words, as they were spelled."""
        return " ".join(word.text for word in self.words)


class Playout:
    """Follows the sound that a listener takes. Without reports it is believed to play each piece as soon as it can."""

    __slots__ = ("_dry_at_s", "_reported_s", "_words", "taken_s")

    def __init__(self) -> None:
        self.taken_s = 0.0
        self._dry_at_s = 0.0
        self._reported_s: float | None = None
        self._words: list[WordTiming] = []

    def take(self, seconds: float, words: Iterable[WordTiming], now_s: float) -> None:
        """So much sound was handed to the listener now."""
        self._dry_at_s = max(self._dry_at_s, now_s) + seconds
        self.taken_s += seconds
        self._words += words

    def report(self, played_s: float) -> None:
        """The listener says how many seconds of the utterance have come out of its loudspeaker."""
        self._reported_s = played_s

    def played_s(self, now_s: float) -> float:
        """Seconds heard, never more than were taken."""
        if self._reported_s is not None:
            return min(max(self._reported_s, 0.0), self.taken_s)
        return max(0.0, self.taken_s - max(0.0, self._dry_at_s - now_s))

    def heard(self, now_s: float) -> Heard:
        """What has been heard by now."""
        played_s = self.played_s(now_s)
        return Heard(played_s, tuple(word for word in self._words if word.start_s < played_s))

    def until(self, end_s: float, coming: Iterable[WordTiming]) -> Heard:
        """What will have been heard at a later second of the utterance, with words that have not been taken yet."""
        return Heard(end_s, tuple(word for word in (*self._words, *coming) if word.start_s < end_s))

    def word_end_s(self, now_s: float, coming: Iterable[WordTiming]) -> float | None:
        """Where the next word begins, behind the one that sounds now; None when no later word is known."""
        played_s = self.played_s(now_s)
        return min((w.start_s for w in (*self._words, *coming) if w.start_s > played_s), default=None)
