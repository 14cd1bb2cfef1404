"""What voicestack says on MQTT, without a broker: topics and payloads in, commands out; events in, publications out.

Under a prefix, `voicestack` by default, a device with the session id `kitchen` uses

    voicestack/kitchen/text      in   UTF-8 text, as it is written: it joins what was said before
    voicestack/kitchen/control   in   JSON: {"type": "flush" | "interrupt" | "close" | "open", ...}
    voicestack/kitchen/audio     out  sound, QoS 0: nothing but samples, or one Opus packet
    voicestack/kitchen/event     out  JSON, QoS 1
    voicestack/status            out  "online" or "offline", retained

The first text opens the session; `open` does so with "format" (pcm_s16le or opus), "sample_rate", "chunk_ms" (20, 40
or 80) and "depth". The MQTT 5 properties of a piece of sound are its content type, `utterance`, and `sequence`, which
counts the messages of that utterance from 0, so that a loss is seen.

Events are numbered by `n`: one that comes twice, because a broker was restarted before it could confirm it, has the
same. Every utterance has exactly one `ended`, and every session ends with `closed`. Sound still under way when
`interrupted` is read, which answers `interrupt`, is for the device to drop: its utterance number tells. Whoever was
away sends `open` again, and is told by `opened` how the last utterance ended.
"""

import json
import reprlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from voicestack.runtime import InputError

from .limits import ServeLimits
from .mqtt_address import Kind, Topics
from .pcm import RATES_HZ
from .talk import Ended, Interrupted, Sound, TalkEvent

Form = Literal["pcm_s16le", "opus"]
By = Literal["client", "broker"]

_CHUNKS_MS = (20, 40, 80)
_OPUS_MS = 20
_AUDIO_EXPIRY_S = 2
"""Sound that a broker could not deliver for so long is of no use to anybody."""


@dataclass(frozen=True, slots=True)
class Message:
    """What came from the broker. retained: it was kept there from earlier."""

    topic: str
    payload: bytes
    retained: bool = False


@dataclass(frozen=True, slots=True)
class Publication:
    """What goes to the broker; with QoS 1 it is sent until the broker has confirmed it."""

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 1
    retain: bool = False
    content_type: str = "application/json"
    expiry_s: int | None = None
    properties: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """Begin a session, with sound of this form; None where the device does not mind."""

    form: Form = "pcm_s16le"
    sample_rate_hz: int | None = None
    chunk_ms: int | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        if self.form not in get_args(Form):
            raise InputError(f"format must be one of {', '.join(get_args(Form))}, got {_shown(self.form)}")
        rates = RATES_HZ if self.form == "pcm_s16le" else (48_000,)
        if self.sample_rate_hz is not None and not (_is_int(self.sample_rate_hz) and self.sample_rate_hz in rates):
            raise InputError(
                f"sample_rate must be {rates[0]} to {rates[-1]} for {self.form}, got {_shown(self.sample_rate_hz)}"
            )
        chunks_ms = _CHUNKS_MS if self.form == "pcm_s16le" else (_OPUS_MS,)
        if self.chunk_ms is not None and not (_is_int(self.chunk_ms) and self.chunk_ms in chunks_ms):
            raise InputError(f"chunk_ms for {self.form} must be one of {chunks_ms}, got {_shown(self.chunk_ms)}")
        if self.depth is not None and not _is_int(self.depth):
            raise InputError(f"depth must be a whole number, got {_shown(self.depth)}")


@dataclass(frozen=True, slots=True)
class Say:
    """Say more of the utterance that is not complete, or begin the next."""

    text: str


@dataclass(frozen=True, slots=True)
class Flush:
    """The utterance is complete."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop speaking, and forget what waits."""


@dataclass(frozen=True, slots=True)
class Close:
    """Speak what was said, then end the session."""


Command = Open | Say | Flush | Interrupt | Close
_PLAIN: dict[str, Command] = {"flush": Flush(), "interrupt": Interrupt(), "close": Close()}
_OPEN_FIELDS = {"format": "form", "sample_rate": "sample_rate_hz", "chunk_ms": "chunk_ms", "depth": "depth"}


def read_command(kind: Kind, payload: bytes, limits: ServeLimits) -> Command:
    """What a payload asks for. InputError says what is wrong with it."""
    if len(payload) > limits.message_bytes:
        raise InputError(f"a message may have {limits.message_bytes} bytes, this has {len(payload)}")
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"the {kind} is not UTF-8: {error.reason} at byte {error.start}") from error
    if kind == "control":
        return _read_control(text)
    if len(text) > limits.text_chars:
        raise InputError(f"a text may have {limits.text_chars} characters, this has {len(text)}; send it in pieces")
    return Say(text)


def _read_control(text: str) -> Command:
    try:
        fields: Any = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError("the control message is not JSON; send an object such as {'type': 'flush'}") from error
    if not isinstance(fields, dict):
        raise InputError(f"the control message must be a JSON object, got {_shown(fields)}")
    kind = fields.pop("type", None)
    if kind != "open" and not (isinstance(kind, str) and kind in _PLAIN):
        raise InputError(f"type must be one of open, {', '.join(_PLAIN)}, got {_shown(kind)}")
    unknown = sorted(set(fields) - (set(_OPEN_FIELDS) if kind == "open" else set()))
    if unknown:
        raise InputError(f"a control message of type {kind} has no {_shown(unknown[0])}; leave it out")
    if kind != "open":
        return _PLAIN[kind]
    return Open(**{_OPEN_FIELDS[name]: value for name, value in fields.items() if value is not None})


class Reporter:
    """Everything that is published of one session: events in the order in which they are told, and numbered sound."""

    def __init__(self, topics: Topics, session: str) -> None:
        self._audio, self._event = topics.audio(session), topics.event(session)
        self._events = 0
        self._open: set[int] = set()
        self._interrupts: list[tuple[By, frozenset[int]]] = []
        self._sent: dict[int, int] = {}
        self._last: dict[str, object] | None = None

    @property
    def unended(self) -> frozenset[int]:
        """The utterances that have not ended yet."""
        return frozenset(self._open)

    def said(self, utterance: int) -> None:
        """Something was said of an utterance, so that it has to end."""
        self._open.add(utterance)

    def interrupted(self, by: By, unended: frozenset[int]) -> None:
        """The session was interrupted: what of `unended` does not end by itself until that is told, was dropped."""
        self._interrupts.append((by, unended))

    def opened(self, announced: dict[str, object]) -> Publication:
        """There is room; `announced` is what a device should know, and how the last utterance ended is added to it."""
        return self._numbered("opened", **announced, last=self._last)

    def error(self, message: str, retry_after_s: float | None = None) -> Publication:
        """Something that was asked for cannot be done."""
        return self._numbered("error", message=message, retry_after_s=retry_after_s)

    def sound(self, utterance: int, pieces: Iterable[bytes], content_type: str) -> list[Publication]:
        """Sound of an utterance, a message for each piece."""
        publications = []
        for piece in pieces:
            sequence = self._sent.get(utterance, 0)
            self._sent[utterance] = sequence + 1
            counted = (("utterance", str(utterance)), ("sequence", str(sequence)))
            publications.append(
                Publication(
                    self._audio,
                    piece,
                    qos=0,
                    content_type=content_type,
                    expiry_s=_AUDIO_EXPIRY_S,
                    properties=counted,
                )
            )
        return publications

    def tell(self, event: TalkEvent) -> list[Publication]:
        """The events for what happened in the conversation; sound is given out by `sound`."""
        if isinstance(event, Sound):
            words = [{"text": word.text, "start_ms": round(word.start_s * 1000)} for word in event.chunk.words]
            return [self._numbered("words", utterance=event.utterance, words=words)] if words else []
        if isinstance(event, Ended):
            return [self._ended(event.utterance, event.ending, event.error)]
        if isinstance(event, Interrupted):
            return self._interrupted(event)
        return []

    def closed(self, reason: str) -> list[Publication]:
        """The session is over, and with it all that has not ended."""
        ended = [self._ended(utterance, "closed", None) for utterance in sorted(self._open)]
        return [*ended, self._numbered("closed", reason=reason)]

    def _ended(self, utterance: int, ending: str, error: str | None) -> Publication:
        self._open.discard(utterance)
        self._last = {"utterance": utterance, "ending": ending}
        return self._numbered(
            "ended", utterance=utterance, ending=ending, messages=self._sent.pop(utterance, 0), error=error
        )

    def _interrupted(self, event: Interrupted) -> list[Publication]:
        by, unended = self._interrupts.pop(0) if self._interrupts else ("client", frozenset[int]())
        dropped = [self._ended(utterance, "interrupted", None) for utterance in sorted(unended & self._open)]
        told = self._numbered(
            "interrupted",
            by=by,
            utterance=event.utterance if event.utterance >= 0 else None,
            played_ms=round(event.heard.played_ms),
        )
        return [*dropped, told]

    def _numbered(self, kind: str, **fields: object) -> Publication:
        told = {"type": kind, "n": self._events} | {name: value for name, value in fields.items() if value is not None}
        self._events += 1
        return Publication(self._event, json.dumps(told, ensure_ascii=False).encode())


def presence(topics: Topics, *, online: bool) -> Publication:
    """Whether the server is there, which stays with the broker; also its last will."""
    return Publication(topics.status, b"online" if online else b"offline", retain=True, content_type="text/plain")


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _shown(value: object) -> str:
    """A stranger's value, short enough for a message; a plain repr of a thousand lists in one another would fail."""
    return reprlib.repr(value)
