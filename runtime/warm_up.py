"""The warm-up ramp of a delay voice: how deep a frame is played, decided frame by frame from the lead.

A frame gains a layer with every step. Played at once it is shallow; kept back it gets better, and the listener's lead
shorter. So the first frame goes out as soon as it has `first_depth` layers, and from then on a frame waits for all its
layers as long as the lead allows, but never until it runs out. As steps are faster than speech, frames get deeper from
one to the next, and soon all are whole.

Nothing here reads a clock: who does passes the time in.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from . import names
from .checks import whole

GUARD_S = 0.02
"""The least lead to be left when the next frame is there; more where a step and a decoder call take longer than it."""
_FORGET = 0.2
"""How much of the way to a shorter time an estimate goes at once; to a longer one it goes all the way."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """How shallow the speech of a delay voice may begin; InputError names what cannot be.

    `first_depth` layers make the first frame go out, `min_depth` of them are enough for one that is needed later. A
    stream of fewer layers waits for no more than it makes. `WarmUp(n, n)` with all the layers waits for full stacks.
    """

    first_depth: int
    min_depth: int = 1

    def __post_init__(self) -> None:
        first = whole("first_depth", self.first_depth, 1, names.HEAD_DEPTHS[-1])
        object.__setattr__(self, "first_depth", first)
        object.__setattr__(self, "min_depth", whole("min_depth", self.min_depth, 1, first))


DEFAULT_WARM_UP = WarmUp(first_depth=4, min_depth=1)
"""Measured (`demos/delay_ramp.py`): with fewer layers first words get lost, with more nothing is gained but time."""


@dataclass(frozen=True, slots=True)
class Need:
    """What the ramp decides on, beside the frames.

    begun: whether anything was given out. lead_s: sound given out and not yet heard, in seconds. needed_s: how much of
    it must be left now, `inf` when it is not known when the next frame can come. wanted: how many whole frames are
    worth a decoder call.
    """

    begun: bool
    lead_s: float
    needed_s: float
    wanted: int


def frames_due(depths: Sequence[int], full: int, warm_up: WarmUp, need: Need, frame_s: float) -> int:
    """How many of the frames that wait are to be given out now, as deep as they are; 0: make another step instead.

    `depths` are theirs, oldest first, which never rise; `full` is the stream's, `frame_s` the length of a frame.
    """
    if not depths:
        return 0
    if not need.begun:
        return int(depths[0] >= min(warm_up.first_depth, full))
    done = _at_least(depths, full)
    if done >= need.wanted:
        return need.wanted
    short_s = need.needed_s - need.lead_s
    if short_s <= 0:
        return 0
    playable = _at_least(depths, min(warm_up.min_depth, full))
    urgent = playable if math.isinf(short_s) else min(playable, max(1, math.ceil(short_s / frame_s)))
    # A frame that is whole gains nothing by waiting.
    return max(done, urgent)


def _at_least(depths: Sequence[int], depth: int) -> int:
    return sum(each >= depth for each in depths)


@dataclass(slots=True)
class Lead:
    """How much sound a listener has left who hears all without a pause, beginning with the first chunk."""

    _until_s: float = -math.inf

    @property
    def begun(self) -> bool:
        """Whether anything was given out."""
        return self._until_s > -math.inf

    def give(self, now_s: float, seconds: float) -> None:
        """Note that so much more was given out; who had to wait for it goes on hearing from now."""
        self._until_s = max(self._until_s, now_s) + seconds

    def left_s(self, now_s: float) -> float:
        """Seconds from now until there is nothing left to hear; 0 when that has come."""
        return max(self._until_s - now_s, 0.0)


@dataclass(slots=True)
class Estimate:
    """How long something takes that is done again and again: long times count at once, and are forgotten slowly."""

    seconds: float = 0.0
    known: bool = False

    def note(self, seconds: float) -> None:
        """Take one more time into account."""
        slower = self.seconds + (seconds - self.seconds) * _FORGET
        self.seconds = max(seconds, slower) if self.known else seconds
        self.known = True


@dataclass(slots=True)
class Pace:
    """How long a step of the engine and a call of the decoder take here, and the lead that asks for."""

    step: Estimate
    decode: Estimate

    @classmethod
    def begin(cls) -> "Pace":
        """Nothing was measured yet."""
        return cls(Estimate(), Estimate())

    def needed_s(self, wait_s: float = 0.0) -> float:
        """The lead that must be left now to come through a wait, a step and a decoder call, with the guard to spare."""
        work_s = self.step.seconds + self.decode.seconds
        return wait_s + work_s + max(GUARD_S, work_s)
