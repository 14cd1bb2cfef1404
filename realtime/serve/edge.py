"""HTTP and WebSocket as the handlers see them, so that one file knows the library and tests need no sockets."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from voicestack.runtime import VoicestackError


class WireClosedError(VoicestackError):
    """The other side is gone, or was cut off because it did not read."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that was let in. headers: by lower-case name. remote: the peer's address."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    remote: str = ""
    path_values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; a body that comes piece by piece is sent as it comes, and closed when the client leaves."""

    status: int = 200
    body: bytes | AsyncIterator[bytes] = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Wire(Protocol):
    """A WebSocket that was let in."""

    async def receive(self) -> str | bytes | None:
        """The next message; None when the other side has closed, or is gone."""
        ...

    async def send(self, message: str | bytes) -> None:
        """Send text or binary; WireClosedError when it is gone, or has not read for too long and was cut off."""
        ...

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye; never waits longer than a message may take."""
        ...


Answer = Callable[[Request], Awaitable[Reply]]
Converse = Callable[[Request, Wire], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """Where an answer is mounted.

    path: may have `{names}`. open_to_all: nobody needs a token for it. needs_voice: one that is loaded.
    """

    method: str
    path: str
    answer: Answer
    open_to_all: bool = False
    needs_voice: bool = True


@dataclass(frozen=True, slots=True)
class WsRoute:
    """Where a conversation is mounted. protocols: subprotocols it speaks, the first that a client offers is chosen."""

    path: str
    converse: Converse
    protocols: tuple[str, ...] = ()
