"""`voicestack say`: one text to one sound card or file, and what was measured on the way."""

import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from voicestack.runtime import Chunk, Doubt, Event, InputError

from .desk import Desk
from .meter import Figures, Meter
from .say_voice import Manner, SayVoice, Spoken
from .sinks import Sinks
from .text_pipe import TextPipe
from .wav import check_writable, is_piped_to

_TOLERATED = 0.1
"""By what share of the length that was asked for speech may differ from it before that is told."""


@dataclass(frozen=True, slots=True)
class SayRequest:
    """What the command line asks for.

    text: what to say, or the pipe it arrives through. voice: its name or its bundle's folder. url: of a server to speak
    through, and the token it wants.
    """

    text: str | TextPipe
    out: Path | None = None
    play: bool = False
    voice: str | None = None
    manner: Manner = Manner()
    words: bool = False
    as_json: bool = False
    url: str | None = None
    token: str | None = None

    @property
    def pipe(self) -> TextPipe | None:
        """The pipe, where the text arrives through one."""
        return self.text if isinstance(self.text, TextPipe) else None


def say(request: SayRequest, desk: Desk) -> None:
    """Speak the request and report. Raises VoicestackError, and KeyboardInterrupt that says what is kept."""
    _check_out(request, desk.console.stdout)
    voice = _voice(request, desk)
    voice.prepare(request.manner)
    # What is wrong with a request is told before anything is opened for it.
    run = _Run(request, voice, desk)
    with Sinks(desk, voice, out=request.out, play=request.play, pipe=request.pipe) as sinks:
        try:
            run.speak(sinks)
            sinks.finish()
        except KeyboardInterrupt:
            raise KeyboardInterrupt(sinks.kept()) from None
    run.report(sinks)


def _voice(request: SayRequest, desk: Desk) -> SayVoice:
    if request.url is None:
        return desk.load_voice(request.voice)
    if request.voice is not None:
        raise InputError("--voice is given with --url, where the server has its own; leave out one of the two")
    plays = request.play or request.out is None
    return desk.load_remote(request.url, request.token, request.manner, plays)


class _Run:
    """One utterance from the request to the report."""

    def __init__(self, request: SayRequest, voice: SayVoice, desk: Desk) -> None:
        self._request = request
        self._voice = voice
        self._desk = desk
        self._meter = Meter(voice.sample_rate_hz)
        self._words: list[tuple[str, float]] = []
        self._doubts: list[Doubt] = []
        self._cold_start_s = 0.0
        self._started_s = desk.clock()
        self._chunks = voice.speak(request.text, request.manner)

    def speak(self, sinks: Sinks) -> None:
        """Make and hand on every chunk. Raises InputError when there was nothing to speak."""
        desk, pipe = self._desk, self._request.pipe
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
            self._meter.add(
                chunk.pcm,
                arrived_s=arrived_s,
                # Through a server, the text is waited for while sound comes.
                work_s=max(0.0, arrived_s - asked_s - waited_s),
                waited_s=waited_s,
                waited_until_s=pipe.waited_until_s if pipe else 0.0,
            )
            sinks.write(chunk.pcm)
            self._tell(chunk, arrived_s)
        desk.console.progress.clear()
        if not self._meter.audio_s:
            raise InputError("the text holds nothing that can be spoken; give it at least one word")

    def report(self, sinks: Sinks) -> None:
        """Print the figures: one JSON line on standard output, or one readable line on standard error."""
        console, pipe = self._desk.console, self._request.pipe
        # Text that comes later than the voice is ready cannot be spoken earlier than it comes.
        requested_s = self._started_s
        if pipe and pipe.first_text_s is not None:
            requested_s = max(requested_s, pipe.first_text_s)
        figures = self._meter.figures(requested_s)
        player = sinks.player
        underruns = player.underruns if player else figures.underruns
        if sinks.wav is not None:
            console.tell(f"wrote {sinks.wav.path}: {sinks.wav.audio_s:.2f} s of speech")
        if self._request.as_json:
            console.print(json.dumps(self._fields(figures, underruns)))
        else:
            console.tell(_readable(figures, self._cold_start_s, underruns, self._request.manner.seconds))

    def _tell(self, chunk: Spoken, now_s: float) -> None:
        console = self._desk.console
        if chunk.event == Event.CAPPED:
            console.tell(f"voicestack: the voice ran away and was cut off at {self._meter.audio_s:.2f} s")
        for word in chunk.words if isinstance(chunk, Chunk) else ():
            self._words.append((word.text, word.start_s))
            if self._request.words and not self._request.as_json:
                console.print(f"{word.start_s:8.2f} s  {word.text}")
        for doubt in chunk.doubts if isinstance(chunk, Chunk) else ():
            self._doubts.append(doubt)
            if self._request.words and not self._request.as_json:
                console.tell(f"doubtful: {doubt.word!r} at {doubt.start_s:.2f} s ({doubt.reason})")
        meter = self._meter
        speed = f", {1 / meter.rtf:.1f} x real time" if meter.rtf > 0 else ""
        console.progress.show(f"{meter.audio_s:6.2f} s of speech, {meter.lead_s(now_s):.2f} s ahead{speed}", now_s)

    def _fields(self, figures: Figures, underruns: int) -> dict[str, object]:
        return {
            "ttfb_ms": _ms(figures.ttfb_s),
            "ttfa_ms": None if figures.ttfa_s is None else _ms(figures.ttfa_s),
            "cold_start_ms": _ms(self._cold_start_s),
            "rtf": round(figures.rtf, 4),
            "audio_s": round(figures.audio_s, 3),
            "frames": round(figures.audio_s * self._voice.sample_rate_hz / self._voice.frame_samples),
            "depth": self._request.manner.depth or self._voice.depth,
            "words": [[text, round(start_s, 3)] for text, start_s in self._words],
            "doubts": [
                [doubt.word, round(doubt.start_s, 3), round(doubt.end_s, 3), doubt.reason] for doubt in self._doubts
            ],
            "underruns": underruns,
        }


def _check_out(request: SayRequest, stdout: TextIO) -> None:
    out = request.out
    if out is None:
        return
    # Unlike those of Path, these say no to a name that is too long, instead of raising.
    if os.path.isdir(out):
        raise InputError(f"--out {out} is a folder; name a file in it")
    if not os.path.isdir(out.absolute().parent):
        raise InputError(f"--out {out}: its folder does not exist; make it first")
    check_writable(out)
    if (request.words or request.as_json) and is_piped_to(out, _descriptor(stdout)):
        option = "--json" if request.as_json else "--words"
        raise InputError(f"--out {out} is standard output, where {option} prints; leave out one of the two")


def _descriptor(stream: TextIO) -> int:
    """Its file descriptor; -1, which is nobody's, where it has none."""
    try:
        return stream.fileno()
    except io.UnsupportedOperation:
        return -1


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _readable(figures: Figures, cold_start_s: float, underruns: int, asked_s: float | None) -> str:
    audible = "nothing audible" if figures.ttfa_s is None else f"TTFA {_ms(figures.ttfa_s)} ms"
    length = ""
    if asked_s is not None and abs(figures.audio_s - asked_s) > _TOLERATED * asked_s:
        length = f", asked for {asked_s:.2f} s but made {figures.audio_s:.2f} s"
    return (
        f"TTFB {_ms(figures.ttfb_s)} ms, {audible}, cold start {cold_start_s:.2f} s, RTF {figures.rtf:.3f}, "
        f"{underruns} underrun{'' if underruns == 1 else 's'}{length}"
    )
