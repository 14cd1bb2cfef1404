"""One measurement: a first reply by itself, then the load, with everything watched that the report tells of."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voicestack.runtime import InputError

from .load import Load, LoadPlan
from .monitor import Monitor
from .record import Outcome, Record
from .target import Facts, Target


@dataclass(slots=True)
class Measurement:
    """What was measured. cold: the first reply after loading. totals: what the engine's counters grew by.

    began_s: when the load began, on the clock of the records. capacity: what the target then believed to hold.
    """

    facts: Facts
    plan: LoadPlan
    cold: Record | None
    records: list[Record]
    totals: dict[str, float]
    monitor: Monitor
    began_s: float
    capacity: int | None


async def measure(
    target: Target,
    replies: Sequence[str],
    plan: LoadPlan,
    *,
    cold: bool = True,
    clock: Callable[[], float] = time.monotonic,
) -> Measurement:
    """Put the load on a target that is ready. InputError when not even the first reply can be had."""
    first = await first_reply(target, replies, clock) if cold else None
    load = Load(target, replies, plan, clock)
    before, began_s, monitor = target.totals(), clock(), Monitor()
    async with monitor:
        await load.run()
    totals = {name: value - before.get(name, 0.0) for name, value in target.totals().items()}
    return Measurement(target.facts, plan, first, load.records, totals, monitor, began_s, target.capacity())


async def first_reply(target: Target, replies: Sequence[str], clock: Callable[[], float]) -> Record:
    """One reply, its text given at once; a target that fails at it is not worth measuring."""
    record = await Load(target, replies, LoadPlan(), clock).once()
    if record.outcome is Outcome.FAILED:
        raise InputError(f"the first reply failed, nothing was measured: {record.error}")
    if record.ttfb_s is None:
        raise InputError("the first reply was answered without any sound, nothing was measured")
    return record
