"""What can be measured: anything that opens conversations, takes text and gives sound."""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ..stages import Stages


@dataclass(frozen=True, slots=True)
class Sound:
    """Sound that has just arrived. pcm: float32 [samples]; depths: of its frames, if known.

    starved_s: seconds for which text was missing since the reply began; starved_until_s: when that last ended.
    """

    pcm: NDArray[np.float32]
    sample_rate_hz: int
    depths: tuple[int, ...] = ()
    starved_s: float = 0.0
    starved_until_s: float = 0.0


Hear = Callable[[Sound], None]


class Conversation(Protocol):
    """One client's side: reply after reply."""

    @property
    def stages(self) -> Stages | None:
        """Where the time of the last reply went, if that can be known."""
        ...

    @property
    def underruns(self) -> tuple[int, float] | None:
        """How often, and for how many seconds, the last reply ran dry, where somebody plays it who counts that."""
        ...

    async def speak(self, text: AsyncIterator[str], hear: Hear) -> None:
        """Have a reply spoken while it is written, and hear it to its end, or until it is interrupted."""
        ...

    async def interrupt(self) -> None:
        """Break the reply off."""
        ...


@dataclass(slots=True)
class Facts:
    """What a target tells of itself. cold: how long its beginning took, in seconds by name."""

    name: str
    transport: str
    voice: str | None = None
    depth: int | None = None
    cold: dict[str, float] = field(default_factory=dict)


class Target(Protocol):
    """Used inside `async with`."""

    facts: Facts

    async def __aenter__(self) -> Self:
        """Make it ready."""
        ...

    async def __aexit__(self, *error: object) -> None:
        """Let it go."""
        ...

    def open(self, number: int) -> AbstractAsyncContextManager[Conversation]:
        """A conversation, the nth; CapacityError on entering it when there is no room."""
        ...

    def totals(self) -> Mapping[str, float]:
        """Running totals of the engine behind it, by metric name and labels; none where that cannot be known."""
        ...

    def capacity(self) -> int | None:
        """How many conversations it believes to hold; None where that cannot be known."""
        ...
