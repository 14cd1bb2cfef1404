"""How late the event loop is, and how busy the engine: two figures that tell trouble before listeners hear it."""

import asyncio
from collections.abc import Callable

from .metrics import Metrics

_PERIOD_S = 0.02


async def watch_loop(metrics: Metrics, busy_s: Callable[[], float]) -> None:
    """Sleep again and again, and note how much later than asked for the loop wakes us. Never returns."""
    loop = asyncio.get_running_loop()
    second_s, busy_before_s = loop.time(), busy_s()
    while True:
        asked_s = loop.time() + _PERIOD_S
        await asyncio.sleep(_PERIOD_S)
        now_s = loop.time()
        metrics.loop_lag.observe(max(0.0, now_s - asked_s))
        if now_s - second_s >= 1:
            metrics.rtf.observe((busy_s() - busy_before_s) / (now_s - second_s))
            second_s, busy_before_s = now_s, busy_s()
