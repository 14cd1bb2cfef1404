"""Who is let in: the token, where a page may come from, and under which name this server may be called."""

import hmac
import ipaddress
import re
import secrets
import socket
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from voicestack.runtime import InputError

from ..urls import http_parts
from .edge import Request
from .failures import RefusedError

TOKEN_PROTOCOL = "voicestack.token."
"""A browser cannot set headers of a WebSocket, so it may offer this and the token as a subprotocol."""
TICKET_S = 60.0
_TICKETS = 1024
_REMOTES = 4096
"""How many of each are remembered; the oldest are forgotten first."""
_FAILURES, _FORGIVEN_PER_S = 20, 0.5
"""Wrong tokens of one address: so many at once, and then so many a second."""
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{16,512}")
_KEY_HEADERS = ("x-api-key", "xi-api-key")
_KEY_QUERIES = ("api_key", "xi_api_key", "token")
_SCHEMES = ("bearer", "token")
_STRANGE_PAGE = "pages of that origin may not use this server; start it with --allow-origin to let them"


@dataclass(frozen=True, slots=True)
class Policy:
    """What the server was told about who may come.

    token: None lets everybody in. host: what it is bound to. origins: pages of other servers that may use this one,
    such as https://example.com; their hosts are also names that this server may be called by, behind a proxy.
    """

    token: str | None = field(default=None, repr=False)
    host: str = "127.0.0.1"
    origins: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise InputError("a token must have 16 to 512 letters, digits and . _ ~ + / = -, and nothing else")
        for origin in self.origins:
            parts = http_parts(origin)
            if parts is None or origin != f"{parts.scheme}://{parts.netloc}":
                raise InputError(f"an origin must look like https://example.com or http://host:port, got {origin!r}")

    @property
    def names(self) -> frozenset[str]:
        """Host names it answers to, beside addresses and localhost."""
        machine = socket.gethostname().lower()
        listed = (urlsplit(origin).hostname or "" for origin in self.origins)
        return frozenset({self.host.lower(), machine, f"{machine}.local", *listed})


def is_loopback(host: str) -> bool:
    """Whether a name or an address leads to this machine only."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


class Guard:
    """Checks every request before anything is done for it. `clock` is monotonic seconds."""

    def __init__(self, policy: Policy, clock: Callable[[], float]) -> None:
        self._policy, self._clock = policy, clock
        self._token = None if policy.token is None else policy.token.encode()
        self._names = policy.names
        self._failures = _Failures(clock)
        self._tickets: OrderedDict[str, float] = OrderedDict()

    def check(self, request: Request, *, open_to_all: bool) -> None:
        """RefusedError for who must not come in; only whoever calls us by a right name may see what is open to all."""
        self._check_host(request.headers)
        self._check_origin(request.headers)
        if not open_to_all:
            self._check_site(request.headers)
            self._check_token(request)

    def allows_origin(self, headers: Mapping[str, str]) -> str | None:
        """The Origin that an answer may be read from, if it is of another server and on the list."""
        origin = headers.get("origin")
        return origin if origin in self._policy.origins else None

    def ticket(self) -> str:
        """What lets one request in, once, for a minute: for browsers, which cannot set headers of a WebSocket."""
        ticket = secrets.token_urlsafe(24)
        self._tickets[ticket] = self._clock() + TICKET_S
        while len(self._tickets) > _TICKETS:
            self._tickets.popitem(last=False)
        return ticket

    def _check_host(self, headers: Mapping[str, str]) -> None:
        # Another site's script can call us by its own name once that resolves to us; it cannot call us by an address.
        host = headers.get("host", "")
        name = _host_name(host)
        if not name or not (is_loopback(name) or _is_address(name) or name in self._names):
            raise RefusedError(
                421,
                "unknown_host",
                "this server does not go by that Host; call it by its address, or start it with --host or "
                "--allow-origin of that name",
            )

    def _check_origin(self, headers: Mapping[str, str]) -> None:
        origin = headers.get("origin")
        if origin is None or origin in self._policy.origins:
            return
        parts = _split(origin)
        if parts is None or parts != headers.get("host", "").lower():
            raise RefusedError(403, "origin_not_allowed", _STRANGE_PAGE)

    def _check_site(self, headers: Mapping[str, str]) -> None:
        # A picture or a link of another site comes without an Origin; with wrong tokens it could lock its reader out.
        if "origin" not in headers and headers.get("sec-fetch-site") == "cross-site":
            raise RefusedError(403, "origin_not_allowed", _STRANGE_PAGE)

    def _check_token(self, request: Request) -> None:
        if self._token is None:
            return
        sender = _sender(request)
        if (wait_s := self._failures.wait_s(sender)) > 0:
            raise RefusedError(
                429,
                "too_many_failures",
                "too many wrong tokens came from your address; wait, and use the right one",
                headers={"Retry-After": str(int(wait_s) + 1)},
            )
        given = list(_given(request))
        # Every candidate is compared, so that the time tells nothing of which was nearly right.
        if any([hmac.compare_digest(each.encode("utf-8", "surrogateescape"), self._token) for each in given]):
            return
        # Not where tickets are given out: one that could buy the next would never end.
        if request.method == "GET" and self._uses_ticket(request.query.get("ticket")):
            return
        if guesses := len(given) + ("ticket" in request.query):
            self._failures.failed(sender, guesses)
        raise RefusedError(
            401,
            "invalid_api_key",
            "this server wants its token: send it as Authorization: Bearer TOKEN, or as X-API-Key",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _uses_ticket(self, ticket: str | None) -> bool:
        until_s = self._tickets.pop(ticket, None) if ticket else None
        return until_s is not None and self._clock() < until_s


class _Failures:
    """A bucket of wrong tokens for every address, or every network of IPv6, that has sent one lately."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._counts: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def failed(self, remote: str, guesses: int) -> None:
        key = _network(remote)
        self._counts[key] = (self._count(key) + guesses, self._clock())
        self._counts.move_to_end(key)
        while len(self._counts) > _REMOTES:
            self._counts.popitem(last=False)

    def wait_s(self, remote: str) -> float:
        return max(0.0, (self._count(_network(remote)) + 1 - _FAILURES) / _FORGIVEN_PER_S)

    def _count(self, key: str) -> float:
        count, at_s = self._counts.get(key, (0.0, 0.0))
        return max(0.0, count - (self._clock() - at_s) * _FORGIVEN_PER_S)


def _sender(request: Request) -> str:
    """The address a request comes from: behind a proxy of this machine the one that it names last, its own client."""
    forwarded = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
    return forwarded if forwarded and is_loopback(request.remote) else request.remote


def _given(request: Request) -> Iterator[str]:
    """Everything in a request that may be meant as the token, in the way of each dialect."""
    headers = request.headers
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() in _SCHEMES:
        yield value.strip()
    yield from (headers[name] for name in _KEY_HEADERS if name in headers)
    yield from (request.query[name] for name in _KEY_QUERIES if name in request.query)
    offered = offered_protocols(headers)
    yield from (each.removeprefix(TOKEN_PROTOCOL) for each in offered if each.startswith(TOKEN_PROTOCOL))
    # Deepgram's client in a browser offers the word and then the key.
    yield from (key for word, key in zip(offered, offered[1:], strict=False) if word.lower() in _SCHEMES)


def offered_protocols(headers: Mapping[str, str]) -> list[str]:
    """The subprotocols that a client of a WebSocket offers."""
    return [each.strip() for each in headers.get("sec-websocket-protocol", "").split(",") if each.strip()]


def _host_name(host: str) -> str | None:
    """The name in a Host header, without the port; None when it is none."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+(:\d{1,5})?|\[[0-9A-Fa-f:.]+\](:\d{1,5})?", host):
        return None
    name = host[: host.index("]") + 1] if host.startswith("[") else host.partition(":")[0]
    return name.lower().strip("[]").rstrip(".")


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _split(origin: str) -> str | None:
    """Host and port of an origin; None for `null` and what is none."""
    parts = http_parts(origin)
    return None if parts is None else parts.netloc.lower()


def _network(remote: str) -> str:
    try:
        address = ipaddress.ip_address(remote.partition("%")[0])
    except ValueError:
        return remote
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return str(address)
