"""What the scheduler keeps of an utterance that is being spoken."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from .onset import OnsetDetector
from .orders import UtteranceSpec
from .outlet import Outlet
from .stages import Stages
from .track import Track


@dataclass(slots=True)
class Live:
    """One utterance that is being spoken."""

    outlet: Outlet
    spec: UtteranceSpec
    track: Track
    onset: OnsetDetector
    stages: Stages
    on_starved: Callable[[], None]
    text: list[str] = field(default_factory=list)
    complete: bool = False
    finish_sent: bool = False
    opened: bool = False
    parked_since_s: float = math.inf
    first_sound_s: float | None = None
    delivered_samples: int = 0
    delivered_frames: int = 0
