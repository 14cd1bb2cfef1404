"""What voicestack's own protocols, on a WebSocket and in a call, say in the same words."""

from collections.abc import Iterable

from voicestack.runtime import CapacityError, InputError, StateError, VoicestackError, WordTiming

from .limits import ServeLimits

_ANNOUNCED = ("text_chars", "buffered_chars", "message_bytes", "messages_per_s", "message_burst", "idle_s", "total_s")


def announced(limits: ServeLimits) -> dict[str, float]:
    """The limits that a client should know."""
    return {name: getattr(limits, name) for name in _ANNOUNCED}


def code_of(error: VoicestackError) -> str:
    """A short name for what went wrong."""
    if isinstance(error, CapacityError):
        return "capacity"
    if isinstance(error, InputError):
        return "input"
    return "state" if isinstance(error, StateError) else "failed"


def words_of(words: Iterable[WordTiming]) -> list[dict[str, object]]:
    """Words with their times in the utterance."""
    return [{"text": word.text, "start_s": round(word.start_s, 3)} for word in words]
