"""Deepgram's `/v1/speak`: one context, raw sound in binary messages.

What it does otherwise than its model: text is spoken as it comes and not held back until a Flush.
"""

from functools import partial
from uuid import uuid4

from voicestack.runtime import CapacityError, InputError, VoicestackError

from ...outlet import Ending
from ..pcm import Encoding, PcmFormat, PcmStream
from ..talk import Ended, Interrupted, Sound, TalkEvent
from .dialect import POLICY, TRY_AGAIN, Dialect, Setting, Voicing, as_message, leave
from .fields import Fields
from .steps import Finish, Flush, Interrupt, Leave, Open, Push, Send, Steps

_ENCODINGS: dict[str, tuple[Encoding, int]] = {
    "linear16": ("pcm_s16le", 24_000),
    "mulaw": ("pcm_mulaw", 8000),
    "alaw": ("pcm_alaw", 8000),
}
_CONTEXT = "speak"


class Deepgram(Dialect):
    """Speak, Flush, Clear and Close in; Metadata, sound, Flushed, Cleared, Warning and Error out."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._voicing: Voicing | None = None
        self._open = self._closing = False
        self._flushed = self._cleared = 0

    def greet(self) -> Steps:
        """Tell what will speak, or what is wrong with the query."""
        try:
            form = _form(self.setting)
        except InputError as error:
            return [*self.complain(None, error), leave(POLICY, str(error))]
        rate_hz = self.setting.sample_rate_hz
        self._voicing = Voicing(partial(PcmStream, rate_hz, form), rate_hz)
        name = self.setting.voice_name
        about = {"model_name": name, "model_version": self.setting.version, "model_uuid": str(uuid4())}
        return [as_message(type="Metadata", request_id=str(uuid4()), **about)]

    def tell(self, context: str, event: TalkEvent) -> Steps:
        """Sound, what is flushed, and what is cleared."""
        if self._voicing is None:
            return []
        if isinstance(event, Sound) and not self._cleared:
            return _binary(self._voicing.feed(event.chunk.pcm))
        if isinstance(event, Ended):
            return self._ended(event, self._voicing)
        if isinstance(event, Interrupted) and self._cleared:
            self._cleared -= 1
            return [self._numbered("Cleared")]
        return []

    def complain(self, context: str | None, error: VoicestackError) -> Steps:
        """A Warning for text that is not spoken, an Error for all else."""
        if context is not None:
            told = str(error)
            # Some clients read the one pair of names, some the other.
            return [
                as_message(type="Warning", description=told, code="NOT_SPOKEN", warn_msg=told, warn_code="NOT_SPOKEN")
            ]
        return [as_message(type="Error", description=str(error), code="INVALID_MESSAGE")]

    def over(self, context: str, error: VoicestackError | None = None) -> Steps:
        """Its place is given back; the next text asks for one again."""
        self._open = False
        self._cleared = 0
        steps: Steps = []
        if error is not None:
            code = "TRY_AGAIN" if isinstance(error, CapacityError) else "FAILED"
            steps.append(as_message(type="Error", description=str(error), code=code))
            if isinstance(error, CapacityError):
                return [*steps, leave(TRY_AGAIN, str(error))]
        return [*steps, Leave()] if self._closing else steps

    def _addressed(self, fields: Fields) -> str | None:
        return _CONTEXT if fields.text("type") == "Speak" else None

    def _obey(self, context: str | None, fields: Fields) -> Steps:
        if self._closing:
            return []
        kind = fields.text("type")
        if kind == "Speak":
            text = self._checked(fields.text("text"))
            return [*self._opened(), Push(_CONTEXT, text)] if text else []
        if kind == "Flush":
            return [Flush(_CONTEXT)] if self._open else [self._numbered("Flushed")]
        if kind == "Clear":
            self._cleared += self._open
            return [Interrupt(_CONTEXT)] if self._open else [self._numbered("Cleared")]
        if kind == "Close":
            self._closing = True
            return [Finish(_CONTEXT)] if self._open else [Leave()]
        raise InputError(f"type must be Speak, Flush, Clear or Close, got {kind[:40]!r}")

    def _opened(self) -> Steps:
        if self._open:
            return []
        self._open = True
        return [Open(_CONTEXT)]

    def _ended(self, event: Ended, voicing: Voicing) -> Steps:
        rest = voicing.finish()
        if self._cleared or event.ending is Ending.INTERRUPTED:
            return []
        steps = _binary(rest)
        if event.error is not None:
            steps += self.complain(_CONTEXT, VoicestackError(event.error))
        return [*steps, self._numbered("Flushed")] if event.complete else steps

    def _numbered(self, kind: str) -> Send:
        number, self._flushed = self._flushed, self._flushed + 1
        return as_message(type=kind, sequence_id=number)


def _binary(data: bytes) -> Steps:
    return [Send(data)] if data else []


def _form(setting: Setting) -> PcmFormat:
    encoding = setting.query.get("encoding", "linear16")
    if encoding not in _ENCODINGS:
        raise InputError(f"encoding must be one of {', '.join(_ENCODINGS)}, got {encoding[:40]!r}")
    ours, usual_hz = _ENCODINGS[encoding]
    rate = setting.query.get("sample_rate", str(usual_hz))
    if not (rate.isascii() and rate.isdigit() and len(rate) < 7):
        raise InputError(f"sample_rate must be a number, got {rate[:40]!r}")
    container = setting.query.get("container", "none")
    if container != "none":
        raise InputError(f"container must be none, got {container[:40]!r}")
    return PcmFormat(int(rate), ours)
