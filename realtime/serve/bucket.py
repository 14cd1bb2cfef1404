"""How many messages a connection may send: some at once, and so many a second in the long run."""

import asyncio
from collections.abc import Callable


class Bucket:
    """Whoever empties it waits, where reading can be put off, or is refused, where it cannot.

    Attributes:
        told: whether a refusal has been told since the last message that was let through; its owner sets it.
    """

    __slots__ = ("_at_s", "_burst", "_clock", "_left", "_rate_per_s", "told")

    def __init__(self, rate_per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate_per_s, self._burst, self._clock = rate_per_s, burst, clock
        self._left, self._at_s = float(burst), clock()
        self.told = False

    def take(self) -> bool:
        """Whether one more may come now."""
        self._refill()
        if self._left < 1:
            return False
        self._left -= 1
        self.told = False
        return True

    async def wait(self) -> None:
        """Let one more come, as soon as one may: whoever sends too many is read more slowly, and nothing is lost."""
        self._refill()
        self._left -= 1
        if self._left < 0:
            await asyncio.sleep(-self._left / self._rate_per_s)

    def _refill(self) -> None:
        now_s = self._clock()
        self._left = min(self._burst, self._left + (now_s - self._at_s) * self._rate_per_s)
        self._at_s = now_s
