"""One utterance being generated: all of its mutable state, and nothing else."""

from dataclasses import dataclass, field
from numbers import Integral

import numpy as np
from numpy.typing import NDArray

from .checks import whole
from .cued_feed import CuedFeed
from .delay_line import DelayLine
from .errors import InputError
from .history import HistoryPolicy
from .history_rows import HistoryRows
from .manifest import Manifest
from .sampling import HeadSettings, SamplingParams

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What a caller asks of one stream; InputError names what cannot be.

    `depth` is how many layers are generated (None: as the voice does), `target_frames` how long it should be (None: as
    it comes), `history` what is remembered of it while it goes on.
    """

    sampling: SamplingParams = field(default_factory=SamplingParams)
    depth: int | None = None
    target_frames: int | None = None
    history: HistoryPolicy = field(default_factory=HistoryPolicy.full)

    def __post_init__(self) -> None:
        if self.target_frames is not None:
            object.__setattr__(self, "target_frames", whole("target_frames", self.target_frames, 1))


@dataclass(slots=True, eq=False)
class Stream:
    """The state of one stream, changed by the engine; callers push text to `feed` and read the rest.

    row: its place in the KV cache, None once released. stack int64 [n_vq]: the codes drawn last, null above the depth.
    recent int64 [n_vq, PENALTY_WINDOW]: the last codes of each layer, in no order. hidden float32 [d_model]: the
    backbone's state behind the frame that is to be drawn. history: its rows, None when all are remembered fully.
    residuals float32 [depth - 1, residual_width]: what a delay head carries along, of no width with another head.
    line: how far the layers of its frames are, for a delay voice only.
    """

    spec: StreamSpec
    depth: int
    feed: CuedFeed
    draws: np.random.Generator
    settings: HeadSettings
    stack: IntArray
    recent: IntArray
    hidden: FloatArray
    residuals: FloatArray
    row: int | None
    history: HistoryRows | None = None
    line: DelayLine | None = None
    done: bool = False

    @property
    def flushing(self) -> bool:
        """Whether its speech has ended, but not all layers of the last frames have come."""
        return self.line is not None and self.feed.ended and not self.done

    @property
    def ready(self) -> bool:
        """Whether it can make a step: there is text for it, or it needs none any more."""
        return self.flushing or self.feed.ready


def require_depth(depth: int | None, manifest: Manifest) -> int:
    """The depth asked for, by default the voice's own; InputError when the voice has no head for it."""
    if depth is None:
        return manifest.sampling.depth
    for known in manifest.head_depths:
        # An integer of another type is as good; True equals 1 but is none.
        if isinstance(depth, Integral) and not isinstance(depth, bool) and depth == known:
            return known
    raise InputError(f"depth must be one of {', '.join(map(str, manifest.head_depths))}, got {depth!r}")
