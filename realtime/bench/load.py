"""Who speaks when: a fixed number of sessions without a pause, or arrivals at random."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from voicestack.runtime import CapacityError, InputError

from ..first_error import first_error
from .record import Outcome, Record, hear_reply
from .target import Conversation, Target
from .texts import Writer, endless

_GRACE_S = 60.0
"""How long replies that were begun in time may go on."""
_BACK_OFF_S = 0.2
"""Before the next try, after a reply that failed or a refusal without a hint."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """Who speaks, and how.

    sessions: so many speak without a pause for `seconds`, beginning within `spread_s`. rate_per_s: instead of these, so
    many come a second, each for one reply. tokens_per_s: how fast a reply is written; None: it is there at once.
    """

    sessions: int = 1
    seconds: float = 20.0
    rate_per_s: float | None = None
    tokens_per_s: float | None = None
    spread_s: float = 2.0
    seed: int = 0


def arrivals(rate_per_s: float, seconds: float, seed: int) -> list[float]:
    """The seconds at which somebody comes, a Poisson process; the same for the same seed."""
    draws = random.Random(seed)
    times: list[float] = []
    at_s = draws.expovariate(rate_per_s)
    while at_s < seconds:
        times.append(at_s)
        at_s += draws.expovariate(rate_per_s)
    return times


@dataclass(slots=True)
class Load:
    """Puts a load on a target; `records` has every reply and every refusal since."""

    target: Target
    replies: Sequence[str]
    plan: LoadPlan
    clock: Callable[[], float] = time.monotonic
    records: list[Record] = field(default_factory=list)

    async def run(self) -> None:
        """Speak for the planned time."""
        await (self._closed() if self.plan.rate_per_s is None else self._poisson(self.plan.rate_per_s))

    async def once(self, number: int = 0) -> Record:
        """One reply of one session, by itself."""
        async with self.target.open(number) as conversation:
            record, _ = await self._reply(conversation, number, self.replies[0])
        return record

    async def _closed(self) -> None:
        plan = self.plan
        try:
            async with asyncio.timeout(plan.seconds), asyncio.TaskGroup() as group:
                for number in range(plan.sessions):
                    group.create_task(self._talk(number), name=f"voicestack-bench-session-{number}")
        except TimeoutError:
            pass  # the time is over; whoever still spoke was cut off

    async def _talk(self, number: int) -> None:
        """Reply after reply, each as soon as the last has been heard; whoever is refused comes again when told to."""
        draws = random.Random(f"{self.plan.seed} {number}")
        texts = endless(self.replies, draws)
        await asyncio.sleep(draws.uniform(0, self.plan.spread_s))
        while True:
            try:
                async with self.target.open(number) as conversation:
                    while True:
                        record, lead_s = await self._reply(conversation, number, next(texts))
                        await asyncio.sleep(_BACK_OFF_S if record.error else lead_s)
            except CapacityError as refused:
                await asyncio.sleep(self._refused(number, refused))

    async def _poisson(self, rate_per_s: float) -> None:
        plan = self.plan
        texts = endless(self.replies, random.Random(plan.seed))
        began_s = self.clock()
        try:
            async with asyncio.timeout(plan.seconds + _GRACE_S), asyncio.TaskGroup() as group:
                for number, at_s in enumerate(arrivals(rate_per_s, plan.seconds, plan.seed)):
                    await asyncio.sleep(max(0.0, began_s + at_s - self.clock()))
                    group.create_task(self._visit(number, next(texts)), name=f"voicestack-bench-visit-{number}")
        except TimeoutError:
            pass  # what is still going on by then is CUT

    async def _visit(self, number: int, reply: str) -> None:
        try:
            async with self.target.open(number) as conversation:
                _, lead_s = await self._reply(conversation, number, reply)
                # The place is given back when the reply has been heard, as a caller who hangs up does.
                await asyncio.sleep(lead_s)
        except CapacityError as refused:
            self._refused(number, refused)

    async def _reply(self, conversation: Conversation, number: int, reply: str) -> tuple[Record, float]:
        """One reply, and the lead left at its end; one that fails is noted, unless the call itself was wrong."""
        record = Record(number)
        self.records.append(record)
        writer = Writer(reply, self.plan.tokens_per_s, self.clock)
        try:
            return record, await hear_reply(conversation, writer, record, self.clock)
        except Exception as failed:
            # What a conversation's tasks raise comes in a group.
            error = first_error(failed)
            if isinstance(error, CapacityError):
                self.records.remove(record)
            if isinstance(error, CapacityError | InputError):
                raise error from None
            record.outcome, record.error = Outcome.FAILED, f"{type(error).__name__}: {error}"
        return record, 0.0

    def _refused(self, number: int, refused: CapacityError) -> float:
        """Note a refusal; returns when to come again."""
        record = Record(number, Outcome.REFUSED, self.clock(), retry_s=refused.retry_after_s)
        self.records.append(record)
        return refused.retry_after_s or _BACK_OFF_S
