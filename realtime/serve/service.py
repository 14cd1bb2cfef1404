"""What every edge of the server is given: the voice, its name, the bounds, and the clock."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from ..voice import Voice
from .limits import ServeLimits


@dataclass(frozen=True, slots=True)
class Service:
    """One voice on the wire. voice_name: as clients may ask for it; clock: monotonic seconds."""

    voice: Voice
    voice_name: str
    limits: ServeLimits = field(default_factory=ServeLimits)
    clock: Callable[[], float] = time.monotonic
