"""What the event loop asks of the worker thread in one round, and what comes back: plain data, no models, no tasks."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from voicestack.runtime import Advance, Chunk, HistoryPolicy, SamplingParams, WarmUp

from .cost_model import CostMeter

if TYPE_CHECKING:
    # Importing it costs 100 ms that only its users should pay.
    from voicestack.runtime.published import PublishedManner, PublishedVoice

_SEEDS_PER_UTTERANCE = 10_000
"""Each sentence of an utterance takes a seed of its own."""


@dataclass(frozen=True, slots=True)
class UtteranceSpec:
    """How one utterance is to be spoken; None is as the voice does.

    played_depth: how many layers are heard at most, however many are made. conversation: those of one number go on from
    each other, where the worker converses. rate: how fast to speak, 0.5 to 2; 1 is as the voice does, too.
    """

    sampling: SamplingParams = field(default_factory=SamplingParams)
    depth: int | None = None
    history: HistoryPolicy = field(default_factory=HistoryPolicy.full)
    warm_up: WarmUp | None = None
    published: "PublishedManner | None" = None
    conversation: int | None = None
    played_depth: int | None = None
    rate: float | None = None

    def numbered(self, utterance: int) -> "UtteranceSpec":
        """The same for the nth utterance of a session, so that one seed does not make them all alike.

        A conversation numbers its utterances itself.
        """
        seed = self.sampling.seed
        if seed is None or not utterance or self.conversation is not None:
            return self
        return replace(self, sampling=replace(self.sampling, seed=seed + _SEEDS_PER_UTTERANCE * utterance))


@dataclass(frozen=True, slots=True)
class StepOrder:
    """Advance one utterance by a frame at a depth; decode when so many frames wait. lead_s: its listener's lead."""

    key: int
    depth: int
    chunk_frames: int
    lead_s: float


@dataclass(slots=True)
class Order:
    """One round, in this order: what was heard, closings, openings, depths, text, prefill, steps, a block of history.

    heard: (key, seconds), an utterance that ends there, even when it is done, if others go on from it. play: (key,
    layers heard at most). prefill: (key, rows).
    """

    heard: list[tuple[int, float]] = field(default_factory=list)
    close: list[int] = field(default_factory=list)
    close_conversations: list[int] = field(default_factory=list)
    open: list[tuple[int, UtteranceSpec]] = field(default_factory=list)
    play: list[tuple[int, int]] = field(default_factory=list)
    text: list[tuple[int, str]] = field(default_factory=list)
    finish: list[int] = field(default_factory=list)
    prefill: list[tuple[int, int]] = field(default_factory=list)
    step: list[StepOrder] = field(default_factory=list)
    maintain: bool = False

    def keys(self) -> set[int]:
        """The utterances that something is asked of, but for those that are to be closed."""
        begun = (*self.open, *self.text)
        return {*(step.key for step in self.step), *(key for key, _ in begun), *self.finish}


@dataclass(frozen=True, slots=True)
class Result:
    """What a round did to one utterance. frames: how many were made; pending: how many wait to be decoded.

    chunk: what was decoded of it. error: why it failed. row: its place in the engine's memory, -1 for none.
    rows_left: rows of a prompt, known by now, that are to be prefilled before it is stepped again.
    """

    key: int
    advance: Advance
    frames: int = 0
    pending: int = 0
    chunk: Chunk | None = None
    error: Exception | None = None
    row: int = -1
    rows_left: int = 0


@dataclass(slots=True)
class Report:
    """What a round did and what it took, in seconds. more_history: whether there are more blocks to age.

    engine_s: of steps, decoding and history; round_s: of the whole round; ort_s: the part of it inside ONNX Runtime.
    """

    results: list[Result] = field(default_factory=list)
    prefill_s: float = 0.0
    step_s: float = 0.0
    codec_s: float = 0.0
    engine_s: float = 0.0
    round_s: float = 0.0
    ort_s: float = 0.0
    more_history: bool = False


@dataclass(frozen=True, slots=True)
class StackShape:
    """What the stacks of a voice are like: n_vq layers of codes below codebook_size; delayed: layer j lags j - 1 steps.

    A code of codebook_size or more is none. adjustable: whether fewer of them may be heard, by `Session.set_depth`.
    """

    n_vq: int
    codebook_size: int
    delayed: bool
    adjustable: bool = True


class Worker(Protocol):
    """Owns the models; used by one thread only.

    channels: of a chunk's pcm, which is [samples] for one and [samples, channels] for more. frame_s: how long a frame
    is heard, first_sound_s: the least that is heard of an utterance's first one. slots: how many sessions there is
    memory for. sheds: whether the depth of an utterance may change as it speaks. converses: whether the
    utterances of a session go on from each other.
    """

    sample_rate_hz: int
    channels: int
    frame_s: float
    first_sound_s: float
    depth: int
    stack: StackShape
    slots: int
    sheds: bool
    converses: bool

    def checked(self, spec: UtteranceSpec) -> UtteranceSpec:
        """The same; InputError for what this voice cannot do. For any thread."""
        ...

    def deep_enough(self, depth: int) -> int:
        """How many layers must be made so that `depth` can be heard; InputError when it never can. For any thread."""
        ...

    def read_voice(self, prompt: Path, prompt_text: str | None) -> "PublishedVoice":
        """A voice from a `.voice` file or a recording; InputError where there are no other voices."""
        ...

    def warm_up(self, meter: CostMeter) -> None:
        """Run every shape there is once or more, and tell the meter what it took."""
        ...

    def work(self, order: Order, meter: CostMeter) -> Report:
        """Do a round. Raises nothing for what one utterance did: that is in its result."""
        ...


OpenWorker = Callable[[], Worker]
"""Loads the models; called in the worker's thread."""
