"""What the planner knows of one utterance: numbers only, so that it can be run against a fake clock by the thousand."""

import math
from dataclasses import dataclass

_HELD_BACK_S = 0.1
"""So much lead must be left when frames that were held back without text are given out after all."""


@dataclass(slots=True, eq=False)
class Track:
    """The state of one utterance as the planner sees it; it is changed by the planner and its owner only.

    key: its place in time, lower is older. wanted_depth: how deep it is to be when there is room; depth: how deep it
    is now. opened_s: when its text came. high_s, low_s: it rests when its lead reaches the one until
    it falls to the other. row: its place in the engine's memory, as last told. rows_left: rows to be prefilled. parked:
    out of text. full: its listener's queue has no room. ended: no frame will follow. frames: how many were made,
    pending: how many of them are not decoded. dry_at_s: when what was made will have been played, None before the first
    sound.
    """

    key: int
    wanted_depth: int
    opened_s: float
    high_s: float
    low_s: float
    row: int = -1
    rows_left: int = 1
    depth: int = 0
    parked: bool = False
    full: bool = False
    resting: bool = False
    ended: bool = False
    pending: int = 0
    frames: int = 0
    dry_at_s: float | None = None
    underruns: int = 0
    underrun_s: float = 0.0
    excused_until_s: float = -math.inf
    held_until_s: float = -math.inf

    def __post_init__(self) -> None:
        self.depth = self.depth or self.wanted_depth

    @property
    def done(self) -> bool:
        """Whether nothing of it is left to be made."""
        return self.ended and not self.pending

    @property
    def moving(self) -> bool:
        """Whether it takes the engine's time: frames will follow as they are heard."""
        return not (self.ended or self.parked or self.full)

    def due(self, chunk_frames: int) -> bool:
        """Whether what is pending is to be decoded: a whole chunk, or all there is for now."""
        return self.pending >= chunk_frames or (self.pending > 0 and (self.ended or self.parked))

    def lead_s(self, now_s: float) -> float:
        """Seconds made and not yet played."""
        return 0.0 if self.dry_at_s is None else max(0.0, self.dry_at_s - now_s)

    def slack_s(self, now_s: float) -> float:
        """Seconds until its listener runs dry, negative when that has happened; endless before the first sound."""
        return math.inf if self.dry_at_s is None else self.dry_at_s - now_s

    def wants_step(self, now_s: float) -> bool:
        """Whether a frame more is wanted of it now; tells it to rest, or to go on."""
        lead_s = self.lead_s(now_s)
        if lead_s >= self.high_s:
            self.resting = True
        elif lead_s <= self.low_s:
            self.resting = False
        if self.parked:
            # A delay voice keeps its last frames back, to make them deeper when there is text, as long as it can.
            return self.pending > 0 and lead_s <= _HELD_BACK_S and now_s >= self.held_until_s
        return not (self.ended or self.full or self.resting)

    def may_step(self, now_s: float) -> bool:
        """Whether a frame more does no harm, though it may be resting: its lead is not what it is to be at most."""
        return not (self.rows_left or self.ended or self.parked or self.full) and self.lead_s(now_s) < self.high_s

    def wakes_at_s(self) -> float:
        """When it will have rested; endless when something else must happen first."""
        if self.ended or self.full or self.dry_at_s is None:
            return math.inf
        if self.parked:
            return max(self.dry_at_s - _HELD_BACK_S, self.held_until_s) if self.pending else math.inf
        return self.dry_at_s - self.low_s if self.resting else math.inf

    def heard(self, seconds: float, now_s: float) -> float:
        """So much sound of it was handed out: its listener goes on; returns for how long it was dry, unexcused.

        Silence while text was awaited is the writer's, and so is the time to make speech of that text.
        """
        if self.dry_at_s is None:
            self.dry_at_s = now_s + seconds
            return 0.0
        gap_s = now_s - self.dry_at_s
        begins_s = max(self.dry_at_s, now_s)
        excused = self.excused_until_s >= self.dry_at_s
        self.dry_at_s = begins_s + seconds
        if gap_s <= 0 or excused:
            return 0.0
        self.underruns += 1
        self.underrun_s += gap_s
        return gap_s

    def park(self) -> None:
        """Text is missing."""
        self.parked = True

    def resume(self, now_s: float) -> None:
        """Text has come."""
        if self.parked:
            self.parked, self.excused_until_s = False, now_s
            self.held_until_s = -math.inf
