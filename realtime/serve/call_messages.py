"""What is said over the data channel of a call: JSON objects, named as those of the native WebSocket protocol.

In: text, flush, interrupt and depth as there; `user`, what a person said to the assistant that speaks here; ping, which
is answered by pong. Out: hello, words, speech.started, speech.ended, interrupted and error as there, but when they are
heard instead of when they are made; and

    stacks      the codes of a chunk, as soon as they are made
    stats       where the sound is, five times a second while there is some
    accepted    which utterance a text with a `ref` belongs to
    reply       what the assistant says next
    ping        to be answered, with anything, lest the call be taken for lost
    bye         why the call ends
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

import numpy as np

from voicestack.runtime import Chunk, InputError

from .dialects.fields import Fields
from .terms import words_of

_REF_CHARS = 64


@dataclass(frozen=True, slots=True)
class Text:
    """Say this; more may follow. flush: nothing will. ref: a name by which its utterance is to be told."""

    text: str
    flush: bool = False
    ref: str = ""


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
    if len(message) > max_bytes:
        raise InputError(f"a message may have {max_bytes} bytes, this one has {len(message)}")
    said = Fields.parse(message)
    match kind := said.text("type"):
        case "text":
            return Text(_text(said, max_chars), said.flag("flush"), said.text("ref")[:_REF_CHARS])
        case "flush":
            return Flush()
        case "interrupt":
            return Interrupt(said.flag("finish_word"))
        case "depth":
            return Depth(_depth(said))
        case "user":
            return User(_text(said, max_chars))
        case "ping":
            return Ping()
        case "pong":
            return Pong()
        case _:
            raise InputError(f"type must be text, flush, interrupt, depth, user, ping or pong, got {kind[:40]!r}")


def event(kind: str, **fields: Any) -> str:
    """An event as it is sent; fields that are None are left out."""
    return json.dumps({"type": kind, **{name: value for name, value in fields.items() if value is not None}})


def words_event(utterance: int, chunk: Chunk) -> str | None:
    """The words that begin in a chunk; None without any."""
    return event("words", utterance=utterance, words=words_of(chunk.words)) if chunk.words else None


def stacks_event(utterance: int, chunk: Chunk) -> str | None:
    """The codes that are heard in a chunk, frame by frame, as base64 of little-endian 16-bit numbers; None without any.

    There are `layers` of them a frame, as many as the deepest frame has; `depths` tells how many each has.
    """
    if chunk.codes is None or not len(chunk.codes):
        return None
    layers = max(chunk.depths, default=int(chunk.codes.shape[1]))
    codes = np.ascontiguousarray(chunk.codes[:, :layers], "<u2")
    return event(
        "stacks",
        utterance=utterance,
        start_s=round(chunk.start_s, 3),
        layers=layers,
        depths=list(chunk.depths),
        codes=base64.b64encode(codes.tobytes()).decode("ascii"),
    )


def _text(said: Fields, max_chars: int) -> str:
    if not said.has("text"):
        raise InputError("text is missing")
    text = said.text("text")
    if len(text) > max_chars:
        raise InputError(f"text may have {max_chars} characters a message, this has {len(text)}; send it in pieces")
    return text


def _depth(said: Fields) -> int:
    depth = said.whole("depth")
    if depth is None:
        raise InputError("depth is missing")
    return depth
