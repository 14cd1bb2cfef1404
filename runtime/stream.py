"""One utterance being generated: all of its mutable state, and nothing else."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .cued_feed import CuedFeed
from .errors import InputError
from .manifest import Manifest
from .sampling import HeadSettings, SamplingParams

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """What a caller asks of one stream; InputError names what cannot be.

    `depth` is how many layers are generated (None: as the voice does), `target_frames` how long it should be (None: as
    it comes).
    """

    sampling: SamplingParams = field(default_factory=SamplingParams)
    depth: int | None = None
    target_frames: int | None = None

    def __post_init__(self) -> None:
        if self.target_frames is not None and self.target_frames < 1:
            raise InputError(f"target_frames must be at least 1, got {self.target_frames}")


@dataclass(slots=True, eq=False)
class Stream:
    """The state of one stream, changed by the engine; callers push text to `feed` and read the rest.

    row: its place in the KV cache, None once released. stack int64 [n_vq]: the codes of the last frame, null above
    the depth. recent int64 [n_vq, PENALTY_WINDOW]: the last codes of each layer, in no order. hidden float32 [d_model]:
    the backbone's state behind the frame that is to be drawn.
    """

    spec: StreamSpec
    depth: int
    feed: CuedFeed
    draws: np.random.Generator
    settings: HeadSettings
    stack: IntArray
    recent: IntArray
    hidden: FloatArray
    row: int | None
    done: bool = False


def require_depth(depth: int | None, manifest: Manifest) -> int:
    """The depth asked for, by default the voice's own; InputError when the voice has no head for it."""
    wanted = manifest.sampling.depth if depth is None else depth
    if not isinstance(wanted, int) or wanted not in manifest.head_depths:  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"depth must be one of {', '.join(map(str, manifest.head_depths))}, got {wanted!r}")
    return wanted
