"""What is said over the data channel of a call: JSON objects, named as those of the native WebSocket protocol."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicestack.runtime import Chunk, InputError


@dataclass(frozen=True, slots=True)
class Text:
    """Say this; more may follow. flush: nothing will."""

    text: str
    flush: bool = False


@dataclass(frozen=True, slots=True)
class Flush:
    """The utterance is complete."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """Stop speaking."""

    finish_word: bool = False


@dataclass(frozen=True, slots=True)
class Depth:
    """Play so many layers."""

    depth: int


@dataclass(frozen=True, slots=True)
class User:
    """What a person said to the assistant that speaks here."""

    text: str


@dataclass(frozen=True, slots=True)
class Ping:
    """Are you there?"""


@dataclass(frozen=True, slots=True)
class Pong:
    """I am."""


Command = Text | Flush | Interrupt | Depth | User | Ping | Pong


def read_command(message: str | bytes, *, max_bytes: int, max_chars: int) -> Command:
    """A message as a command. Raises InputError that says what is wrong with it."""
    if isinstance(message, bytes):
        raise InputError("messages are JSON text, not binary")
    if len(message) > max_bytes:
        raise InputError(f"a message may have {max_bytes} bytes, this one has {len(message)}")
    try:
        said = json.loads(message)
    except (ValueError, RecursionError):
        raise InputError("a message is one JSON object") from None
    if not isinstance(said, dict):
        raise InputError("a message is one JSON object")
    match said.get("type"):
        case "text":
            return Text(_text(said, max_chars), _flag(said, "flush"))
        case "flush":
            return Flush()
        case "interrupt":
            return Interrupt(_flag(said, "finish_word"))
        case "depth":
            return Depth(_number(said, "depth"))
        case "user":
            return User(_text(said, max_chars))
        case "ping":
            return Ping()
        case "pong":
            return Pong()
        case other:
            raise InputError(f"type must be text, flush, interrupt, depth, user, ping or pong, got {str(other)[:40]!r}")


def event(kind: str, **fields: Any) -> str:
    """An event as it is sent; fields that are None are left out."""
    return json.dumps({"type": kind, **{name: value for name, value in fields.items() if value is not None}})


def words_event(utterance: int, chunk: Chunk) -> str | None:
    """The words that begin in a chunk, with their times in the utterance; None without any."""
    if not chunk.words:
        return None
    words = [{"text": word.text, "start_ms": round(word.start_s * 1000)} for word in chunk.words]
    return event("words", utterance=utterance, words=words)


def stacks_event(utterance: int, chunk: Chunk) -> str | None:
    """The codes a chunk was made of, frame by frame, as base64 of little-endian 16-bit numbers; None without any."""
    if chunk.codes is None or not len(chunk.codes):
        return None
    codes = np.ascontiguousarray(chunk.codes, "<u2")
    return event(
        "stacks",
        utterance=utterance,
        start_ms=round(chunk.start_s * 1000),
        n_vq=int(codes.shape[1]),
        depths=list(chunk.depths),
        codes=base64.b64encode(codes.tobytes()).decode("ascii"),
    )


def _text(said: Mapping[str, Any], max_chars: int) -> str:
    text = said.get("text")
    if not isinstance(text, str):
        raise InputError("text must be a string")
    if len(text) > max_chars:
        raise InputError(f"text may have {max_chars} characters a message, this has {len(text)}; send it in pieces")
    return text


def _flag(said: Mapping[str, Any], name: str) -> bool:
    flag = said.get(name, False)
    if not isinstance(flag, bool):
        raise InputError(f"{name} must be true or false")
    return flag


def _number(said: Mapping[str, Any], name: str) -> int:
    number = said.get(name)
    if not isinstance(number, int) or isinstance(number, bool):
        raise InputError(f"{name} must be a whole number")
    return number
