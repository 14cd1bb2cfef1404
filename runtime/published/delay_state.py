"""The state machine of MossTTSDelay: which tokens and which codebooks a step may give.

Channel 0 walks through audio_start, gen slots, delay slots and audio_end. Codebook j starts j rows after the first
gen slot and, once delay slots have begun, stops after j of them: a staircase up and a staircase down. The model gives
n delay rows, and the first still has all codebooks; so an utterance has one frame more than gen slots.

    channel 0   start gen gen gen delay delay delay end
    codebook 0    .    x   x   x    x     .     .    .
    codebook 1    .    .   x   x    x     x     .    .      n = 3
    codebook 2    .    .   .   x    x     x     x    .
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError
from .generator_info import GeneratorInfo

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class DelayIds:
    """The special ids the machine needs, all of them."""

    pad: int
    im_start: int
    im_end: int
    audio_start: int
    audio_end: int
    slot: int
    delay_slot: int
    audio_pad: int

    @classmethod
    def of(cls, info: GeneratorInfo) -> "DelayIds":
        """Those of a generator; BundleError when one is not known."""
        found = {name: getattr(info.ids, name) for name in cls.__slots__}
        for name, value in found.items():
            if value is None:
                raise BundleError(
                    f"the id of {name} is not known, a generator of family delay needs it; export it anew"
                )
        return cls(**found)


@dataclass(slots=True)
class DelayState:
    """One stream: rows of the audio block so far, steps done.

    `delayed` counts the delay slots of the staircase down, None before the first of them.
    """

    length: int
    in_audio: bool
    delayed: int | None = None
    step: int = 0
    stopped: bool = False


def begin(text: IntArray, ids: DelayIds) -> DelayState:
    """The state behind a prompt's text column [S]: inside an audio block when it ends in one."""
    if text[-1] in (ids.audio_start, ids.slot):
        starts = np.flatnonzero(text == ids.audio_start)
        if len(starts):
            return DelayState(length=len(text) - int(starts[-1]), in_audio=True)
    return DelayState(length=0, in_audio=False)


def forced_token(state: DelayState, n_vq: int, ids: DelayIds) -> int | None:
    """The token a step must give: while the staircase runs down, and when it has; None where it is sampled."""
    if state.stopped:
        return ids.pad
    if state.delayed is None:
        return None
    return ids.delay_slot if state.delayed < n_vq else ids.audio_end


def masked_logits(state: DelayState, logits: FloatArray, n_vq: int, ids: DelayIds) -> FloatArray:
    """Text logits [V] with minus infinity for every token the machine does not allow now."""
    if state.in_audio:
        allowed = [ids.slot] if state.step == 0 else [ids.slot, ids.delay_slot]
        masked = np.full_like(logits, -np.inf)
        masked[allowed] = logits[allowed]
        return masked
    masked = logits.copy()
    masked[[ids.pad, ids.slot, ids.delay_slot, ids.audio_end]] = -np.inf
    if state.step <= n_vq:
        masked[ids.im_end] = -np.inf
    return masked


def live_codebooks(state: DelayState, n_vq: int) -> BoolArray:
    """Which codebooks [n] this step samples; the others get the pad code. From the state before the step's token."""
    codebook = np.arange(n_vq)
    return (state.length > codebook) & (codebook >= (state.delayed or 0)) & (not state.stopped)


def advance(state: DelayState, token: int, n_vq: int, ids: DelayIds) -> None:
    """Move on by the token a step has given."""
    state.step += 1
    if token == ids.audio_start:
        state.in_audio = True
    elif token == ids.audio_end:
        state.in_audio = False
        state.length = 0
    elif token == ids.im_end:
        state.stopped = True
    if token in (ids.audio_start, ids.slot, ids.delay_slot):
        state.length += 1
    if state.delayed is not None:
        state.delayed = state.delayed + 1 if state.delayed < n_vq else None
    elif token == ids.delay_slot:
        state.delayed = 1
