"""The scheduler without models and without waiting: a fake clock, an engine that only has a price, and many talkers.

It runs the very planner that serves real sessions, so what holds here for thousands of sessions in seconds holds there
as far as the prices are true. Real engines are priced by measuring; models this machine has never seen, by assumption.
"""

import heapq
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .cost_model import CostModel
from .planner import Plan, Planner, PlannerConfig
from .track import Track


@dataclass(frozen=True, slots=True)
class Talker:
    """One utterance to be spoken.

    frames: how long it will be. frames_per_s: how fast its text is written, in frames of speech, endless when it is
    there at once. leaves_s: when the listener hangs up or barges in, endless if never.
    """

    arrives_s: float
    frames: int
    depth: int
    prompt_rows: int = 1
    frames_per_s: float = math.inf
    leaves_s: float = math.inf

    def text_frames(self, now_s: float) -> int:
        """Of how many frames the text is known by then."""
        if math.isinf(self.frames_per_s):
            return self.frames
        return min(self.frames, int((now_s - self.arrives_s) * self.frames_per_s + 1e-9))

    def text_at_s(self, frames: int) -> float:
        """When the text of so many frames will be known."""
        return self.arrives_s if math.isinf(self.frames_per_s) else self.arrives_s + frames / self.frames_per_s


@dataclass(slots=True)
class Outcome:
    """What became of a talker. first_sound_s is from its arrival; depths counts the frames made at each depth."""

    refused: bool = False
    first_sound_s: float | None = None
    underruns: int = 0
    underrun_s: float = 0.0
    frames: int = 0
    depths: Counter[int] = field(default_factory=Counter)
    finished_s: float | None = None


@dataclass(slots=True)
class _Speaking:
    talker: Talker
    track: Track
    outcome: Outcome


class Simulation:
    """Runs talkers through a planner on a fake clock.

    `cost` is what work takes; the planner is told `believed`, the same by default.
    """

    def __init__(
        self,
        cost: CostModel,
        period_s: float = 0.08,
        config: PlannerConfig | None = None,
        *,
        high_s: float = 0.6,
        low_s: float = 0.35,
        believed: CostModel | None = None,
    ) -> None:
        self.now_s = 0.0
        self.busy_s = 0.0
        self._cost, self._period_s = cost, period_s
        self._high_s, self._low_s = high_s, low_s
        self.planner = Planner(lambda: believed or cost, period_s, config)
        self._speaking: dict[int, _Speaking] = {}

    def run(self, talkers: Sequence[Talker]) -> list[Outcome]:
        """Run until every talker was refused, has finished, or has left; outcomes in the order of the talkers."""
        outcomes = [Outcome() for _ in talkers]
        coming = [(talker.arrives_s, place) for place, talker in enumerate(talkers)]
        heapq.heapify(coming)
        while coming or self._speaking:
            while coming and coming[0][0] <= self.now_s:
                place = heapq.heappop(coming)[1]
                self._arrive(place, talkers[place], outcomes[place])
            self._text_comes()
            for row, each in enumerate(self._speaking.values()):
                each.track.row = row
            plan = self.planner.plan(self.now_s)
            if plan.empty:
                self.now_s = max(self._next_event_s(coming), self.now_s + 1e-6)
            else:
                self._work(plan)
            self._leave()
        return outcomes

    def _arrive(self, place: int, talker: Talker, outcome: Outcome) -> None:
        if not self.planner.fits([*(each.talker.depth for each in self._speaking.values()), talker.depth]):
            outcome.refused = True
            return
        track = Track(
            place, talker.depth, self.now_s, self._high_s, self._low_s, rows_left=talker.prompt_rows, parked=True
        )
        self.planner.tracks[place] = track
        self._speaking[place] = _Speaking(talker, track, outcome)

    def _text_comes(self) -> None:
        for each in self._speaking.values():
            if each.track.parked and each.talker.text_frames(self.now_s) > each.track.frames:
                each.track.resume(self.now_s)

    def _work(self, plan: Plan) -> None:
        """Do a round and let its time pass; what it made is heard at its end."""
        chunks = {track.key: self.planner.chunk_frames(track, self.now_s) for track in plan.step}
        groups = Counter(track.depth for track in plan.step)
        took_s = self._cost.prefill.seconds(sum(rows for _, rows in plan.prefill))
        took_s += sum(self._cost.step[depth].seconds(count) for depth, count in groups.items())
        for track, rows in plan.prefill:
            track.rows_left -= rows
        due: list[Track] = []
        for track in plan.step:
            each = self._speaking[track.key]
            track.frames += 1
            track.pending += 1
            each.outcome.depths[track.depth] += 1
            track.ended = track.frames == each.talker.frames
            if not track.ended and each.talker.text_frames(self.now_s) <= track.frames:
                track.park()
            if track.due(chunks[track.key]):
                due.append(track)
        took_s += self._cost.decode.seconds(sum(track.pending for track in due))
        self.now_s += took_s
        self.busy_s += took_s
        self.planner.worked(took_s, self.now_s)
        for track in due:
            outcome = self._speaking[track.key].outcome
            if outcome.first_sound_s is None:
                outcome.first_sound_s = self.now_s - track.opened_s
            track.heard(track.pending * self._period_s, self.now_s)
            track.pending = 0

    def _leave(self) -> None:
        gone = [key for key, each in self._speaking.items() if each.track.done or each.talker.leaves_s <= self.now_s]
        for key in gone:
            each = self._speaking.pop(key)
            outcome, track = each.outcome, self.planner.tracks.pop(key)
            outcome.frames, outcome.finished_s = track.frames, self.now_s
            outcome.underruns, outcome.underrun_s = track.underruns, track.underrun_s

    def _next_event_s(self, coming: Iterable[tuple[float, int]]) -> float:
        """When something will happen while there is nothing to do."""
        times = [self.planner.wakes_at_s(), *(arrives_s for arrives_s, _ in coming)]
        for each in self._speaking.values():
            times.append(each.talker.leaves_s)
            if each.track.parked:
                times.append(each.talker.text_at_s(each.track.frames + 1))
        return min(times)
