"""ElevenLabs' `/v1/text-to-speech/{voice}/stream-input` and `/multi-stream-input`: sound as base64 in JSON.

What it does otherwise than its model: text is spoken as it comes, whatever the chunk_length_schedule.
"""

from base64 import b64encode
from dataclasses import dataclass

from voicestack.runtime import CapacityError, Chunk, InputError, VoicestackError

from ..pcm import Encoding, PcmFormat, PcmStream
from ..talk import Ended, Sound, TalkEvent
from .dialect import POLICY, TRY_AGAIN, ByteStream, Dialect, Setting, Voicing, as_message, context_name, leave
from .fields import Fields
from .steps import Finish, Flush, Leave, Open, Push, Send, Steps

_RAW: dict[str, Encoding] = {"pcm": "pcm_s16le", "ulaw": "pcm_mulaw", "alaw": "pcm_alaw"}
_FILES = ("mp3", "opus")
_USUAL = "mp3_44100_128"
_DEFAULT = "default"
_LONGEST_IDLE_S = 180.0


@dataclass(slots=True)
class _Context:
    """A context that is open. finished: whether it was said to be complete."""

    voicing: Voicing
    seed: int | None
    opened: bool = False
    finished: bool = False


class ElevenLabs(Dialect):
    """Text in; sound with an alignment of its characters, and isFinal, out. With `many`, several contexts at once."""

    def __init__(self, setting: Setting, *, many: bool) -> None:
        super().__init__(setting)
        self._many = many
        self._contexts: dict[str, _Context] = {}
        self._closing = False
        self._whole_sentences = setting.query.get("auto_mode", "").lower() == "true"
        self._aligns = setting.query.get("sync_alignment", "true").lower() != "false"

    def greet(self) -> Steps:
        """Tell what is wrong with the query, if anything is."""
        try:
            self._make()
            self.context_idle_s = _idle_s(self.setting.query.get("inactivity_timeout", "20"))
        except InputError as error:
            return [*self.complain(None, error), leave(POLICY, str(error))]
        return []

    def tell(self, context: str, event: TalkEvent) -> Steps:
        """Sound and alignment."""
        known = self._contexts.get(context)
        if known is None:
            return []
        if isinstance(event, Sound):
            spoken_s = len(event.chunk.pcm) / self.setting.sample_rate_hz
            return self._audio(context, known.voicing.feed(event.chunk.pcm), event.chunk, spoken_s)
        if isinstance(event, Ended):
            steps = self._audio(context, known.voicing.finish(), None, 0.0)
            return steps if event.error is None else [*steps, *self.complain(context, VoicestackError(event.error))]
        return []

    def complain(self, context: str | None, error: VoicestackError) -> Steps:
        """An error message, of the context if there is one."""
        name = "try_again_later" if isinstance(error, CapacityError) else "invalid_message"
        code = TRY_AGAIN if isinstance(error, CapacityError) else POLICY
        return [self._message(context, message=str(error), error=name, code=code)]

    def over(self, context: str, error: VoicestackError | None = None) -> Steps:
        """Its last message."""
        self._contexts.pop(context, None)
        steps = [] if error is None else self.complain(context, error)
        steps.append(self._message(context, audio=None, isFinal=True))
        if not self._many and isinstance(error, CapacityError):
            return [*steps, leave(TRY_AGAIN, str(error))]
        leaves = not self._many or (self._closing and not self._contexts)
        return [*steps, Leave()] if leaves else steps

    def _addressed(self, fields: Fields) -> str | None:
        if not self._many:
            return _DEFAULT
        return context_name(fields, "context_id", "") or context_name(fields, "contextId", "") or None

    def _obey(self, context: str | None, fields: Fields) -> Steps:
        if self._closing:
            return []
        if self._many and fields.flag("close_socket"):
            return self._close_all()
        # All is read before anything is changed, so that what is refused has no effect.
        has_text, text = fields.has("text"), self._checked(fields.text("text"))
        flushes = fields.flag("flush") or fields.flag("flush_context")
        closes = self._many and fields.flag("close_context")
        if self._many and has_text and not text and context is None:
            return []  # keeps the connection alive
        context = context or _DEFAULT
        if closes:
            return self._finish(context, text)
        if not self._many and has_text and not text:
            return self._finish(context, "")
        known = self._contexts.get(context) or (self._new(context, fields) if text else None)
        if known is None:
            return []
        if known.finished:
            raise InputError("the context is being closed; use another context_id for more")
        steps = self._said(context, known, text)
        if known.opened and flushes:
            steps.append(Flush(context))
        return steps

    def _new(self, context: str, fields: Fields) -> _Context:
        """A context, which takes no place before it has something to say."""
        self._check_room(len(self._contexts))
        voicing = Voicing(self._make, self.setting.sample_rate_hz)
        known = self._contexts[context] = _Context(voicing, _seed(self.setting.query.get("seed", "")))
        return known

    def _said(self, context: str, known: _Context, text: str) -> Steps:
        if not text.strip() and not known.opened:
            return []
        steps: Steps = []
        if not known.opened:
            known.opened = True
            steps.append(Open(context, known.seed))
        if text:
            sentence = self._whole_sentences and not text[-1].isspace()
            steps.append(Push(context, text + " " if sentence else text))
        return steps

    def _finish(self, context: str, text: str) -> Steps:
        known = self._contexts.get(context)
        if known is None:
            return self.over(context) if not self._many else []
        if known.finished:
            return []
        steps = self._said(context, known, text)
        known.finished = True
        return [*steps, Finish(context)] if known.opened else [*steps, *self.over(context)]

    def _close_all(self) -> Steps:
        steps = [step for context in list(self._contexts) for step in self._finish(context, "")]
        self._closing = True
        return steps if self._contexts else [*steps, Leave()]

    def _audio(self, context: str, data: bytes, chunk: Chunk | None, spoken_s: float) -> Steps:
        aligned = None if chunk is None or not self._aligns else self._alignment(chunk, spoken_s)
        if not data and aligned is None:
            return []
        audio = b64encode(data).decode() if data else None
        return [self._message(context, audio=audio, isFinal=None, alignment=aligned, normalizedAlignment=aligned)]

    def _alignment(self, chunk: Chunk, spoken_s: float) -> dict[str, object] | None:
        """The characters of the words that begin in a chunk, on its own time, over all of it: clients add up spans."""
        if not chunk.words and not len(chunk.pcm):
            return None
        starts = [word.start_s - chunk.start_s for word in chunk.words]
        chars, begins, ends = [" "], [0.0], [starts[0] if starts else spoken_s]
        for word, start_s, end_s in zip(chunk.words, starts, [*starts, spoken_s][1:], strict=True):
            spelled = f"{word.text} "
            step_s = max(0.0, end_s - start_s) / len(spelled)
            chars += spelled
            begins += [start_s + step_s * place for place in range(len(spelled))]
            ends += [start_s + step_s * (place + 1) for place in range(len(spelled))]
        edges = [(round(1000 * b), round(1000 * e)) for b, e in zip(begins, ends, strict=True)]
        durations = "charDurationsMs" if self._many else "charsDurationsMs"
        return {
            "chars": chars,
            "charStartTimesMs": [begin for begin, _ in edges],
            durations: [max(0, end - begin) for begin, end in edges],
        }

    def _message(self, context: str | None, **fields: object) -> Send:
        return as_message(**fields, **({"contextId": context} if self._many else {}))

    def _make(self) -> ByteStream:
        """What makes bytes of an utterance; InputError for a format there is not."""
        name = self.setting.query.get("output_format", _USUAL)
        kind, _, rest = name.partition("_")
        rate_hz, source_hz = rest.partition("_")[0], self.setting.sample_rate_hz
        if kind in _FILES:
            # An extra, which none of the others needs.
            from ..encoders import encoder

            return encoder(kind, source_hz)
        if kind not in _RAW or not (rate_hz.isascii() and rate_hz.isdigit() and len(rate_hz) < 7):
            kinds = ", ".join([*(f"{raw}_<rate>" for raw in _RAW), *(f"{file}_..." for file in _FILES)])
            raise InputError(f"output_format must be one of {kinds}, got {name[:40]!r}")
        return PcmStream(source_hz, PcmFormat(int(rate_hz), _RAW[kind]))


def _idle_s(asked: str) -> float:
    if not (asked.isascii() and asked.isdigit() and len(asked) < 7 and 0 < int(asked) <= _LONGEST_IDLE_S):
        raise InputError(f"inactivity_timeout must be 1 to {_LONGEST_IDLE_S:.0f}, got {asked[:40]!r}")
    return float(asked)


def _seed(asked: str) -> int | None:
    return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 10 else None
