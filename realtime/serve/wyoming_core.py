"""The Wyoming protocol of Home Assistant, without sockets: bytes in, commands out; what is spoken in, bytes out.

An event is a line of JSON, followed by as many bytes of more JSON and of payload as the line says. Spoken to by
`describe`, `ping`, `synthesize`, and `synthesize-start`, `-chunk`, `-stop` for text that is still being written, whose
pieces end anywhere. Between start and stop Home Assistant also sends the whole text by `synthesize`, for servers that
cannot stream: that is not for us. Whatever else comes is for programs we are not, and is left alone.
"""

import json
import re
import reprlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from voicestack.runtime import InputError

from ..outlet import Ending
from .limits import ServeLimits
from .pcm import PcmFormat, PcmStream
from .talk import Ended, Sound, TalkEvent

_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character, which JSON can spell and nobody can say."""
_VERSION = version("voicestack")
_ABOUT = {"name": "voicestack", "url": ""}


@dataclass(frozen=True, slots=True)
class WyomingEvent:
    """One event, as it came."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)


def encoded(kind: str, data: dict[str, Any] | None = None, payload: bytes = b"") -> bytes:
    """An event as it is sent."""
    body = json.dumps(data).encode() if data else b""
    header: dict[str, Any] = {"type": kind}
    if body:
        header["data_length"] = len(body)
    if payload:
        header["payload_length"] = len(payload)
    return json.dumps(header).encode() + b"\n" + body + payload


class Decoder:
    """Events out of bytes that come in any pieces. What an event holds is bounded, and its payload is not kept."""

    def __init__(self, limits: ServeLimits) -> None:
        self._most = limits.message_bytes
        self._waiting = bytearray()
        self._header: dict[str, Any] | None = None
        self._needed = 0

    def feed(self, data: bytes) -> list[WyomingEvent]:
        """The events that are complete now. InputError for what is none; nothing can be read after it."""
        self._waiting += data
        events = []
        while (event := self._next()) is not None:
            events.append(event)
        return events

    def _next(self) -> WyomingEvent | None:
        if self._header is None:
            end = self._waiting.find(b"\n", 0, self._most + 1)
            if end < 0:
                if len(self._waiting) > self._most:
                    raise InputError(f"the line of an event may have {self._most} bytes")
                return None
            self._header = _object(bytes(self._waiting[:end]))
            del self._waiting[: end + 1]
            self._needed = self._length("data_length") + self._length("payload_length")
        if len(self._waiting) < self._needed:
            return None
        return self._take(self._header)

    def _take(self, header: dict[str, Any]) -> WyomingEvent:
        kind, data = header.get("type"), header.get("data") or {}
        if not isinstance(kind, str) or not isinstance(data, dict):
            raise InputError("an event must have a type, and data that is a JSON object")
        if length := self._length("data_length"):
            data = data | _object(bytes(self._waiting[:length]))
        del self._waiting[: self._needed]
        self._header = None
        return WyomingEvent(kind, data)

    def _length(self, name: str) -> int:
        value = 0 if self._header is None else self._header.get(name) or 0
        if not isinstance(value, int) or not 0 <= value <= self._most:
            raise InputError(f"{name} must be 0 to {self._most}, got {reprlib.repr(value)}")
        return value


@dataclass(frozen=True, slots=True)
class Answer:
    """Bytes to be sent at once."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Begin:
    """Begin to speak, when what was asked for before is spoken. streaming: its text is still being written."""

    streaming: bool


@dataclass(frozen=True, slots=True)
class Say:
    """More of its text."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Its text is complete."""


Command = Answer | Begin | Say | Finish


class Dialogue:
    """What one client asks for, event by event."""

    def __init__(self, voice_name: str, limits: ServeLimits) -> None:
        self._voice_name, self._limits = voice_name, limits
        self.streaming = False

    def read(self, event: WyomingEvent) -> Iterator[Command]:
        """What is to be done now. InputError for what cannot be."""
        if event.kind == "describe":
            yield Answer(encoded("info", _info(self._voice_name)))
        elif event.kind == "ping":
            yield Answer(encoded("pong", {"text": text} if (text := event.data.get("text")) else None))
        elif event.kind == "synthesize" and not self.streaming:
            text = self._text(event)
            yield from (Begin(streaming=False), Say(text), Finish())
        elif event.kind == "synthesize-start":
            if self.streaming:
                raise InputError("synthesize-start came twice; send synthesize-stop between")
            _refuse_ssml(event)
            self.streaming = True
            yield Begin(streaming=True)
        elif event.kind in ("synthesize-chunk", "synthesize-stop") and not self.streaming:
            raise InputError(f"{event.kind} came without synthesize-start")
        elif event.kind == "synthesize-chunk":
            yield Say(self._text(event))
        elif event.kind == "synthesize-stop":
            self.streaming = False
            yield Finish()

    def _text(self, event: WyomingEvent) -> str:
        text = event.data.get("text")
        _refuse_ssml(event)
        if not isinstance(text, str) or _HALF.search(text):
            raise InputError(f"the text of {event.kind} must be a string of whole characters, got {reprlib.repr(text)}")
        if len(text) > self._limits.text_chars:
            raise InputError(f"a text may have {self._limits.text_chars} characters, this has {len(text)}; stream it")
        return text


class Speech:
    """The bytes of one utterance as it is spoken."""

    def __init__(self, source_rate_hz: int, *, streaming: bool) -> None:
        self._rate = source_rate_hz
        self._streaming = streaming
        self._stream = PcmStream(source_rate_hz, PcmFormat(min(source_rate_hz, 48_000)))
        self._samples = 0
        self._began = False

    def tell(self, event: TalkEvent) -> bytes:
        """What is to be sent for it; at the end the stop that a client waits for, or the error."""
        if isinstance(event, Sound):
            return self._start() + self._sound(self._stream.feed(event.chunk.pcm))
        if not isinstance(event, Ended):
            return b""
        if event.ending is not Ending.FINISHED:
            # One whose text stays away is not over for its client, which waits for the end of what it will still send.
            return failed(event.error or f"the speech could not be finished, it was {event.ending}")
        rest = self._start() + self._sound(self._stream.finish()) + encoded("audio-stop")
        return rest + (encoded("synthesize-stopped") if self._streaming else b"")

    def _start(self) -> bytes:
        if self._began:
            return b""
        self._began = True
        return encoded("audio-start", self._form())

    def _sound(self, pcm: bytes) -> bytes:
        if not pcm:
            return b""
        at_ms = self._samples * 1000 // self._rate
        self._samples += len(pcm) // 2
        return encoded("audio-chunk", {**self._form(), "timestamp": at_ms}, pcm)

    def _form(self) -> dict[str, Any]:
        return {"rate": self._stream.form.sample_rate_hz, "width": 2, "channels": 1}


def failed(message: str) -> bytes:
    """The event that says why nothing more comes."""
    return encoded("error", {"text": message})


def _object(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InputError("an event must begin with a line of JSON") from error
    if not isinstance(value, dict):
        raise InputError(f"an event must be a JSON object, got {reprlib.repr(value)}")
    return value


def _refuse_ssml(event: WyomingEvent) -> None:
    if event.data.get("text_format") not in (None, "text"):
        raise InputError("only plain text can be spoken; send text_format text")


def _info(voice_name: str) -> dict[str, Any]:
    """The one program we are, with the one voice that there is."""
    common = {"attribution": _ABOUT, "installed": True, "version": _VERSION}
    voice = {"name": voice_name, "description": voice_name, "languages": ["en"], "speakers": None, **common}
    program = {
        "name": "voicestack",
        "description": "Speech while the text is still being written",
        "voices": [voice],
        "supports_synthesize_streaming": True,
        **common,
    }
    return {"asr": [], "tts": [program], "handle": [], "intent": [], "wake": [], "mic": [], "snd": []}
