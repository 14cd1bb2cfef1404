"""What to do next: the whole of the scheduling policy, without threads, sockets, models or a clock of its own.

    round    = prefill a few rows | step some streams by a frame | decode what waits | age a block of history
    new      first, whoever has not been heard for long, with those who would run dry within the next round or so
    others   else whole calls of neighbours, those first in which somebody runs dry soonest

A stream whose lead is high rests, unless a call takes it along. When the engine is crowded and somebody is late, all
are made shallower, a notch at a time, and deeper again when there is time for it: all alike, because a call makes
stacks of one depth only. Who comes when even the shallowest would not fit is refused at the door, with a hint when to
come again.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .cost_model import CostModel
from .track import Track

_FEW, _CALM = 2, 6
_BUSY_MEMORY_S, _STRAIN_MEMORY_S = 0.5, 10.0
_STRAIN = 1.3
"""How much more than the cost model says a crowd takes, until one was seen: its calls are not all full."""
_TOO_MUCH = 1.1
"""A crowd that would take so much of the time is made shallower before it is late."""
_MOST_STRAIN, _UNLIMITED, _MOST_SESSIONS = 3.0, 1_000, 4_096
_YOUNG_FRAMES = 3
"""So long an utterance is treated as new: its first sound alone is too short to live on while a large batch is made."""


@dataclass(frozen=True, slots=True)
class PlannerConfig:
    """The numbers of the policy.

    batch: streams stepped in one round. call_rows: rows of the engine's memory that one call takes. prefill_rows: rows
    prefilled in one round. share: the part of the time that admission may promise away. While the engine is busy for
    more than `crowded` of the time and a lead is below shed_lead_s, all are made a notch shallower every notch_s; they
    are made deeper when there would be time for that, at most every restore_s. slack_s: history is aged when nobody is
    dry within that time.
    """

    batch: int = 12
    call_rows: int = 6
    prefill_rows: int = 32
    share: float = 0.85
    crowded: float = 0.9
    shed_lead_s: float = 0.25
    notch_s: float = 0.3
    restore_s: float = 1.0
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

    `cost` gives the newest cost model, `period_s` is how long a frame is heard, `first_sound_s` the least that is heard
    of an utterance's first one, `idle_work` whether there is history to be aged.
    """

    def __init__(
        self,
        cost: Callable[[], CostModel],
        period_s: float,
        config: PlannerConfig | None = None,
        idle_work: Callable[[], bool] = lambda: False,
        first_sound_s: float | None = None,
    ) -> None:
        self._first_sound_s = first_sound_s or period_s
        self.config = config or PlannerConfig()
        self.tracks: dict[int, Track] = {}
        self._cost, self._period_s, self._idle_work = cost, period_s, idle_work
        self._busy, self._strain = 0.0, _STRAIN
        self._noted_s = self._changed_s = -math.inf
        self._level = _UNLIMITED

    def capacity(self, depth: int) -> int:
        """How many streams of a depth may be open at once: as many as fit when all speak, as shallow as they may be."""
        count = 1
        while count < _MOST_SESSIONS and self.fits([depth] * (count + 1)):
            count += 1
        return count

    def fits(self, depths: Sequence[int]) -> bool:
        """Whether streams of such depths fit when all speak; one always does.

        What the cost model says is multiplied by how much busier than that the engine was of late.
        """
        least = [self._cost().depths[0]] * len(depths) if self.config.shedding else depths
        return len(depths) <= 1 or self._strain * self._load(least) <= self.config.share

    def worked(self, seconds: float, now_s: float) -> None:
        """A round took so long and has just ended: how busy the engine is decides on depth and on admission."""
        passed_s = max(now_s - self._noted_s, seconds, 1e-6)
        weight = 1 - math.exp(-passed_s / _BUSY_MEMORY_S)
        self._busy += weight * (seconds / passed_s - self._busy)
        self._noted_s = now_s
        speaking = [track.depth for track in self.tracks.values() if track.moving]
        if len(speaking) >= self.config.call_rows:
            strain = self._busy / max(self._load(speaking), 1e-6)
            weight = 1 - math.exp(-passed_s / _STRAIN_MEMORY_S)
            self._strain += weight * (min(max(strain, 1.0), _MOST_STRAIN) - self._strain)

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
        if track.dry_at_s is None:
            # In a crowd, or on a slow machine, the next round may be long in coming, and one frame is soon heard.
            count = len(self.tracks)
            return 1 if count <= _CALM and self._round_s(count, self._cost()) < self._first_sound_s else 2
        lead_s = track.lead_s(now_s)
        if lead_s < 2.5 * self._period_s:
            return 1
        # Long chunks pay where there is no batch, and would all be due in one round where there is one.
        return 4 if lead_s > 5 * self._period_s and len(self.tracks) <= _FEW else 2

    def _choose(self, able: Sequence[Track], now_s: float, model: CostModel) -> list[Track]:
        """Who is stepped: new ones with the most urgent others, if there are new ones, else the neediest calls."""
        batch = self.config.batch
        slacks = {track.key: track.slack_s(now_s) for track in self.tracks.values()}
        new = [t for t in able if t.dry_at_s is None or t.frames < _YOUNG_FRAMES]
        if not new:
            return self._neediest({track.key for track in able}, slacks, now_s, model)
        # Who waits for a first sound has half the places at least, and whoever would run dry the others.
        new.sort(key=lambda t: (t.dry_at_s is not None, t.key))
        limit_s = 1.5 * self._round_s(batch, model)
        urgent = [t for t in able if t not in new and slacks[t.key] < limit_s]
        urgent.sort(key=lambda t: slacks[t.key])
        kept = urgent[: max(batch - len(new), batch // 2)]
        return kept + new[: batch - len(kept)]

    def _neediest(self, needy: set[int], slacks: dict[int, float], now_s: float, model: CostModel) -> list[Track]:
        """The streams of the calls in which somebody needs a frame soonest.

        A call takes rows that are neighbours in the engine's memory, and costs little more for one row more: so it is
        whole neighbourhoods that are stepped, and who rests comes along.
        """
        if not needy:
            return []
        calls: dict[int, list[Track]] = {}
        for track in self.tracks.values():
            if track.key in needy or track.may_step(now_s):
                calls.setdefault(track.row // self.config.call_rows, []).append(track)
        by_need = sorted(
            calls.values(), key=lambda call: min((slacks[t.key] for t in call if t.key in needy), default=math.inf)
        )
        # One call is the cheapest round for each of its streams; more of them only where nobody runs dry meanwhile.
        soonest_s = min(slacks[track.key] for call in calls.values() for track in call)
        late = self._round_s(self.config.batch, model) > soonest_s / 2
        count = 1 if late else max(1, self.config.batch // self.config.call_rows)
        return [track for call in by_need[:count] for track in call][: self.config.batch]

    def _round_s(self, rows: int, model: CostModel) -> float:
        """About how long a round of so many rows takes."""
        depth = max((track.depth for track in self.tracks.values()), default=model.depths[0])
        return model.step[depth].seconds(rows) + model.decode.seconds(rows)

    def _has_slack(self, ready: Iterable[Track], now_s: float) -> bool:
        return all(track.dry_at_s is not None and track.slack_s(now_s) > self.config.slack_s for track in ready)

    def _shed(self, now_s: float, model: CostModel) -> None:
        """Make all shallower when some are late, and deeper when there is time."""
        config = self.config
        speaking = [track for track in self.tracks.values() if track.moving]
        if config.shedding and speaking:
            wanted = max(track.wanted_depth for track in speaking)
            level, passed_s = min(self._level, wanted), now_s - self._changed_s
            late = any(track.slack_s(now_s) < config.shed_lead_s for track in speaking)
            too_much = self._strain * self._load([min(track.wanted_depth, level) for track in speaking]) > _TOO_MUCH
            if too_much or (self._busy >= config.crowded and late and passed_s >= config.notch_s):
                self._change(max((d for d in model.depths if d < level), default=level), now_s)
            elif level < wanted and passed_s >= config.restore_s:
                deeper = min(d for d in model.depths if d > level)
                depths = [min(track.wanted_depth, deeper) for track in speaking]
                if self._strain * self._load(depths) <= config.share:
                    self._change(deeper, now_s)
        for track in self.tracks.values():
            track.depth = min(track.wanted_depth, self._level)

    def _change(self, level: int, now_s: float) -> None:
        if level != self._level:
            self._level, self._changed_s = level, now_s

    def _load(self, depths: Sequence[int]) -> float:
        """The share of the time that streams of such depths take by the cost model, a call at a time."""
        return self._cost().load(Counter(depths), self._period_s, self.config.call_rows)
