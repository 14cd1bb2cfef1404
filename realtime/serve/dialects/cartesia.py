"""Cartesia's `/tts/websocket`: many contexts, sound as base64 in JSON.

What it does otherwise than its model: a transcript that continues is spoken as it comes, and cancelling takes effect at
once, also on what has begun to be spoken.
"""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

from voicestack.runtime import CapacityError, Chunk, InputError, VoicestackError

from ...outlet import Ending
from ..pcm import Encoding, PcmFormat, PcmStream
from ..talk import Ended, Sound, TalkEvent
from .dialect import Dialect, Setting, Voicing, as_message, context_name
from .fields import Fields
from .steps import Finish, Flush, Interrupt, Open, Push, Send, Steps

_RATE_HZ = 44_100
"""What an output_format without a sample_rate means."""
_PARTIAL, _GOOD, _BAD, _BUSY, _FAILED = 206, 200, 400, 429, 500


@dataclass(slots=True)
class _Context:
    """A context that is open. flushes: those that were asked for; spoken: those that were spoken to their end."""

    voicing: Voicing
    wants_words: bool
    finished: bool = False
    cancelled: bool = False
    flushes: list[bool] = field(default_factory=list)
    spoken: int = 0


class Cartesia(Dialect):
    """Generation requests and cancellations in; chunk, timestamps, flush_done, done and error out."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self._contexts: dict[str, _Context] = {}
        self._unnamed = 0

    def tell(self, context: str, event: TalkEvent) -> Steps:
        """Sound and words, and that a flush is through. All times are those of the context."""
        known = self._contexts.get(context)
        if known is None or known.cancelled:
            return []
        if isinstance(event, Sound):
            return self._sound(context, known, event.chunk)
        if isinstance(event, Ended):
            return self._ended(context, known, event)
        return []

    def complain(self, context: str | None, error: VoicestackError) -> Steps:
        """An error that ends nothing."""
        return [_error(context, error, done=context not in self._contexts)]

    def over(self, context: str, error: VoicestackError | None = None) -> Steps:
        """Its last message: `done`, or the error; none where it was cancelled, because clients expect none."""
        known = self._contexts.pop(context, None)
        if known is not None and known.cancelled:
            return []
        if error is not None:
            return [_error(context, error, done=True)]
        return [as_message(type="done", context_id=context, done=True, status_code=_GOOD)]

    def _addressed(self, fields: Fields) -> str | None:
        return context_name(fields, "context_id", "") or None

    def _obey(self, context: str | None, fields: Fields) -> Steps:
        if fields.flag("cancel"):
            return self._cancel(context)
        text = self._checked(fields.text("transcript"))
        # All is read before anything is changed, so that what is refused has no effect.
        continues, flushes = fields.flag("continue"), fields.flag("flush")
        # Who says that nothing is to be gathered sends whole sentences, with nothing between them.
        whole = fields.number("max_buffer_delay_ms") == 0 and continues and not text[-1:].isspace()
        if context is None:
            self._unnamed += 1
            context = f"context-{self._unnamed}"
        known = self._contexts.get(context)
        if known is not None and known.finished:
            raise InputError("the context was said to be complete; use another context_id for more")
        steps: Steps = []
        if known is None:
            if not (text.strip() or continues):
                raise InputError("transcript has nothing to speak")
            known, steps = self._open(context, fields)
        if text:
            steps.append(Push(context, text + " " if whole else text))
        if flushes or not continues:
            known.flushes.append(flushes)
            steps.append(Flush(context))
        if not continues:
            known.finished = True
            steps.append(Finish(context))
        return steps

    def _open(self, context: str, fields: Fields) -> tuple[_Context, Steps]:
        self._check_room(len(self._contexts))
        rate_hz = self.setting.sample_rate_hz
        voicing = Voicing(partial(PcmStream, rate_hz, _form(fields.part("output_format"))), rate_hz)
        known = self._contexts[context] = _Context(voicing, fields.flag("add_timestamps"))
        return known, [Open(context)]

    def _cancel(self, context: str | None) -> Steps:
        known = self._contexts.get(context or "")
        if context is None or known is None or known.cancelled:
            return []
        known.cancelled = known.finished = True
        return [Interrupt(context), Finish(context)]

    def _sound(self, context: str, known: _Context, chunk: Chunk) -> Steps:
        start_s = known.voicing.offset_s + known.voicing.spoken_s
        steps = self._chunk(context, known, known.voicing.feed(chunk.pcm))
        if known.wants_words and chunk.words:
            # When a word ends is not known: at the latest where the next begins, or the sound that there is so far.
            starts = [start_s + word.start_s - chunk.start_s for word in chunk.words]
            end_s = known.voicing.offset_s + known.voicing.spoken_s
            words = [word.text for word in chunk.words]
            steps.append(self._timestamps(context, known, words, starts, [*starts[1:], end_s]))
        return steps

    def _ended(self, context: str, known: _Context, event: Ended) -> Steps:
        steps = self._chunk(context, known, known.voicing.finish())
        if event.error is not None:
            steps += self.complain(context, VoicestackError(event.error))
        if event.complete and event.ending is not Ending.INTERRUPTED and known.flushes:
            known.spoken += 1
            if known.flushes.pop(0):
                flushed = {"flush_done": True, "flush_id": known.spoken}
                steps.append(self._partial("flush_done", context, **flushed))
        return steps

    def _chunk(self, context: str, known: _Context, data: bytes) -> Steps:
        if not data:
            return []
        return [
            self._partial("chunk", context, data=b64encode(data).decode(), step_time=0.0, flush_id=known.spoken + 1)
        ]

    def _timestamps(
        self, context: str, known: _Context, words: Sequence[str], starts: Sequence[float], ends: Sequence[float]
    ) -> Send:
        rounded = {"start": [round(s, 3) for s in starts], "end": [round(s, 3) for s in ends]}
        times = {"words": list(words), **rounded}
        return self._partial("timestamps", context, word_timestamps=times, flush_id=known.spoken + 1)

    def _partial(self, kind: str, context: str, **fields: object) -> Send:
        return as_message(type=kind, context_id=context, status_code=_PARTIAL, done=False, **fields)


def _error(context: str | None, error: VoicestackError, *, done: bool) -> Send:
    busy, bad = isinstance(error, CapacityError), isinstance(error, InputError)
    told = str(error)
    return as_message(
        type="error",
        # Clients look it up in every message, also where there is none.
        context_id=context,
        done=done,
        status_code=_BUSY if busy else _BAD if bad else _FAILED,
        error_code="try_again_later" if busy else "invalid_request" if bad else "failed",
        title="Try again later" if busy else "Invalid request" if bad else "Failed",
        message=told,
        error=told,
    )


def _form(fields: Fields) -> PcmFormat:
    container = fields.text("container", "raw")
    if container != "raw":
        raise InputError(f"output_format.container must be raw, got {container[:40]!r}")
    rate_hz = fields.whole("sample_rate")
    # Any other name is refused by what it makes.
    return PcmFormat(_RATE_HZ if rate_hz is None else rate_hz, cast(Encoding, fields.text("encoding", "pcm_s16le")))
