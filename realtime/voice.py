"""A voice that many conversations share: load it, open sessions, push text, read sound.

async with Voice.load() as voice, voice.session() as session:
    await session.push_text("Hello there.")
    await session.flush()
    async for chunk in session.audio():
        play(chunk.pcm)
"""

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from voicestack.runtime import CapacityError, HistoryPolicy, InputError, SamplingParams, StateError, WarmUp, find_voice

from .bundle_kind import is_published
from .cost_model import CostMeter
from .embedded_worker import EmbeddedWorker
from .lifecycle import State
from .loop_lag import watch_loop
from .metrics import Metrics
from .orders import OpenWorker, StackShape, UtteranceSpec, Worker
from .planner import PlannerConfig
from .scheduler import Limits, Scheduler
from .session import Session
from .steady_process import steady_process

if TYPE_CHECKING:
    from voicestack.runtime.published import PublishedManner, PublishedVoice

_RETRY_S = 1.0
"""The least hint when to come again, and the one while nothing is known of how long sessions last."""


@dataclass(frozen=True, slots=True)
class VoiceConfig:
    """How a voice serves.

    max_sessions: beyond what the machine can do anyway; the embedded voice has some 4 MB ready for each. lead_s: a
    stream goes on when its lead falls to the first and rests when it reaches the second. queue_s: sound a listener may
    leave untaken before no more is made. history: what is remembered of a long sentence. stream_rows, memory_gib: how
    much a published checkpoint may remember of one utterance or conversation, in rows of its backbone (12.5 a second,
    and the prompt), and of all together.
    """

    max_sessions: int = 64
    lead_s: tuple[float, float] = (0.35, 0.6)
    queue_s: float = 2.0
    history: HistoryPolicy = field(default_factory=HistoryPolicy.full)
    planner: PlannerConfig = field(default_factory=PlannerConfig)
    limits: Limits = field(default_factory=Limits)
    stream_rows: int = 2048
    memory_gib: float = 4.0

    def __post_init__(self) -> None:
        low_s, high_s = self.lead_s
        if not 0 <= low_s < high_s:
            raise InputError(f"lead_s must be two rising numbers of seconds, got {self.lead_s!r}")
        if self.queue_s <= 0:
            raise InputError(f"queue_s must be more than 0 seconds, got {self.queue_s!r}")


class Voice:
    """A voice, usable inside `async with`; make it by `load`."""

    def __init__(self, open_worker: OpenWorker, config: VoiceConfig, clock: Callable[[], float]) -> None:
        self.metrics = Metrics()
        self.config = config
        self._open_worker, self._clock = open_worker, clock
        self._sessions: dict[Session, float] = {}
        self._left = asyncio.Event()
        self._served = 0
        self._served_s = 0.0
        self._draining = False
        self._stack = AsyncExitStack()
        self._scheduler: Scheduler | None = None
        self._worker: Worker | None = None
        self._executor: ThreadPoolExecutor | None = None

    @classmethod
    def load(
        cls,
        voice: str | Path | None = None,
        *,
        config: VoiceConfig | None = None,
        prompt: Path | None = None,
        prompt_text: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        open_worker: OpenWorker | None = None,
    ) -> Self:
        """A voice by its name or its bundle's folder, by default the one that ships; loaded on entering `async with`.

        A published checkpoint sounds like `prompt`, a `.voice` file or a recording, or goes on from a recording whose
        words are `prompt_text`. `open_worker` puts another engine in the place of the bundle's.
        """
        config = config or VoiceConfig()
        return cls(open_worker or _opener(find_voice(voice), config, prompt, prompt_text), config, clock)

    async def __aenter__(self) -> Self:
        """Load and warm up, off the event loop; BundleError when the bundle cannot be used."""
        executor = ThreadPoolExecutor(1, "voicestack-engine")
        loop, meter = asyncio.get_running_loop(), CostMeter()
        try:
            worker = await loop.run_in_executor(executor, self._open_worker)
            await loop.run_in_executor(executor, worker.warm_up, meter)
            meter.settle()
        except BaseException as error:
            # Whoever gave up waiting is not to wait for a load that cannot be broken off.
            executor.shutdown(wait=not isinstance(error, asyncio.CancelledError), cancel_futures=True)
            raise
        self._stack.callback(executor.shutdown)
        self._stack.enter_context(steady_process())
        scheduler = Scheduler(
            worker, executor, meter, self.metrics, self._clock, self.config.planner, self.config.limits
        )
        self._worker, self._scheduler, self._executor = worker, scheduler, executor
        self.metrics.capacity.set_function(self.capacity)
        for state in State:
            self.metrics.sessions.labels(state).set_function(partial(self._count, state))
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        lag = group.create_task(watch_loop(self.metrics, lambda: scheduler.busy_s), name="voicestack-loop-lag")
        self._stack.callback(lag.cancel)
        group.create_task(scheduler.run(), name="voicestack-scheduler")
        self._stack.callback(scheduler.stop)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End all sessions, wait for the round that is going on, and leave no task and no thread."""
        self._draining = True
        for session in list(self._sessions):
            await session.aclose()
        # Closed without what the body raised: the task group would wrap that, and it is none of its business.
        await self._stack.aclose()
        self._worker = self._scheduler = self._executor = None

    @property
    def sample_rate_hz(self) -> int:
        """Samples in a second of its sound."""
        return self._ready()[0].sample_rate_hz

    @property
    def channels(self) -> int:
        """Channels of its sound: a chunk's pcm is [samples] for one, [samples, channels] for more."""
        return self._ready()[0].channels

    @property
    def stack(self) -> StackShape:
        """What its chunks' codes are like."""
        return self._ready()[0].stack

    @property
    def depth(self) -> int:
        """How many layers it makes unless asked otherwise."""
        return self._ready()[0].depth

    @property
    def sessions(self) -> int:
        """How many sessions are open."""
        return len(self._sessions)

    def capacity(self, depth: int | None = None) -> int:
        """How many sessions of a depth may be open at once, by what the rounds have cost so far."""
        worker, scheduler = self._ready()
        return min(self.config.max_sessions, worker.slots, scheduler.planner.capacity(depth or worker.depth))

    async def read_voice(self, prompt: Path, prompt_text: str | None = None) -> "PublishedVoice":
        """A voice for a `PublishedManner`, from a `.voice` file or a recording, whose words are `prompt_text`.

        While a recording is made one, nobody else is served: `.voice` files are for that. InputError says what is wrong
        with it, CapacityError that all places are taken.
        """
        worker, _ = self._ready()
        return await asyncio.get_running_loop().run_in_executor(self._executor, worker.read_voice, prompt, prompt_text)

    def session(
        self,
        *,
        sampling: SamplingParams | None = None,
        depth: int | None = None,
        rate: float | None = None,
        warm_up: WarmUp | None = None,
        published: "PublishedManner | None" = None,
        realtime: bool = True,
    ) -> Session:
        """A conversation, to be used by `async with`, which refuses it with CapacityError when there is no room.

        `depth` is how many code layers are made as long as there is time for all. Without `realtime` sound is made as
        fast as it is taken, for a file; with it, no further ahead of a listener than `lead_s`. `rate`, 0.5 to 2, is how
        fast to speak; with any but 1 a sentence begins when all of it has been written. `published` is what can
        be asked of a published checkpoint: another voice, a style, how codes are drawn.
        """
        worker, scheduler = self._ready()
        spec = UtteranceSpec(sampling or SamplingParams(), depth, self.config.history, warm_up, published, rate=rate)
        worker.checked(spec)
        return Session(
            scheduler,
            replace(spec, conversation=scheduler.begin_conversation()),
            sample_rate_hz=worker.sample_rate_hz,
            lead_s=self.config.lead_s if realtime else (math.inf, math.inf),
            queue_s=self.config.queue_s,
            clock=self._clock,
            on_open=self._admit,
            on_close=self._leave,
        )

    async def drain(self) -> None:
        """Open no more sessions, and return when all that are open have been closed."""
        self._draining = True
        while self._sessions:
            self._left.clear()
            await self._left.wait()

    def _admit(self, session: Session) -> None:
        if self._draining:
            raise CapacityError("the voice is shutting down; use another server")
        worker, scheduler = self._ready()
        depths = [each.depth or worker.depth for each in (*self._sessions, session)]
        if len(depths) > min(self.config.max_sessions, worker.slots) or not scheduler.planner.fits(depths):
            self.metrics.refused.inc()
            mean_s = self._served_s / self._served if self._served else _RETRY_S * len(self._sessions)
            hint_s = round(max(_RETRY_S, mean_s / max(1, len(self._sessions))), 1)
            raise CapacityError(
                f"{len(self._sessions)} sessions are open and no more fit; try again in {hint_s} s", hint_s
            )
        self._sessions[session] = self._clock()

    def _leave(self, session: Session) -> None:
        if (since_s := self._sessions.pop(session, None)) is not None:
            self._served += 1
            self._served_s += self._clock() - since_s
        self._left.set()

    def _count(self, state: State) -> int:
        return sum(session.state is state for session in self._sessions)

    def _ready(self) -> tuple[Worker, Scheduler]:
        if self._worker is None or self._scheduler is None:
            raise StateError("the voice is not loaded; use it inside `async with Voice.load() as voice`")
        return self._worker, self._scheduler


def _opener(path: Path, config: VoiceConfig, prompt: Path | None, prompt_text: str | None) -> OpenWorker:
    """What loads a bundle of either kind."""
    if is_published(path):
        # Importing it costs 100 ms that only its users should pay.
        from .published_worker import PublishedMemory, PublishedWorker

        memory = PublishedMemory(config.stream_rows, config.memory_gib)
        return PublishedWorker.opener(path, config.max_sessions, memory=memory, prompt=prompt, prompt_text=prompt_text)
    if prompt is not None or prompt_text is not None:
        raise InputError("only a published checkpoint takes a prompt; leave it out, or give the path of its bundle")
    return EmbeddedWorker.opener(path, config.max_sessions)
