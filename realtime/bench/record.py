"""What one listener noticed of one reply."""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from ..meter import Meter
from ..stages import Stages
from .target import Conversation, Sound
from .texts import Writer


class Outcome(StrEnum):
    """How a reply came to its end; CUT: the measurement was over, or it was interrupted."""

    FINISHED = "finished"
    CUT = "cut"
    REFUSED = "refused"
    FAILED = "failed"


@dataclass(slots=True)
class Record:
    """One reply of one session in numbers; moments on the clock of the measurement, lengths in seconds.

    asked_s: its first text was pushed; word_s: its first word was complete. ttfb_s, ttfa_s: from asked_s to the first
    sound, and to the first audible sample; None when it never came. arrivals_s: when each chunk came. leads: (moment,
    lead), before and after each chunk. depths: frames by the depth they were played at. retry_s: the hint of a refusal.
    """

    session: int
    outcome: Outcome = Outcome.CUT
    asked_s: float = math.nan
    word_s: float = math.nan
    ended_s: float = math.nan
    ttfb_s: float | None = None
    ttfa_s: float | None = None
    audio_s: float = 0.0
    underruns: int = 0
    underrun_s: float = 0.0
    arrivals_s: list[float] = field(default_factory=list)
    leads: list[tuple[float, float]] = field(default_factory=list)
    depths: Counter[int] = field(default_factory=Counter)
    stages: Stages | None = None
    retry_s: float | None = None
    error: str | None = None

    @property
    def gaps_s(self) -> list[float]:
        """The time between each chunk and the one before."""
        return [later - earlier for earlier, later in zip(self.arrivals_s, self.arrivals_s[1:], strict=False)]


async def hear_reply(
    conversation: Conversation,
    writer: Writer,
    record: Record,
    clock: Callable[[], float],
    on_sound: Callable[[], None] = lambda: None,
) -> float:
    """Have a reply spoken and fill its record, also when it is broken off; returns the lead that is left at its end.

    `on_sound` is called with each chunk.
    """
    listener = _Listener(record, clock, on_sound)
    try:
        await conversation.speak(writer.write(), listener.hear)
        record.outcome = Outcome.FINISHED
    finally:
        listener.close(writer)
        if conversation.underruns is not None:
            record.underruns, record.underrun_s = conversation.underruns
        record.stages = conversation.stages
    return listener.lead_s()


class _Listener:
    """Follows the sound of one reply."""

    def __init__(self, record: Record, clock: Callable[[], float], on_sound: Callable[[], None]) -> None:
        self._record, self._clock, self._on_sound = record, clock, on_sound
        self._meter: Meter | None = None
        self._starved_s = 0.0

    def hear(self, sound: Sound) -> None:
        """Count what has arrived."""
        if not len(sound.pcm):
            return
        now_s, record = self._clock(), self._record
        if self._meter is None:
            self._meter = Meter(sound.sample_rate_hz)
            self._starved_s = sound.starved_s
        meter = self._meter
        record.leads.append((now_s, meter.lead_s(now_s)))
        meter.add(
            sound.pcm,
            arrived_s=now_s,
            work_s=0.0,
            waited_s=sound.starved_s - self._starved_s,
            waited_until_s=sound.starved_until_s if sound.starved_s > self._starved_s else 0.0,
        )
        self._starved_s = sound.starved_s
        record.leads.append((now_s, meter.lead_s(now_s)))
        record.arrivals_s.append(now_s)
        record.depths.update(sound.depths)
        self._on_sound()

    def lead_s(self) -> float:
        """How long what has arrived still plays."""
        return 0.0 if self._meter is None else self._meter.lead_s(self._clock())

    def close(self, writer: Writer) -> None:
        """Write down what only the whole tells."""
        record = self._record
        record.ended_s = self._clock()
        if writer.begun_s is None:
            return
        record.asked_s = writer.begun_s
        record.word_s = math.nan if writer.word_s is None else writer.word_s
        if self._meter is None:
            return
        figures = self._meter.figures(writer.begun_s)
        record.ttfb_s, record.ttfa_s, record.audio_s = figures.ttfb_s, figures.ttfa_s, figures.audio_s
        record.underruns, record.underrun_s = figures.underruns, figures.underrun_s
