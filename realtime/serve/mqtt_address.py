"""Where a broker is, and under which topics: what can be checked before anything is loaded or connected."""

import re
import reprlib
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from voicestack.runtime import InputError

Kind = Literal["text", "control"]

_SESSION = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PREFIX = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*")
_PREFIX_CHARS = 128


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """Where a broker is. The password is never shown."""

    host: str
    port: int
    tls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def of(cls, url: str) -> "BrokerAddress":
        """From mqtt://user:password@host:port, or mqtts:// for TLS. InputError says what is missing."""
        try:
            parts = urlsplit(url)
            port = parts.port
            (parts.hostname or "").encode("idna")
        except UnicodeError:
            raise InputError("the host of the MQTT URL must be a name or an address a machine can have") from None
        except ValueError:
            # Its reason repeats what stands where the port should, which may be a password.
            raise InputError("the port of the MQTT URL must be a number, 1 to 65535") from None
        if (
            parts.scheme not in ("mqtt", "mqtts")
            or not parts.hostname
            or parts.path not in ("", "/")
            or parts.query
            or port == 0
        ):
            raise InputError("the MQTT URL must look like mqtt://host:1883 or mqtts://user:password@host:8883")
        tls = parts.scheme == "mqtts"
        user, password = (value and unquote(value) for value in (parts.username, parts.password))
        return cls(parts.hostname, port or (8883 if tls else 1883), tls, user or None, password)


class Topics:
    """The topics under a prefix. InputError for a prefix that would be more than one place in the tree."""

    def __init__(self, prefix: str) -> None:
        if len(prefix) > _PREFIX_CHARS or not _PREFIX.fullmatch(prefix):
            raise InputError(
                "the topic prefix must be words of letters, digits, - and _, with / between, got "
                f"{reprlib.repr(prefix)}"
            )
        self._prefix = prefix
        self.filters = (f"{prefix}/+/text", f"{prefix}/+/control")
        self.status = f"{prefix}/status"

    def audio(self, session: str) -> str:
        """Where the sound of a session goes."""
        return f"{self._prefix}/{session}/audio"

    def event(self, session: str) -> str:
        """Where its events go."""
        return f"{self._prefix}/{session}/event"

    def read(self, topic: str) -> tuple[str, Kind] | None:
        """The session and the kind of an incoming topic; None for what is none of ours."""
        head, _, kind = topic.rpartition("/")
        prefix, _, session = head.rpartition("/")
        # An id in other characters could name a topic that is not its own, and nobody could be answered there.
        if prefix != self._prefix or not _SESSION.fullmatch(session):
            return None
        return (session, "text") if kind == "text" else (session, "control") if kind == "control" else None
