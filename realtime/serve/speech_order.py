"""What a request to OpenAI's speech API asks for, read from its JSON body: bytes in, a checked order out."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .encoders import FORMATS
from .failures import RefusedError

ALIASES = (
    *("alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"),
    "default",
)
"""Names of OpenAI's voices, which many clients insist on; here they are all the voice there is."""
_STREAMS = ("audio", "sse")
_SLOWEST, _FASTEST = 0.5, 2.0


@dataclass(frozen=True, slots=True)
class SpeechOrder:
    """A text to be spoken. as_events: as server-sent events instead of a file. speed: 1 is the voice's own."""

    text: str
    form: str = "mp3"
    as_events: bool = False
    speed: float = 1.0


def read_order(body: bytes, voice_name: str, most_characters: int) -> SpeechOrder:
    """The order in a body; RefusedError that names the field that is wrong.

    `instructions` and unknown fields are ignored, because clients send them to every server; `model` may be anything.
    """
    fields = _object(body)
    text = _text(fields, most_characters)
    _check_voice(fields.get("voice"), voice_name)
    speed = _speed(fields.get("speed"))
    for name in ("model", "instructions"):
        if not isinstance(fields.get(name), str | None):
            raise _wrong(name, f"{name} must be a string")
    form = fields.get("response_format")
    if form is not None and form not in FORMATS:
        raise _wrong("response_format", f"response_format must be one of {', '.join(FORMATS)}")
    stream = fields.get("stream_format")
    if stream is not None and stream not in _STREAMS:
        raise _wrong("stream_format", f"stream_format must be one of {', '.join(_STREAMS)}")
    return SpeechOrder(text, form or "mp3", stream == "sse", speed)


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise _wrong(
            None, 'the body must be JSON, such as {"model": "tts-1", "voice": "alloy", "input": "Hello."}'
        ) from None
    if not isinstance(fields, dict):
        raise _wrong(None, "the body must be a JSON object")
    return fields


def _text(fields: Mapping[str, Any], most_characters: int) -> str:
    text = fields.get("input")
    if not isinstance(text, str):
        raise _wrong("input", "input must be a string: the text to speak")
    if not text:
        raise _wrong("input", "input is empty; give it at least one word")
    if len(text) > most_characters:
        raise _wrong(
            "input", f"input may have {most_characters} characters, this one has {len(text)}; send it in parts"
        )
    # JSON can spell halves of a character, which are no text.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _check_voice(voice: object, voice_name: str) -> None:
    if isinstance(voice, dict):
        voice = voice.get("id")
        if voice is None:
            raise _wrong("voice", 'voice must be a name, or an object with an "id"')
    if voice is None:
        return
    if not isinstance(voice, str):
        raise _wrong("voice", 'voice must be a name, or an object with an "id"')
    if voice.lower() not in (voice_name.lower(), *ALIASES):
        names = ", ".join((voice_name, *ALIASES))
        raise _wrong("voice", f"there is no such voice here; these are: {names}")


def _speed(speed: object) -> float:
    if speed is None:
        return 1.0
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not _SLOWEST <= speed <= _FASTEST:
        raise _wrong("speed", f"speed must be a number from {_SLOWEST} to {_FASTEST}")
    return float(speed)


def _wrong(param: str | None, message: str) -> RefusedError:
    return RefusedError(400, "invalid_value", message, param=param)
