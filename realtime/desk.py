"""The surroundings of one call, so that tests can put others in their place."""

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from voicestack.runtime import Bundle, InputError, SamplingParams, Speaker, find_voice

from .bundle_kind import is_published
from .console import Console
from .player import Player, open_player
from .process_age import process_age_s
from .say_voice import Manner, SayVoice, Spoken
from .text_pipe import TextPipe


def load_voice(voice: str | None = None) -> SayVoice:
    """A voice by its name or its bundle's folder, by default the one that ships. Raises BundleError, InputError."""
    path = find_voice(voice)
    if not is_published(path):
        return _load_embedded(path)
    # Importing it costs 100 ms that only its users should pay.
    from .published_voice import load_published

    return load_published(path)


def load_remote(url: str, token: str | None, manner: Manner, paced: bool) -> SayVoice:
    """The voice of a running server; raises VoicestackError. `paced`: sound comes as fast as it is played."""
    try:
        # An extra, which only those need who speak through a server.
        from .remote_voice import load_remote as load
    except ModuleNotFoundError as error:
        raise InputError(f"--url needs the package {error.name}; install voicestack with its `serve` extra") from None
    return load(url, token, manner, paced=paced)


def stdin_descriptor() -> int | None:
    """The descriptor of standard input, None where it is closed and its number may belong to another file."""
    # Typed as always there, but None when the descriptor was closed before Python started.
    return 0 if sys.stdin else None


@dataclass(slots=True)
class Desk:
    """What a call finds around it."""

    load_voice: Callable[[str | None], SayVoice] = load_voice
    load_remote: Callable[[str, str | None, Manner, bool], SayVoice] = load_remote
    open_player: Callable[[int, Callable[[], bool]], Player] = open_player
    stdin_descriptor: int | None = field(default_factory=stdin_descriptor)
    console: Console = field(default_factory=lambda: Console(sys.stdout, sys.stderr))
    clock: Callable[[], float] = time.monotonic
    process_age_s: Callable[[], float] = process_age_s


def _load_embedded(path: Path) -> SayVoice:
    bundle = Bundle.load(path)
    manifest, speaker = bundle.manifest, Speaker(bundle)

    def speak(text: str | TextPipe, manner: Manner) -> Iterator[Spoken]:
        sampling = SamplingParams(seed=manner.seed)
        return speaker.speak(text, sampling=sampling, depth=manner.depth, seconds=manner.seconds, rate=manner.rate)

    def prepare(manner: Manner) -> None:
        manner.refuse("prompt", "prompt_text", "language", "instruction")
        speaker.prepare(manner.depth)

    return SayVoice(speak, prepare, manifest.sample_rate_hz, manifest.frame_samples, manifest.sampling.depth)
