"""The voice in this process: no transport between the listener and the session."""

import time
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from voicestack.runtime import Bundle, Chunk, SamplingParams, find_voice

from ..embedded_worker import EmbeddedWorker
from ..orders import OpenWorker, Worker
from ..session import Session
from ..stages import Stages
from ..voice import Voice, VoiceConfig
from .session_conversation import SEED_STEP, SessionConversation
from .target import Facts, Sound
from .totals import totals_of


class InprocConversation(SessionConversation):
    """A session of the voice, which tells where the time goes."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._told = session

    @property
    def stages(self) -> Stages:
        """Where the time of the last reply went."""
        return self._told.stages

    def _sound(self, chunk: Chunk) -> Sound:
        stages = self.stages
        return Sound(chunk.pcm, self._told.sample_rate_hz, chunk.depths, stages.starved_s, stages.starved_until_s)


class InprocTarget:
    """Loads the voice, and opens sessions of it.

    `open_worker` puts another engine in the place of the bundle's.
    """

    def __init__(
        self,
        voice: str | None,
        depth: int | None,
        seed: int,
        config: VoiceConfig,
        open_worker: OpenWorker | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.facts = Facts("voicestack", "inproc", depth=depth)
        self._depth, self._seed, self._clock = depth, seed, clock
        self._opener = open_worker or self._bundle_worker(find_voice(voice), config.max_sessions)
        self._voice = Voice.load(config=config, clock=clock, open_worker=self._open)

    async def __aenter__(self) -> Self:
        """Load and warm up, and note how long each takes."""
        began_s = self._clock()
        await self._voice.__aenter__()
        cold = self.facts.cold
        cold["warm_up_s"] = self._clock() - began_s - cold["load_s"]
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._voice.__aexit__(None, None, None)

    @asynccontextmanager
    async def open(self, number: int) -> AsyncGenerator[InprocConversation]:
        """A session; each speaks with seeds of its own."""
        sampling = SamplingParams(seed=self._seed + number * SEED_STEP)
        async with self._voice.session(sampling=sampling, depth=self._depth) as session:
            yield InprocConversation(session)

    def totals(self) -> Mapping[str, float]:
        """The counters of the voice's metrics."""
        return totals_of(self._voice.metrics.registry.collect())

    def capacity(self) -> int:
        """What admission allows now."""
        return self._voice.capacity()

    def _open(self) -> Worker:
        began_s = self._clock()
        worker = self._opener()
        self.facts.cold["load_s"] = self._clock() - began_s
        self.facts.depth = self.facts.depth or worker.depth
        return worker

    def _bundle_worker(self, path: Path, slots: int) -> OpenWorker:
        def opened() -> Worker:
            bundle = Bundle.load(path)
            self.facts.voice = bundle.manifest.name
            return EmbeddedWorker(bundle, slots)

        return opened
