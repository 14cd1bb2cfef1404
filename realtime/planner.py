"""What to do next: the whole of the scheduling policy, without threads, sockets, models or a clock of its own.

    round    = prefill a few rows | step some streams by a frame | decode what waits | age a block of history
    urgent   first, whoever would run dry within the next round or so
    new      then, whoever has not been heard yet, alone, so that the first sound does not wait for a large batch
    others   else whole batches of neighbours, the batch first in which somebody runs dry soonest

A stream whose lead is high rests, unless a batch takes it along. One that is late is made shallower, a notch at a time,
until its lead recovers.
Who comes when even the shallowest would not fit is refused at the door, with a hint when to come again.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .cost_model import CostModel
from .track import Track

_FEW = 2
_YOUNG_FRAMES = 3
"""So long an utterance is treated as new: its first sound alone is too short to live on while a large batch is made."""


@dataclass(frozen=True, slots=True)
class PlannerConfig:
    """The numbers of the policy.

    batch: streams stepped in one round. prefill_rows: rows prefilled in one round. share: the part of the time that
    admission may promise away. shed_lead_s: a stream whose lead is lower is late; restore_lead_s: one whose lead is
    higher has recovered; notch_s: so long a depth stays. slack_s: history is aged when nobody is dry within that time.
    """

    batch: int = 12
    prefill_rows: int = 32
    share: float = 0.85
    shed_lead_s: float = 0.12
    restore_lead_s: float = 0.32
    notch_s: float = 0.4
    slack_s: float = 0.25
    shedding: bool = True


@dataclass(slots=True)
class Plan:
    """One round. prefill: (track, rows). step: tracks to advance by a frame. maintain: age a block of history, too."""

    prefill: list[tuple[Track, int]] = field(default_factory=list)
    step: list[Track] = field(default_factory=list)
    maintain: bool = False

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.prefill or self.step or self.maintain)


class Planner:
    """Plans rounds for the tracks it is told of.

    `cost` gives the newest cost model, `period_s` is how long a frame is heard, `idle_work` whether there is history to
    be aged.
    """

    def __init__(
        self,
        cost: Callable[[], CostModel],
        period_s: float,
        config: PlannerConfig | None = None,
        idle_work: Callable[[], bool] = lambda: False,
    ) -> None:
        self.config = config or PlannerConfig()
        self.tracks: dict[int, Track] = {}
        self._cost, self._period_s, self._idle_work = cost, period_s, idle_work

    def capacity(self, depth: int) -> int:
        """How many streams of a depth may be open at once: as many as fit when all speak, as shallow as they may be."""
        model, config = self._cost(), self.config
        least = model.depths[0] if config.shedding else depth
        return max(1, model.capacity(least, self._period_s, config.batch, config.share))

    def fits(self, depths: Sequence[int]) -> bool:
        """Whether streams of such depths fit when all speak; one always does."""
        model, config = self._cost(), self.config
        least = Counter([model.depths[0]] * len(depths) if config.shedding else depths)
        return len(depths) <= 1 or model.load(least, self._period_s, config.batch) <= config.share

    def plan(self, now_s: float) -> Plan:
        """The next round; empty when nobody wants anything now."""
        model = self._cost()
        self._shed(now_s, model)
        ready = [track for track in self.tracks.values() if track.wants_step(now_s)]
        plan = Plan()
        room = self.config.prefill_rows
        for track in sorted((t for t in ready if t.rows_left), key=lambda t: t.key):
            if room <= 0:
                break
            rows = min(room, track.rows_left)
            plan.prefill.append((track, rows))
            room -= rows
        after = {track.key: track.rows_left - rows for track, rows in plan.prefill}
        able = [track for track in ready if not after.get(track.key, track.rows_left)]
        plan.step = self._choose(able, now_s, model)
        plan.maintain = self._has_slack(ready, now_s) and self._idle_work()
        return plan

    def wakes_at_s(self) -> float:
        """When somebody will want something again, if nothing happens until then."""
        return min((track.wakes_at_s() for track in self.tracks.values()), default=math.inf)

    def chunk_frames(self, track: Track, now_s: float) -> int:
        """How many frames to decode at once: few while its listener waits, more when there is time for them."""
        lead_s = track.lead_s(now_s)
        if lead_s < 2.5 * self._period_s:
            return 1
        # Long chunks pay where there is no batch, and would all be due in one round where there is one.
        return 4 if lead_s > 5 * self._period_s and len(self.tracks) <= _FEW else 2

    def _choose(self, able: Sequence[Track], now_s: float, model: CostModel) -> list[Track]:
        """Who is stepped: new ones with the most urgent others, if there are new ones, else the neediest batch."""
        batch = self.config.batch
        slacks = {track.key: track.slack_s(now_s) for track in self.tracks.values()}
        new = [t for t in able if t.dry_at_s is None or t.frames < _YOUNG_FRAMES]
        new.sort(key=lambda t: (t.dry_at_s is not None, t.key))
        if new:
            # Who waits for a first sound has half the places at least, and whoever would run dry the others.
            round_s = self._round_s(batch, model)
            urgent = [t for t in able if t not in new and slacks[t.key] < 1.5 * round_s]
            urgent.sort(key=lambda t: slacks[t.key])
            kept = urgent[: max(batch - len(new), batch // 2)]
            return kept + new[: batch - len(kept)]
        needy = {track.key for track in able}
        if not needy:
            return []
        # A call costs little more for one row more, so who rests comes along; neighbours in the engine's memory share
        # calls, so whole neighbourhoods are stepped, the neediest first.
        company = (t for t in self.tracks.values() if t.key in needy or t.may_step(now_s))
        rows = sorted(company, key=lambda t: (t.row, t.key))
        groups = [rows[start : start + batch] for start in range(0, len(rows), batch)]
        group = min(groups, key=lambda g: min((slacks[t.key] for t in g if t.key in needy), default=math.inf))
        return self._in_time(
            sorted(group, key=lambda t: (slacks[t.key], t.key)), min(slacks[t.key] for t in rows), model
        )

    def _in_time(self, group: list[Track], slack_s: float, model: CostModel) -> list[Track]:
        """The first of a group, as many as can be stepped in half of the time in which somebody may run dry."""
        count = len(group)
        while count > 1 and self._round_s(count, model) > slack_s / 2:
            count -= 1
        return group[:count]

    def _round_s(self, rows: int, model: CostModel) -> float:
        """About how long a round of so many rows takes."""
        depth = max((track.depth for track in self.tracks.values()), default=model.depths[0])
        return model.step[depth].seconds(rows) + model.decode.seconds(rows)

    def _has_slack(self, ready: Iterable[Track], now_s: float) -> bool:
        return all(track.dry_at_s is not None and track.slack_s(now_s) > self.config.slack_s for track in ready)

    def _shed(self, now_s: float, model: CostModel) -> None:
        """Make late streams a notch shallower, and those that have recovered a notch deeper."""
        config, depths = self.config, model.depths
        if not config.shedding:
            return
        crowded = self._load(model) > config.share
        for track in self.tracks.values():
            if track.dry_at_s is None or track.ended or now_s - track.changed_s < config.notch_s:
                continue
            lead_s = track.lead_s(now_s)
            if lead_s < config.shed_lead_s and not track.parked and crowded:
                self._set_depth(track, max((d for d in depths if d < track.depth), default=track.depth), now_s)
            elif lead_s >= min(config.restore_lead_s, track.low_s) and track.depth < track.wanted_depth:
                deeper = min(d for d in depths if d > track.depth)
                if self._load(model, {track.key: deeper}) <= config.share:
                    self._set_depth(track, min(deeper, track.wanted_depth), now_s)

    def _set_depth(self, track: Track, depth: int, now_s: float) -> None:
        if depth != track.depth:
            track.depth, track.changed_s = depth, now_s

    def _load(self, model: CostModel, instead: dict[int, int] | None = None) -> float:
        """The share of the time that all streams that speak take, with other depths for some."""
        instead = instead or {}
        depths = Counter(
            instead.get(track.key, track.depth) for track in self.tracks.values() if not (track.ended or track.parked)
        )
        return model.load(depths, self._period_s, self.config.batch)
