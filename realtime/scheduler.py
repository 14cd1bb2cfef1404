"""The scheduler: one task that plans round after round, and one thread that owns the models and does them."""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from voicestack.runtime import Advance

from .conversations import Conversations
from .cost_model import CostMeter
from .live import Live
from .metrics import Metrics
from .onset import OnsetDetector
from .orders import Order, Report, Result, StepOrder, UtteranceSpec, Worker
from .outlet import Ending, Outlet
from .planner import Plan, Planner, PlannerConfig
from .stages import Stages
from .track import Track


@dataclass(frozen=True, slots=True)
class Limits:
    """How long the scheduler is patient, in seconds.

    starved_s: for text of an utterance that was begun; then what it had is spoken to its end. full_s: for a listener
    that does not take what it is given.
    """

    starved_s: float = 60.0
    full_s: float = 60.0


class Scheduler:
    """Speaks utterances; all methods are called on the event loop that `run` runs on."""

    def __init__(
        self,
        worker: Worker,
        executor: Executor,
        meter: CostMeter,
        metrics: Metrics,
        clock: Callable[[], float],
        config: PlannerConfig,
        limits: Limits,
    ) -> None:
        self.busy_s = 0.0
        self._worker, self._executor, self._meter = worker, executor, meter
        self._metrics, self._clock, self._limits = metrics, clock, limits
        self._model = meter.model()
        self._history_due = False
        config = replace(config, shedding=config.shedding and worker.sheds)
        self.planner = Planner(
            lambda: self._model, worker.frame_s, config, lambda: self._history_due, worker.first_sound_s
        )
        self._live: dict[int, Live] = {}
        self._closing: list[tuple[int, Ending, float]] = []
        self._conversations = Conversations()
        self._next_key = 0
        self._wake = asyncio.Event()
        self._stopping = False

    @property
    def speaking(self) -> int:
        """How many utterances are being spoken, or wait for text."""
        return len(self._live)

    @property
    def parked(self) -> int:
        """How many of them wait for text."""
        return sum(live.track.parked for live in self._live.values())

    def begin(
        self,
        outlet: Outlet,
        spec: UtteranceSpec,
        stages: Stages,
        *,
        high_s: float,
        low_s: float,
        on_starved: Callable[[], None],
    ) -> int:
        """Begin an utterance whose sound goes to `outlet`; returns its key. It needs text before anything happens.

        Its moments are written into `stages`.
        """
        key, self._next_key = self._next_key, self._next_key + 1
        depth = spec.depth or self._worker.depth
        track = Track(key, depth, self._clock(), high_s, low_s, parked=True)
        self.planner.tracks[key] = track
        stages.opened_s = track.opened_s
        self._live[key] = Live(outlet, spec, track, OnsetDetector(outlet.rate), stages, on_starved)
        return key

    def begin_conversation(self) -> int | None:
        """A number for the utterances of a session, to be ended; None where they do not go on from each other."""
        return self._conversations.begin() if self._worker.converses else None

    def end_conversation(self, conversation: int) -> None:
        """No further utterance of it will come."""
        self._conversations.close(conversation)
        self._wake.set()

    def heard(self, key: int, seconds: float) -> None:
        """So much of an utterance was heard, to be told before its end is; its conversation goes on from there."""
        if self._worker.converses:
            self._conversations.heard(key, seconds)
            self._wake.set()

    def push(self, key: int, text: str) -> None:
        """Text of an utterance; of one that has ended it is dropped."""
        if live := self._live.get(key):
            live.text.append(text)
            self._text_came(live)

    def finish(self, key: int) -> None:
        """No more text will come."""
        if live := self._live.get(key):
            live.complete = True
            self._text_came(live)

    def deep_enough(self, depth: int) -> int:
        """How many layers must be made so that `depth` can be heard; InputError when it never can."""
        return self._worker.deep_enough(depth)

    def set_depth(self, key: int, made: int, played: int) -> None:
        """Make so many layers of an utterance while there is time for them, and have so many of them heard."""
        if live := self._live.get(key):
            live.track.wanted_depth = made
            live.spec = replace(live.spec, depth=made, played_depth=played)
            live.play = played
            self._wake.set()

    def taken(self, key: int) -> None:
        """The listener took something, so there is room again."""
        if live := self._live.get(key):
            live.track.full = live.outlet.full
            live.outlet.full_since_s = self._clock() if live.track.full else None
            self._wake.set()

    def end(self, key: int, ending: Ending, error: Exception | None = None) -> None:
        """End an utterance now: nothing more is handed out, and its place is free before the next round's work."""
        live = self._live.pop(key, None)
        if live is None:
            return
        del self.planner.tracks[key]
        self._metrics.wasted.inc(max(0, live.track.frames - live.delivered_frames))
        if live.opened:
            self._closing.append((key, ending, self._clock()))
        if live.outlet.end(ending, error):
            self._metrics.utterances.labels(ending).inc()
        self._wake.set()

    def stop(self) -> None:
        """Let `run` return when nothing is left to be spoken."""
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Plan and do rounds until stopped."""
        loop = asyncio.get_running_loop()
        while True:
            began_s = time.perf_counter()
            self._give_up()
            now_s = self._clock()
            plan = self.planner.plan(now_s)
            order = self._order(plan, now_s)
            self._metrics.loop_s.inc(time.perf_counter() - began_s)
            if order is None:
                if self._stopping and not self._live:
                    return
                await self._sleep()
                continue
            try:
                report = await loop.run_in_executor(self._executor, self._worker.work, order, self._meter)
            except Exception as error:
                # The worker answers for single utterances itself; what comes here it could not tell apart.
                for key in order.keys():
                    self.end(key, Ending.FAILED, error)
                for conversation in order.close_conversations:
                    self._conversations.close(conversation)
                continue
            began_s = time.perf_counter()
            self._account(order, report)
            for result in report.results:
                self._apply(result, report)
            self._metrics.loop_s.inc(time.perf_counter() - began_s)

    def _text_came(self, live: Live) -> None:
        now_s = self._clock()
        live.track.resume(now_s)
        if not math.isinf(live.parked_since_s):
            live.stages.text_came(now_s - live.parked_since_s, now_s)
        live.parked_since_s = math.inf
        self._wake.set()

    def _order(self, plan: Plan, now_s: float) -> Order | None:
        """The round as the worker takes it; None when there is nothing to do."""
        order = Order(close=[key for key, _, _ in self._closing], maintain=plan.maintain)
        self._conversations.tell(order)
        for key, live in self._live.items():
            if live.opened and live.play is not None:
                order.play.append((key, live.play))
                live.play = None
            if not live.has_news:
                continue
            if not live.opened:
                live.opened = True
                order.open.append((key, live.spec))
                self._metrics.queue_wait.observe(now_s - live.track.opened_s)
            order.text += [(key, text) for text in live.text]
            live.text.clear()
            if live.complete and not live.finish_sent:
                live.finish_sent = True
                order.finish.append(key)
        for track, rows in plan.prefill:
            track.rows_left -= rows
            order.prefill.append((track.key, rows))
        for track in plan.step:
            lead_s = track.lead_s(now_s)
            self._metrics.lead.observe(lead_s)
            self._live[track.key].stages.stepped(now_s)
            order.step.append(StepOrder(track.key, track.depth, self.planner.chunk_frames(track, now_s), lead_s))
        return None if order == Order() else order

    async def _sleep(self) -> None:
        """Until something happens, or somebody has rested or waited long enough."""
        now_s = self._clock()
        until_s = min(self.planner.wakes_at_s(), self._gives_up_at_s())
        self._wake.clear()
        try:
            async with asyncio.timeout(None if math.isinf(until_s) else max(0.0, until_s - now_s)):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _gives_up_at_s(self) -> float:
        starved = (live.parked_since_s + self._limits.starved_s for live in self._live.values())
        full = (
            live.outlet.full_since_s + self._limits.full_s
            for live in self._live.values()
            if live.outlet.full_since_s is not None
        )
        return min((*starved, *full), default=math.inf)

    def _give_up(self) -> None:
        """End those whose writer or listener has not been heard of for too long."""
        now_s = self._clock()
        for key, live in list(self._live.items()):
            since_s = live.outlet.full_since_s
            if now_s - live.parked_since_s >= self._limits.starved_s:
                # Its last words wait for those behind them, and nobody would ever hear them.
                live.outlet.starved = True
                self.finish(key)
            elif since_s is not None and now_s - since_s >= self._limits.full_s:
                self.heard(key, live.delivered_samples / live.outlet.rate - live.outlet.queued_s)
                self.end(key, Ending.ABANDONED)

    def _account(self, order: Order, report: Report) -> None:
        """Measure the round."""
        metrics, now_s = self._metrics, self._clock()
        self._model = self._meter.model()
        self._history_due = report.more_history
        self.busy_s += report.engine_s
        self.planner.worked(report.round_s, now_s)
        for _, ending, began_s in self._closing[: len(order.close)]:
            if ending is Ending.INTERRUPTED:
                metrics.interrupt.observe(now_s - began_s)
        del self._closing[: len(order.close)]
        metrics.rounds_s.inc(report.round_s)
        metrics.ort_s.inc(report.ort_s)
        if order.step:
            metrics.batch.observe(len(order.step))
            metrics.step.observe(report.step_s)
        if report.prefill_s:
            metrics.prefill.observe(report.prefill_s)
        if report.codec_s:
            metrics.codec.observe(report.codec_s)

    def _apply(self, result: Result, report: Report) -> None:
        """Hand on what a round did to an utterance; of one that was ended meanwhile nothing is handed on."""
        live = self._live.get(result.key)
        if live is None:
            self._metrics.wasted.inc(result.frames)
            return
        track = live.track
        track.frames += result.frames
        track.pending, track.row, track.rows_left = result.pending, result.row, result.rows_left
        if result.frames:
            live.stages.made_frame()
            self._metrics.generated.labels(track.depth).inc(result.frames)
        if result.chunk is not None and len(result.chunk.pcm):
            live.hand_on(result.chunk, self._clock(), report.codec_s, self._metrics)
        if result.advance is Advance.PARKED and not live.has_news:
            now_s = self._clock()
            if not track.parked:
                live.parked_since_s = now_s
            track.park()
            if result.pending and (result.chunk is None or not len(result.chunk.pcm)):
                # Not deep enough to be heard: once nothing is left to play, only text or the end can change that.
                track.held_until_s = now_s + 0.02 if track.lead_s(now_s) else math.inf
            live.on_starved()
        elif result.advance is Advance.DONE:
            self.end(result.key, Ending.STARVED if live.outlet.starved else Ending.FINISHED)
        elif result.advance is Advance.FAILED:
            self.end(result.key, Ending.FAILED, result.error)
