"""The state of one utterance of a published generator, and the interface all generators share."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .delay_state import DelayState
from .generator_info import GeneratorInfo
from .local_heads import FrameRequest, Settings
from .prompt_memory import PromptMemory
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


class Generator(Protocol):
    """What a generator of any family does. Rows are int64 [1+n]: channel 0, then the codes.

    Streams prefilled by one call are a batch in the published code's sense, which matters only to delay's penalty.
    """

    info: GeneratorInfo

    def open(
        self,
        prompts: Sequence[IntArray],
        sampling: PublishedSampling | None = None,
        *,
        depth: int | None = None,
        seed: int | None = None,
        memory: PromptMemory | None = None,
    ) -> list[Stream]:
        """Begin a stream for each prompt [S,1+n]; without `sampling` as the published code does by default.

        `memory` is what another prompt left in the caches; the rows they begin with alike are not fed again. All others
        are still to be fed, in pieces of any size.
        """
        ...

    def prefill(
        self,
        prompts: Sequence[IntArray],
        sampling: PublishedSampling | None = None,
        *,
        depth: int | None = None,
        seed: int | None = None,
        memory: PromptMemory | None = None,
    ) -> list[Stream]:
        """As `open`, and feed the prompts to their ends."""
        ...

    def step(self, streams: Sequence[Stream]) -> list[IntArray | None]:
        """Generate the next row of each stream; None for one that has ended, or has to wait for text."""
        ...

    def release(self, stream: Stream) -> None:
        """Give a stream's place back."""
        ...


def frame_request(stream: Stream, n_vq: int) -> FrameRequest:
    """What a stream brings to a local head for its next frame."""
    if stream.settings is None:
        raise InputError("this stream was not made by a generator with a local head")
    # One uniform for every channel at any depth, so that a seed gives the same coarse codes.
    uniforms = stream.random.random(1 + n_vq, dtype=np.float32)
    return FrameRequest(stream.hidden, uniforms, stream.seen.mask, stream.settings)
