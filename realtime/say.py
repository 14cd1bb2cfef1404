"""`voicestack say`: one text to one sound card or file, and what was measured on the way."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import Bundle, Chunk, Event, InputError, SamplingParams, Speaker, default_voice_path

from .meter import Figures, Meter
from .player import NoSoundCardError, Player, open_player
from .process_age import process_age_s
from .progress import ProgressLine
from .text_pipe import TextPipe
from .wav import WavFile

DEFAULT_WAV = Path("voicestack.wav")


@dataclass(frozen=True, slots=True)
class SayRequest:
    """What the command line asks for. text: what to say, or the pipe it arrives through."""

    text: str | TextPipe
    out: Path | None = None
    play: bool = False
    seed: int | None = None
    seconds: float | None = None
    depth: int | None = None
    words: bool = False
    as_json: bool = False


class SpeakCall(Protocol):
    """The call of Speaker.speak that is used here."""

    def __call__(
        self, text: str | TextPipe, *, sampling: SamplingParams, depth: int | None, seconds: float | None
    ) -> Iterator[Chunk]:
        """Chunks of the speech, each as soon as it is made."""
        ...


@dataclass(frozen=True, slots=True)
class Voice:
    """A loaded voice, as far as speaking needs it."""

    speak: SpeakCall
    sample_rate_hz: int
    frame_samples: int
    depth: int


@dataclass(slots=True)
class Desk:
    """The surroundings of one call, so that tests can put others in their place."""

    load_voice: Callable[[], Voice] = field(default_factory=lambda: load_voice)
    open_player: Callable[[int, Callable[[], bool]], Player] = open_player
    stdin_descriptor: int = 0
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    clock: Callable[[], float] = time.monotonic
    process_age_s: Callable[[], float] = process_age_s


def load_voice() -> Voice:
    """The voice that ships with voicestack. Raises BundleError."""
    bundle = Bundle.load(default_voice_path())
    manifest = bundle.manifest
    return Voice(Speaker(bundle).speak, manifest.sample_rate_hz, manifest.frame_samples, manifest.sampling.depth)


def say(request: SayRequest, desk: Desk) -> None:
    """Speak the request and report. Raises VoicestackError, and OSError when the file cannot be written."""
    if request.out is not None:
        _check_out(request.out)
    sampling = SamplingParams(seed=request.seed)
    voice = desk.load_voice()
    progress = ProgressLine(desk.stderr)
    # What is wrong with a request is told before anything is opened for it.
    run = _Run(request, voice, desk, sampling, progress)
    with ExitStack() as open_things:
        open_things.callback(progress.clear)
        sinks = _Sinks(request, voice, desk, open_things)
        run.speak(sinks)
        progress.clear()
        sinks.finish()
    run.report(sinks)


class _Sinks:
    """Where the audio goes: a file, the sound card, or both."""

    def __init__(self, request: SayRequest, voice: Voice, desk: Desk, open_things: ExitStack) -> None:
        self.player: Player | None = None
        self.wav: WavFile | None = None
        out = request.out
        if request.play or out is None:
            pipe = request.text if isinstance(request.text, TextPipe) else None
            try:
                self.player = desk.open_player(voice.sample_rate_hz, lambda: pipe is not None and pipe.waiting)
                open_things.callback(self.player.close)
            except NoSoundCardError as error:
                out = out or DEFAULT_WAV
                desk.stderr.write(f"voicestack: cannot play, writing {out} instead: {error}\n")
        if out is not None:
            self.wav = open_things.enter_context(WavFile(out, voice.sample_rate_hz))

    def write(self, pcm: NDArray[np.float32]) -> None:
        if self.wav is not None:
            self.wav.write(pcm)
        if self.player is not None:
            self.player.write(pcm)

    def finish(self) -> None:
        if self.player is not None:
            self.player.finish()


class _Run:
    """One utterance from the request to the report."""

    def __init__(
        self, request: SayRequest, voice: Voice, desk: Desk, sampling: SamplingParams, progress: ProgressLine
    ) -> None:
        self._request = request
        self._voice = voice
        self._desk = desk
        self._progress = progress
        self._meter = Meter(voice.sample_rate_hz)
        self._words: list[tuple[str, float]] = []
        self._cold_start_s = 0.0
        self._started_s = desk.clock()
        self._chunks = voice.speak(request.text, sampling=sampling, depth=request.depth, seconds=request.seconds)

    def speak(self, sinks: _Sinks) -> None:
        """Make and hand on every chunk. Raises InputError when there was nothing to speak."""
        desk, request = self._desk, self._request
        pipe = request.text if isinstance(request.text, TextPipe) else None
        waited_before_s = 0.0
        while True:
            asked_s = desk.clock()
            chunk = next(self._chunks, None)
            arrived_s = desk.clock()
            if chunk is None:
                break
            waited_s = pipe.waited_s - waited_before_s if pipe else 0.0
            waited_before_s += waited_s
            if not self._meter.audio_s:
                self._cold_start_s = desk.process_age_s()
            self._meter.add(chunk.pcm, arrived_s=arrived_s, work_s=arrived_s - asked_s - waited_s, waited_s=waited_s)
            sinks.write(chunk.pcm)
            self._tell(chunk, arrived_s)
        if not self._meter.audio_s:
            raise InputError("the text holds nothing that can be spoken; give it at least one word")

    def report(self, sinks: _Sinks) -> None:
        """Print the figures: one JSON line on standard output, or one readable line on standard error."""
        desk, pipe = self._desk, self._request.text
        # Text that comes later than the voice is ready cannot be spoken earlier than it comes.
        requested_s = self._started_s
        if isinstance(pipe, TextPipe) and pipe.first_text_s is not None:
            requested_s = max(requested_s, pipe.first_text_s)
        figures = self._meter.figures(requested_s)
        player = sinks.player
        underruns = player.underruns if player else figures.underruns
        if sinks.wav is not None:
            desk.stderr.write(f"wrote {sinks.wav.path}: {figures.audio_s:.2f} s of speech\n")
        if self._request.as_json:
            desk.stdout.write(json.dumps(self._fields(figures, underruns)) + "\n")
        else:
            desk.stderr.write(_readable(figures, self._cold_start_s, underruns) + "\n")
        desk.stdout.flush()

    def _tell(self, chunk: Chunk, now_s: float) -> None:
        desk = self._desk
        if chunk.event == Event.CAPPED:
            self._progress.clear()
            desk.stderr.write(f"voicestack: the voice ran away and was cut off at {self._meter.audio_s:.2f} s\n")
        for word in chunk.words:
            self._words.append((word.text, word.start_s))
            if self._request.words and not self._request.as_json:
                self._progress.clear()
                desk.stdout.write(f"{word.start_s:8.2f} s  {word.text}\n")
                desk.stdout.flush()
        meter = self._meter
        speed = f", {1 / meter.rtf:.1f} x real time" if meter.rtf > 0 else ""
        self._progress.show(f"{meter.audio_s:6.2f} s of speech, {meter.lead_s(now_s):.2f} s ahead{speed}", now_s)

    def _fields(self, figures: Figures, underruns: int) -> dict[str, object]:
        return {
            "ttfb_ms": _ms(figures.ttfb_s),
            "ttfa_ms": None if figures.ttfa_s is None else _ms(figures.ttfa_s),
            "cold_start_ms": _ms(self._cold_start_s),
            "rtf": round(figures.rtf, 4),
            "audio_s": round(figures.audio_s, 3),
            "frames": round(figures.audio_s * self._voice.sample_rate_hz / self._voice.frame_samples),
            "depth": self._request.depth or self._voice.depth,
            "words": [[text, round(start_s, 3)] for text, start_s in self._words],
            "underruns": underruns,
        }


def _check_out(out: Path) -> None:
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; name a file in it")
    if not out.absolute().parent.is_dir():
        raise InputError(f"--out {out}: its folder does not exist; make it first")


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _readable(figures: Figures, cold_start_s: float, underruns: int) -> str:
    audible = "nothing audible" if figures.ttfa_s is None else f"TTFA {_ms(figures.ttfa_s)} ms"
    return (
        f"TTFB {_ms(figures.ttfb_s)} ms, {audible}, cold start {cold_start_s:.2f} s, RTF {figures.rtf:.3f}, "
        f"{underruns} underrun{'' if underruns == 1 else 's'}"
    )
