"""Barge-in: from interrupt() to silence, and to the first sound of the next reply, while others speak."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .figures import Summary, summary
from .load import Load, LoadPlan
from .record import Record, hear_reply
from .target import Conversation, Target
from .texts import Writer, endless

_LISTENS_S = (0.3, 1.2)
"""For how long a reply is listened to before it is broken off, drawn anew each time."""
_FIRST_SOUND_S = 30.0
_UNMEASURED = 1_000_000
"""The number of the session that barges in: not one of the others, whose seeds follow from theirs."""


@dataclass(slots=True)
class BargeIns:
    """Seconds from each interrupt(): until audio() had ended, and until the next reply began and was audible.

    stale: chunks that came after interrupt() had returned; there must be none. missed: replies that had ended before
    they could be interrupted. others: what the other sessions noticed meanwhile.
    """

    silence_s: list[float] = field(default_factory=list)
    next_ttfb_s: list[float] = field(default_factory=list)
    next_ttfa_s: list[float] = field(default_factory=list)
    stale: int = 0
    missed: int = 0
    others: list[Record] = field(default_factory=list)

    def summaries(self) -> dict[str, Summary]:
        """In milliseconds."""
        return {
            "silence_ms": summary(self.silence_s),
            "next_ttfb_ms": summary(self.next_ttfb_s),
            "next_ttfa_ms": summary(self.next_ttfa_s),
        }


async def barge_in(
    target: Target,
    replies: Sequence[str],
    plan: LoadPlan,
    count: int,
    clock: Callable[[], float] = time.monotonic,
) -> BargeIns:
    """Interrupt so many replies of one session, while the sessions of the plan speak without a pause.

    The plan's `seconds` must be enough for that; when they are over the other sessions fall silent.
    """
    found = BargeIns()
    load = Load(target, replies, plan, clock)
    async with asyncio.TaskGroup() as group:
        others = group.create_task(load.run(), name="voicestack-bench-others")
        await asyncio.sleep(plan.spread_s if plan.sessions else 0.0)
        async with target.open(_UNMEASURED) as conversation:
            await _Impatient(conversation, replies, plan, clock, found).listen(count)
        others.cancel()
    found.others = load.records
    return found


class _Impatient:
    """A listener who breaks off reply after reply."""

    def __init__(
        self,
        conversation: Conversation,
        replies: Sequence[str],
        plan: LoadPlan,
        clock: Callable[[], float],
        found: BargeIns,
    ) -> None:
        self._conversation, self._clock, self._found = conversation, clock, found
        self._draws = random.Random(plan.seed)
        self._texts = endless(replies, self._draws)
        self._tokens_per_s = plan.tokens_per_s

    async def listen(self, count: int) -> None:
        """Break off so many, each followed by the next at once."""
        broken_off_s: float | None = None
        for _ in range(count):
            broken_off_s = await self._one(broken_off_s)

    async def _one(self, since_s: float | None) -> float | None:
        """Begin a reply, listen for a while, break it off; returns when, None if it had ended by then."""
        found, record = self._found, Record(_UNMEASURED)
        writer = Writer(next(self._texts), self._tokens_per_s, self._clock)
        sounded = asyncio.Event()
        hearing_call = hear_reply(self._conversation, writer, record, self._clock, sounded.set)
        async with asyncio.TaskGroup() as group:
            hearing = group.create_task(hearing_call, name="voicestack-bench-barge-in")
            # One that ends without a sound is not waited for either.
            hearing.add_done_callback(lambda _: sounded.set())
            async with asyncio.timeout(_FIRST_SOUND_S):
                await sounded.wait()
            await asyncio.sleep(self._draws.uniform(*_LISTENS_S))
            if hearing.done():
                found.missed += 1
                interrupted_s = None
            else:
                interrupted_s = self._clock()
                await self._conversation.interrupt()
                heard = len(record.arrivals_s)
                await hearing
                found.silence_s.append(self._clock() - interrupted_s)
                found.stale += len(record.arrivals_s) - heard
        if since_s is not None and record.ttfb_s is not None:
            waited_s = record.asked_s - since_s
            found.next_ttfb_s.append(waited_s + record.ttfb_s)
            if record.ttfa_s is not None:
                found.next_ttfa_s.append(waited_s + record.ttfa_s)
        return interrupted_s
