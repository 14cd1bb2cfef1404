"""What all dialects have in common: a protocol without a wire, which never fails whatever it is told.

The shell tells it messages of the client and events of its conversations, each of which it answers with steps.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import InputError, VoicestackError

from ..limits import ServeLimits
from ..talk import TalkEvent
from .fields import Fields
from .steps import Leave, Send, Steps

POLICY, TOO_BIG, BROKEN, TRY_AGAIN = 1008, 1009, 1011, 1013
"""Closing codes: a rule was broken; a message was too long; the server failed; there is no room now."""
CONTEXT_IDLE_S = 20.0
"""After so long without anything to speak, a context of a vendor's dialect gives its place back."""
_CONTEXT_CHARS = 256


@dataclass(frozen=True, slots=True)
class Setting:
    """What a dialect is told of its surroundings. query, path_values: of the request. version: of the server.

    depth: how many layers the voice makes unless asked otherwise.
    """

    voice_name: str
    sample_rate_hz: int
    limits: ServeLimits = field(default_factory=ServeLimits)
    query: Mapping[str, str] = field(default_factory=dict)
    path_values: Mapping[str, str] = field(default_factory=dict)
    version: str = "0"
    depth: int = 0


class Dialect:
    """One connection's side of a protocol.

    Attributes:
        first_s: how long its client may take for the first message.
        context_idle_s: how long a context may have nothing to say before it is closed; None for as long as it likes.
    """

    context_idle_s: float | None = CONTEXT_IDLE_S

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        # Nothing but a socket is held before the first message, and clients connect in advance to answer at once.
        self.first_s = setting.limits.idle_s

    def greet(self) -> Steps:
        """The connection is there."""
        return []

    def receive(self, message: str | bytes) -> Steps:
        """The client said something. Whatever is wrong with it is told to the client, and harms no context."""
        name: str | None = None
        try:
            fields = Fields.parse(message)
            name = self._addressed(fields)
            return self._obey(name, fields)
        except InputError as error:
            return self.complain(name, error)

    def tell(self, context: str, event: TalkEvent) -> Steps:
        """Something happened in a context."""
        raise NotImplementedError

    def complain(self, context: str | None, error: VoicestackError) -> Steps:
        """Something that was asked could not be done; the context, if there is one, goes on."""
        raise NotImplementedError

    def over(self, context: str, error: VoicestackError | None = None) -> Steps:
        """A context has been closed, or has failed, or could not be opened; its name is free again."""
        raise NotImplementedError

    def farewell(self, reason: str) -> Steps:
        """The connection is about to be closed, because a rule of the server was broken."""
        return self.complain(None, VoicestackError(reason))

    def _addressed(self, fields: Fields) -> str | None:
        """The context that a message is for."""
        return None

    def _obey(self, context: str | None, fields: Fields) -> Steps:
        raise NotImplementedError

    def _checked(self, text: str) -> str:
        """The same; InputError when that is too much for one message."""
        if len(text) > self.setting.limits.text_chars:
            limit = self.setting.limits.text_chars
            raise InputError(
                f"a message may carry {limit} characters of text, this one has {len(text)}; send it in parts"
            )
        return text

    def _check_room(self, contexts: int) -> None:
        """InputError when one more context would be too many."""
        limit = self.setting.limits.contexts
        if contexts >= limit:
            raise InputError(f"{contexts} contexts are open, which is the limit; close one before")


def context_name(fields: Fields, field_name: str, default: str) -> str:
    """The name of a context; InputError for one of unreasonable length."""
    name = fields.text(field_name) or default
    if len(name) > _CONTEXT_CHARS:
        raise InputError(f"{field_name} may have {_CONTEXT_CHARS} characters, this one has {len(name)}")
    return name


def as_message(**fields: object) -> Send:
    """A JSON object as a message."""
    return Send(json.dumps(fields))


def leave(code: int, reason: str) -> Leave:
    """Leave, with as much of the reason as a closing frame may carry."""
    return Leave(code, reason.encode()[:120].decode(errors="ignore"))


class ByteStream(Protocol):
    """Turns the sound of one utterance into bytes."""

    def feed(self, pcm: NDArray[np.float32]) -> bytes:
        """The bytes that are complete now."""
        ...

    def finish(self) -> bytes:
        """Those that are left."""
        ...


class Voicing:
    """The sound of one context: of one utterance after the other, each in a stream of its own.

    Attributes:
        offset_s: how much sound the utterances before the present one had.
        spoken_s: how much the present one had so far.
    """

    def __init__(self, make: Callable[[], ByteStream], rate_hz: int) -> None:
        self._make, self._rate_hz = make, rate_hz
        self._stream: ByteStream | None = None
        self.offset_s = self.spoken_s = 0.0

    def feed(self, pcm: NDArray[np.float32]) -> bytes:
        """The bytes of a piece."""
        if self._stream is None:
            self._stream = self._make()
        self.spoken_s += len(pcm) / self._rate_hz
        return self._stream.feed(pcm)

    def finish(self) -> bytes:
        """The last bytes of an utterance, which is over."""
        stream, self._stream = self._stream, None
        self.offset_s, self.spoken_s = self.offset_s + self.spoken_s, 0.0
        return b"" if stream is None else stream.finish()
