"""What a measurement costs this process: its event loop, its processor time, its memory."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Self

from .machine import rss_mb

_PERIOD_S = 0.01
_RSS_EVERY = 25


@dataclass(slots=True)
class Monitor:
    """Watches while it is used inside `async with`.

    lags_s: how late the event loop woke a sleeper, each time. cpu_s: processor seconds of all threads, loop_cpu_s of
    the event loop's thread, listeners included. wall_s: how long it watched. rss_start_mb, rss_peak_mb: memory, None
    where the system does not tell.
    """

    lags_s: list[float] = field(default_factory=list)
    cpu_s: float = 0.0
    loop_cpu_s: float = 0.0
    wall_s: float = 0.0
    rss_start_mb: float | None = None
    rss_peak_mb: float | None = None
    _task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self.rss_start_mb = self.rss_peak_mb = rss_mb()
        self.cpu_s, self.loop_cpu_s, self.wall_s = -time.process_time(), -time.thread_time(), -time.monotonic()
        self._task = asyncio.create_task(self._watch(), name="voicestack-bench-monitor")
        return self

    async def __aexit__(self, *error: object) -> None:
        self.cpu_s += time.process_time()
        self.loop_cpu_s += time.thread_time()
        self.wall_s += time.monotonic()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(_RSS_EVERY):
                asked_s = loop.time() + _PERIOD_S
                await asyncio.sleep(_PERIOD_S)
                self.lags_s.append(max(0.0, loop.time() - asked_s))
            if (now_mb := rss_mb()) is not None:
                self.rss_peak_mb = max(self.rss_peak_mb or 0.0, now_mb)
