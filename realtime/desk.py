"""The surroundings of one call, so that tests can put others in their place."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from voicestack.runtime import Bundle, Chunk, SamplingParams, Speaker, default_voice_path

from .console import Console
from .player import Player, open_player
from .process_age import process_age_s
from .text_pipe import TextPipe


class SpeakCall(Protocol):
    """The call of Speaker.speak that is used here."""

    def __call__(
        self, text: str | TextPipe, *, sampling: SamplingParams, depth: int | None, seconds: float | None
    ) -> Iterator[Chunk]:
        """Chunks of the speech, each as soon as it is made."""
        ...


@dataclass(frozen=True, slots=True)
class Voice:
    """A loaded voice, as far as speaking needs it. prepare(depth) does what the first utterance would wait for."""

    speak: SpeakCall
    prepare: Callable[[int | None], None]
    sample_rate_hz: int
    frame_samples: int
    depth: int


def load_voice() -> Voice:
    """The voice that ships with voicestack. Raises BundleError."""
    bundle = Bundle.load(default_voice_path())
    manifest, speaker = bundle.manifest, Speaker(bundle)
    return Voice(
        speaker.speak, speaker.prepare, manifest.sample_rate_hz, manifest.frame_samples, manifest.sampling.depth
    )


def stdin_descriptor() -> int | None:
    """The descriptor of standard input, None where it is closed and its number may belong to another file."""
    # Typed as always there, but None when the descriptor was closed before Python started.
    return 0 if sys.stdin else None


@dataclass(slots=True)
class Desk:
    """What a call finds around it."""

    load_voice: Callable[[], Voice] = load_voice
    open_player: Callable[[int, Callable[[], bool]], Player] = open_player
    stdin_descriptor: int | None = field(default_factory=stdin_descriptor)
    console: Console = field(default_factory=lambda: Console(sys.stdout, sys.stderr))
    clock: Callable[[], float] = time.monotonic
    process_age_s: Callable[[], float] = process_age_s
