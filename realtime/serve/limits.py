"""How much a stranger may ask for: every bound of the server in one place."""

from dataclasses import dataclass, fields

from voicestack.runtime import InputError


@dataclass(frozen=True, slots=True)
class ServeLimits:
    """Bounds of one server; all are announced to clients or documented.

    text_chars: of one request or one message. buffered_chars: of a conversation, said and not yet spoken.
    message_bytes, body_bytes: of a WebSocket message or a payload, and of a request's body. messages_per_s,
    message_burst: a bucket per connection. contexts: conversations on one connection. calls: WebRTC peers at once.
    send_s: for a reader to take a message. first_s: for the first message of a connection. idle_s: without a message
    while nothing is spoken. total_s: of a connection. connect_s: for an offer to become a call. gone_s: without a
    heartbeat of a peer. drain_s: for what is being spoken at shutdown. connections: WebSockets at once; sockets: of
    all kinds. stall_s: for a
    reader of an HTTP body, which may play it as it comes, to take more of it. keepalive_s: for a
    connection to bring its first or next request.
    """

    text_chars: int = 4096
    buffered_chars: int = 16_384
    message_bytes: int = 65_536
    body_bytes: int = 262_144
    messages_per_s: float = 100.0
    message_burst: int = 400
    contexts: int = 10
    calls: int = 32
    send_s: float = 2.0
    first_s: float = 10.0
    idle_s: float = 120.0
    total_s: float = 3600.0
    connect_s: float = 12.0
    gone_s: float = 6.0
    drain_s: float = 10.0
    connections: int = 256
    sockets: int = 512
    stall_s: float = 20.0
    keepalive_s: float = 30.0

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise InputError(f"{field.name} must be more than 0, got {getattr(self, field.name)!r}")
