"""voicestack's own protocol, `voicestack.v1`, one conversation a connection; ../PROTOCOL.md is its reference."""

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import CapacityError, Chunk, InputError, VoicestackError

from ..encoders import PACKET_S
from ..pcm import Frames, PcmFormat, PcmStream
from ..talk import Ended, Interrupted, Opened, Sound, TalkEvent
from ..terms import announced, code_of, words_of
from .dialect import BROKEN, POLICY, TRY_AGAIN, Dialect, Setting, as_message, leave
from .fields import Fields
from .marks import Marks
from .steps import Flush, Interrupt, Open, Played, Push, Send, SetDepth, Steps

PROTOCOL = "voicestack.v1"
_CONTEXT = "session"
_MARKS = 1000
_NAME_CHARS = 256


class Native(Dialect):
    """`start`, then text, flush, interrupt, played, depth and mark in; events and sound out."""

    context_idle_s = None

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        # From its start on it holds one of the places there are to speak.
        self.first_s = setting.limits.first_s
        self._frames: Frames | None = None
        self._format = ""
        self._depth: int | None = None
        self._marks = Marks()
        self._spoken_s = self._sent_s = 0.0
        self._sounding: int | None = None
        self._interrupting = 0

    def tell(self, context: str, event: TalkEvent) -> Steps:
        """Each event as one message or more; sound behind the message that says where it belongs."""
        if isinstance(event, Opened):
            return [self._hello()]
        if isinstance(event, Sound):
            return self._sound(event.utterance, event.chunk)
        if isinstance(event, Ended):
            return self._ended(event)
        return self._interrupted(event)

    def complain(self, context: str | None, error: VoicestackError) -> Steps:
        """An error; the conversation goes on."""
        code = "policy" if context is None and not isinstance(error, InputError) else code_of(error)
        return [as_message(type="error", code=code, message=str(error))]

    def over(self, context: str, error: VoicestackError | None = None) -> Steps:
        """The conversation cannot go on; neither can the connection."""
        if error is None:
            return [leave(1000, "")]
        fields = {"code": code_of(error), "message": str(error)}
        if isinstance(error, CapacityError):
            told = as_message(type="error", retry_after_s=error.retry_after_s, **fields)
            return [told, leave(TRY_AGAIN, str(error))]
        return [
            as_message(type="error", **fields),
            leave(POLICY if isinstance(error, InputError) else BROKEN, str(error)),
        ]

    def _obey(self, context: str | None, fields: Fields) -> Steps:
        kind = fields.text("type")
        if kind == "start":
            return self._start(fields)
        if self._frames is None:
            raise InputError(f"the first message must be start, got {kind[:_NAME_CHARS]!r}")
        if kind == "text":
            text = self._checked(fields.text("text"))
            self._marks.say(text)
            return [Push(_CONTEXT, text)] if text else []
        if kind == "flush":
            self._marks.complete()
            return [Flush(_CONTEXT)]
        if kind == "interrupt":
            # What is said from now on is new; what still sounds is not followed any more.
            self._marks.clear()
            self._interrupting += 1
            return [Interrupt(_CONTEXT, fields.flag("finish_word"))]
        if kind == "played":
            utterance, seconds = fields.whole("utterance"), fields.number("seconds")
            if utterance is None or seconds is None:
                raise InputError("played needs an utterance and its seconds")
            return [Played(_CONTEXT, utterance, seconds)]
        if kind == "depth":
            depth = fields.whole("depth")
            if depth is None:
                raise InputError("depth needs a depth")
            return [SetDepth(_CONTEXT, depth)]
        if kind == "mark":
            return self._mark(fields.text("name"))
        raise InputError(f"type must be text, flush, interrupt, played, depth or mark, got {kind[:_NAME_CHARS]!r}")

    def _start(self, fields: Fields) -> Steps:
        if self._frames is not None:
            raise InputError("start was said already; open another connection for another conversation")
        form = fields.text("format", "pcm_s16le")
        asked_hz, voice_hz = fields.whole("sample_rate"), self.setting.sample_rate_hz
        opening = Open(_CONTEXT, fields.whole("seed"), fields.whole("depth"), realtime=not fields.flag("unpaced"))
        if form == "opus":
            if asked_hz is not None:
                raise InputError("sample_rate cannot be chosen for opus; leave it out")
            # An extra, which nobody else needs.
            from ..encoders import OpusPackets

            self._frames = OpusPackets(voice_hz)
        elif form == "pcm_s16le":
            self._frames = _Pcm(voice_hz, voice_hz if asked_hz is None else asked_hz)
        else:
            raise InputError(f"format must be pcm_s16le or opus, got {form[:_NAME_CHARS]!r}")
        self._format, self._depth = form, opening.depth
        return [opening]

    def _hello(self) -> Send:
        frames = self._frames
        return as_message(
            type="hello",
            protocol=PROTOCOL,
            server=f"voicestack {self.setting.version}",
            voice=self.setting.voice_name,
            depth=self.setting.depth if self._depth is None else self._depth,
            format=self._format,
            sample_rate=0 if frames is None else frames.sample_rate_hz,
            limits=announced(self.setting.limits),
        )

    def _mark(self, name: str) -> Steps:
        if not 0 < len(name) <= _NAME_CHARS:
            raise InputError(f"a mark needs a name of 1 to {_NAME_CHARS} characters")
        if self._marks.waiting >= _MARKS:
            raise InputError(f"{_MARKS} marks wait to be reached, which is the limit")
        self._marks.put(name)
        return []

    def _sound(self, utterance: int, chunk: Chunk) -> Steps:
        steps: Steps = []
        if self._sounding != utterance:
            self._sounding, self._spoken_s, self._sent_s = utterance, 0.0, 0.0
            steps.append(as_message(type="speech.started", utterance=utterance))
        if chunk.words:
            steps.append(as_message(type="words", utterance=utterance, words=words_of(chunk.words)))
        for name, start_s in self._marks.reached(chunk.words) if not self._interrupting else []:
            steps.append(as_message(type="mark", name=name, utterance=utterance, start_s=round(start_s, 3)))
        frames = [] if self._frames is None else self._frames.feed(chunk.pcm)
        return steps + self._audio(utterance, frames, len(chunk.pcm))

    def _audio(self, utterance: int, frames: list[bytes], samples: int) -> Steps:
        self._spoken_s += samples / self.setting.sample_rate_hz
        if not frames:
            return []
        # What a resampler or a packet holds back is sent with the next message, and begins where this one ends.
        start_s, self._sent_s = self._sent_s, self._sent_s + self._seconds(frames)
        told = as_message(type="audio", utterance=utterance, start_s=round(start_s, 4), messages=len(frames))
        return [told, *map(Send, frames)]

    def _seconds(self, frames: list[bytes]) -> float:
        if self._format == "opus" or self._frames is None:
            return PACKET_S * len(frames)
        return sum(map(len, frames)) / 2 / self._frames.sample_rate_hz

    def _ended(self, event: Ended) -> Steps:
        steps: Steps = []
        interrupted = event.ending == "interrupted"
        spoken = self._sounding == event.utterance
        if spoken and self._frames is not None:
            if interrupted:
                self._frames.drop()
            else:
                steps += self._audio(event.utterance, self._frames.finish(), 0)
        if not (interrupted or self._interrupting):
            for name in self._marks.ended(complete=event.complete):
                at_s = round(self._spoken_s if spoken else 0.0, 3)
                steps.append(as_message(type="mark", name=name, utterance=event.utterance, start_s=at_s))
        told: dict[str, object] = {"utterance": event.utterance, "ending": event.ending.value}
        stages = event.stages
        told |= {"audio_s": round(self._spoken_s, 3) if spoken else 0.0, **stages.waited_ms(stages.first_taken_s)}
        if event.error is not None:
            told["error"] = event.error
        return [*steps, as_message(type="speech.ended", **told)]

    def _interrupted(self, event: Interrupted) -> Steps:
        heard = event.heard
        self._interrupting -= 1
        return [
            as_message(
                type="interrupted",
                utterance=None if event.utterance < 0 else event.utterance,
                played_ms=round(heard.played_ms, 1),
                words=words_of(heard.words),
            )
        ]


class _Pcm:
    """Samples of 16 bits, little-endian."""

    def __init__(self, source_hz: int, rate_hz: int) -> None:
        self.sample_rate_hz = rate_hz
        self._stream = PcmStream(source_hz, PcmFormat(rate_hz))
        self.drop = self._stream.drop

    def feed(self, pcm: NDArray[np.float32]) -> list[bytes]:
        return [data] if (data := self._stream.feed(pcm)) else []

    def finish(self) -> list[bytes]:
        return [data] if (data := self._stream.finish()) else []
