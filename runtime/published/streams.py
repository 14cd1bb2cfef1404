"""The state of one utterance of a published generator."""

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .delay_state import DelayState
from .local_heads import FrameRequest, Settings
from .sampling_rules import PublishedSampling
from .seen_codes import SeenCodes

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(slots=True)
class TextClock:
    """A clocked turn: text not fed yet, whether that is all, frames generated, and the codes of the last one.

    `began` counts the rows the stream had fed before those of this turn.
    """

    tokens: deque[int] = field(default_factory=deque)
    complete: bool = False
    frames: int = 0
    last_codes: IntArray | None = None
    began: int = 0


@dataclass(slots=True)
class Stream:
    """All that changes while one utterance is generated.

    `slot` is its row of the caches, `unfed` rows [S,1+n] that the backbone has yet to take, `hidden` [H] what it gave
    for the last one. `ended` is set when the model has ended the utterance (a turn, for realtime).
    """

    slot: int
    sampling: PublishedSampling
    depth: int
    seen: SeenCodes
    random: np.random.Generator
    unfed: IntArray | None
    hidden: FloatArray
    ended: bool = False
    settings: Settings | None = None
    delay: DelayState | None = None
    clock: TextClock = field(default_factory=TextClock)


def frame_request(stream: Stream, n_vq: int) -> FrameRequest:
    """What a stream brings to a local head for its next frame."""
    if stream.settings is None:
        raise InputError("this stream was not made by a generator with a local head")
    # One uniform for every channel at any depth, so that a seed gives the same coarse codes.
    uniforms = stream.random.random(1 + n_vq, dtype=np.float32)
    return FrameRequest(stream.hidden, uniforms, stream.seen.mask, stream.settings)
