"""A voice as the command line speaks with it, and how it is asked to, whatever kind of bundle it comes from."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import Event, InputError, SamplingParams

from .text_pipe import TextPipe


@dataclass(frozen=True, slots=True)
class Manner:
    """How a text is to be spoken, as the command line asks; what a voice cannot do it refuses.

    depth: code layers to make. seconds: how long it is to last. rate: how fast, 1 as the voice does by itself.
    prompt: a recording, or a `.voice` file. prompt_text: what the recording says, for speech that goes on from it.
    """

    seed: int | None = None
    depth: int | None = None
    seconds: float | None = None
    rate: float | None = None
    prompt: Path | None = None
    prompt_text: str | None = None
    language: str | None = None
    instruction: str | None = None

    def __post_init__(self) -> None:
        SamplingParams(seed=self.seed)  # refuses what is no seed
        if self.prompt_text is not None and self.prompt is None:
            raise InputError("--prompt-text is given without --prompt; name the recording that says it")

    def refuse(self, *fields: str) -> None:
        """InputError when one of these fields is asked for, by a voice that cannot do it."""
        for field in fields:
            if getattr(self, field) is not None:
                raise InputError(f"this voice takes no --{field.replace('_', '-')}; leave it out")


class Spoken(Protocol):
    """A chunk of speech, the embedded voice's or a published one's."""

    @property
    def pcm(self) -> NDArray[np.float32]:
        """[samples], or [samples, channels]."""
        ...

    @property
    def event(self) -> Event:
        """What came to pass at its end."""
        ...


@dataclass(frozen=True, slots=True)
class SayVoice:
    """A loaded voice.

    speak(text, manner) gives chunks of the speech, each as soon as it is made. prepare(manner) does what the first
    utterance would wait for. `depth` is how many code layers are made unless the manner says otherwise.
    """

    speak: Callable[[str | TextPipe, Manner], Iterator[Spoken]]
    prepare: Callable[[Manner], None]
    sample_rate_hz: int
    frame_samples: int
    depth: int
    channels: int = 1
