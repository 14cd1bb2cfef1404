"""The words of `voicestack.v1` from the client's side, without the wire."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from voicestack.runtime import CapacityError, InputError, StateError, VoicestackError, WordTiming

PROTOCOL = "voicestack.v1"
_PATH = "/ws"
_FATAL = ("policy", "capacity", "failed")
_TRY_AGAIN = 1013
_BUSY = (429, 503)
_UNKNOWN_TOKEN = (401, 403)


class ConnectionLostError(VoicestackError):
    """The server cannot be reached, or the connection broke off; what was not heard by then is lost."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How a session is to be. None is as the server's voice does; `unpaced` sends sound as fast as it is made."""

    sample_rate_hz: int | None = None
    depth: int | None = None
    seed: int | None = None
    unpaced: bool = False

    def start(self) -> str:
        """The first message of a connection."""
        fields = {"sample_rate": self.sample_rate_hz, "depth": self.depth, "seed": self.seed, "unpaced": self.unpaced}
        return json.dumps({"type": "start", **{name: value for name, value in fields.items() if value is not None}})


def address_of(url: str) -> str:
    """The WebSocket's address, from that of the page or its own."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InputError(f"{url!r} is no URL: {error}") from None
    schemes = {"http": "ws", "https": "wss", "ws": "ws", "wss": "wss"}
    if parts.scheme not in schemes or not parts.hostname or port == 0:
        raise InputError(f"a URL must look like http://host:port, got {url!r}")
    path = _PATH if parts.path in ("", "/") else parts.path
    return urlunsplit((schemes[parts.scheme], parts.netloc, path, parts.query, ""))


def refusal_of(address: str, status: int, body: bytes, retry_after: str) -> VoicestackError:
    """What a server's answer, which let nobody in, means to its user."""
    try:
        reason = str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        reason = f"status {status}"
    if status in _UNKNOWN_TOKEN:
        return InputError(f"{address} lets nobody in without the right token: {reason}")
    if status in _BUSY:
        return CapacityError(f"{address} is busy: {reason}", float(retry_after) if retry_after.isdigit() else None)
    return ConnectionLostError(f"{address} refused the connection: {reason}")


def closing_of(code: int | None = None, reason: str = "") -> VoicestackError:
    """What the end of a connection means to its user; None is one that broke off."""
    if code == _TRY_AGAIN:
        return CapacityError(reason or "the server is full; try again")
    why = "without a word" if code is None else f"with code {code}{f' ({reason})' if reason else ''}"
    return ConnectionLostError(f"the server closed the connection {why}; connect again")


def error_of(told: Mapping[str, Any]) -> VoicestackError:
    """What an error event means to the user of a session."""
    message, code = str(told.get("message")), told.get("code")
    if code == "capacity":
        hint = told.get("retry_after_s")
        return CapacityError(message, float(hint) if isinstance(hint, int | float) else None)
    kinds: dict[object, type[VoicestackError]] = {
        "input": InputError,
        "state": StateError,
        "policy": ConnectionLostError,
    }
    return kinds.get(code, VoicestackError)(message)


def parsed(message: str | bytes) -> Mapping[str, Any]:
    """A message as JSON object; ValueError when it is none."""
    told = json.loads(message)
    if not isinstance(told, dict):
        raise ValueError("a message is no JSON object")
    return told


def hello_of(told: Mapping[str, Any], address: str) -> Mapping[str, Any]:
    """The first message of a server, if it is the greeting; raises what else it means."""
    if told.get("type") == "error":
        raise error_of(told)
    if told.get("type") != "hello" or not isinstance(told.get("sample_rate"), int):
        raise ConnectionLostError(f"{address} speaks another protocol; use the URL of a voicestack serve")
    return told


def words_of(told: Any) -> tuple[WordTiming, ...]:
    """The words in an event; KeyError, TypeError or ValueError when they are none."""
    return tuple(WordTiming(str(word["text"]), float(word["start_s"])) for word in told)


def is_fatal(told: Mapping[str, Any]) -> bool:
    """Whether an error ends the session."""
    return told.get("code") in _FATAL
