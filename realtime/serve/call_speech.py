"""What a peer is told of the speech it hears: each thing when it is heard, not when it is made."""

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..outlet import Ending
from ..stages import Stages
from .call_messages import stacks_event, words_event
from .opus_track import CallPlayout, Position
from .talk import Ended, Interrupted, Sound
from .terms import words_of


class Tell(Protocol):
    """Sends an event to the peer, if it is still there."""

    def __call__(self, kind: str, **fields: object) -> None:
        """Args: fields that are None are left out."""
        ...


class CallSpeech:
    """Puts the sound of a conversation into a playout, and tells where it is."""

    def __init__(
        self, playout: CallPlayout, tell: Tell, send: Callable[[str], None], clock: Callable[[], float]
    ) -> None:
        """Args: send takes an event that is written already."""
        self._playout, self._tell, self._send, self._clock = playout, tell, send, clock
        self._stages: dict[int, Stages] = {}
        self._started_s: dict[int, float] = {}
        # Those of which all was made; that is told when it was heard.
        self._made: dict[int, tuple[Ending, str | None]] = {}
        # What had been heard when each interruption came that was not acknowledged yet; None finishes the word.
        self._interruptions: deque[Position | None] = deque()
        # What those break off that wait for a word to be finished.
        self._finishing: list[set[int]] = []

    async def sound(self, sound: Sound, stages: Stages) -> None:
        """A piece was made; waits while enough of them wait to be heard."""
        if self._falls_silent:
            return
        utterance, chunk = sound.utterance, sound.chunk
        self._stages.setdefault(utterance, stages)
        self._playout.put(utterance, chunk)
        for message in (words_event(utterance, chunk), stacks_event(utterance, chunk)):
            if message is not None:
                self._send(message)
        await self._playout.room()

    def started(self, utterance: int) -> None:
        """The first packet of an utterance is being sent."""
        self._started_s[utterance] = self._clock()
        self._tell("speech.started", utterance=utterance)
        self.report()

    def ended(self, news: Ended) -> None:
        """All of an utterance was made."""
        if not self._falls_silent and news.ending is not Ending.INTERRUPTED:
            self._made[news.utterance] = news.ending, news.error
            self._playout.mark(partial(self._heard_out, news.utterance), ends=news.utterance)

    def interrupt(self, *, finish_word: bool) -> Position:
        """Fall silent, at once unless the word is to be finished; returns what was heard so far."""
        if finish_word:
            self._interruptions.append(None)
            return self._playout.position
        position = self._playout.clear()
        self._interruptions.append(position)
        # The word that others waited for is not finished any more.
        self._word_finished()
        return position

    def interrupted(self, news: Interrupted) -> None:
        """Nothing more of what was interrupted will come."""
        position = self._interruptions.popleft()
        # What is said from now on is none of its business, though the word may still have to be finished.
        broken_off = {*self._stages, *self._made}
        if position is not None:
            self._told_interruption(position, broken_off)
            return
        playing = self._playout.position.utterance
        self._playout.cut(news.heard.played_s if news.utterance == playing else self._playout.word_end_s())
        # One mark for all of them: cutting has taken those of earlier ones away.
        self._finishing.append(broken_off)
        self._playout.mark(self._word_finished, ends=playing)

    def report(self) -> None:
        """Tell where the sound is."""
        playout, position = self._playout, self._playout.position
        self._tell(
            "stats",
            utterance=position.utterance,
            played_ms=round(position.played_s * 1000),
            lead_s=round(playout.lead_s, 3),
            underruns=playout.underruns,
            underrun_s=round(playout.underrun_s, 3),
            depth=playout.depth,
            **self._waited_ms(position.utterance),
        )

    @property
    def _falls_silent(self) -> bool:
        """Whether what still comes is of an utterance that was interrupted."""
        return any(position is not None for position in self._interruptions)

    def _waited_ms(self, utterance: int) -> dict[str, float | None]:
        return self._stages.get(utterance, Stages()).waited_ms(self._started_s.get(utterance))

    def _word_finished(self) -> None:
        finishing, self._finishing = self._finishing, []
        for broken_off in finishing:
            self._told_interruption(self._playout.position, broken_off)

    def _heard_out(self, utterance: int) -> None:
        """All of an utterance was heard, unless an interruption has ended it before."""
        if (made := self._made.get(utterance)) is not None:
            self._told_end(utterance, *made)

    def _told_end(self, utterance: int, ending: Ending, error: str | None = None) -> None:
        self._made.pop(utterance, None)
        position = self._playout.position
        audio_s = round(position.played_s, 3) if position.utterance == utterance else 0.0
        if position.utterance == utterance:
            self.report()
        waited_ms = self._waited_ms(utterance)
        self._stages.pop(utterance, None)
        self._started_s.pop(utterance, None)
        self._tell("speech.ended", utterance=utterance, ending=ending, audio_s=audio_s, **waited_ms, error=error)

    def _told_interruption(self, position: Position, broken_off: set[int]) -> None:
        for utterance in sorted(broken_off & {*self._stages, *self._made}):
            ending, error = self._made.get(utterance, (Ending.INTERRUPTED, None))
            failed = ending is Ending.FAILED
            self._told_end(utterance, Ending.FAILED if failed else Ending.INTERRUPTED, error if failed else None)
        self._tell(
            "interrupted",
            utterance=None if position.utterance < 0 else position.utterance,
            played_ms=round(position.played_s * 1000),
            words=words_of(position.words),
        )
