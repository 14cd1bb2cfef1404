"""The way in: each request is given an id, let in or not, counted, timed, and told of in the log when it leaves."""

import logging
import secrets
from collections.abc import Callable
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from .edge import Reply, Request, WireClosedError
from .failures import RefusedError, failure_of
from .guard import Guard
from .limits import ServeLimits
from .logs import log

_SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 3600.0)
_ALWAYS = {"Server": "voicestack", "X-Content-Type-Options": "nosniff"}
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, X-API-Key, xi-api-key",
    "Access-Control-Max-Age": "600",
}
_LONGEST_PATH = 100


class Readiness(StrEnum):
    """Whether a server can speak."""

    LOADING = "loading"
    READY = "ready"
    DRAINING = "draining"


class WireMetrics:
    """What is counted of the requests, beside what the voice counts of its sessions; no label names a client."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("transport", "route", "outcome")
        self.requests = Counter("voicestack_requests", "Requests that have ended, by how", labels, registry=registry)
        self.seconds = Histogram(
            "voicestack_request_seconds", "From a request to its end", labels[:2], buckets=_SECONDS, registry=registry
        )
        self.first_byte = Histogram(
            "voicestack_first_byte_seconds", "To the first byte of a streamed body", labels[:2], registry=registry
        )
        self.bytes = Counter("voicestack_sent_bytes", "Bytes of streamed bodies", labels[:2], registry=registry)
        self.open = Gauge("voicestack_open_requests", "Requests going on", labels[:1], registry=registry)


class Door:
    """Everything that is decided and kept of a request by whoever does not care what it asks for.

    Attributes:
        readiness: while it is not READY, only what needs no voice is answered.
    """

    def __init__(self, guard: Guard, limits: ServeLimits, metrics: WireMetrics, clock: Callable[[], float]) -> None:
        self.readiness = Readiness.LOADING
        self.guard, self.metrics, self.clock = guard, metrics, clock
        self._limits = limits

    def enter(self, request: Request, route: str) -> "Visit":
        """A request has come; route: the pattern it matches, empty for none."""
        return Visit(self, request, route)

    def make_room(self, connections: int) -> None:
        """RefusedError when so many WebSockets are open that one more is too many."""
        if connections >= self._limits.connections:
            raise RefusedError(503, "too_many_connections", "too many are connected; try again later", headers=_LATER)

    def require_ready(self) -> None:
        """RefusedError while the voice cannot be used."""
        if self.readiness is Readiness.LOADING:
            raise RefusedError(503, "loading", "the voice is being loaded; try again in a second", headers=_LATER)
        if self.readiness is Readiness.DRAINING:
            raise RefusedError(503, "shutting_down", "the server is shutting down; use another", headers=_LATER)


class Visit:
    """One request, until its answer or its conversation is over."""

    def __init__(self, door: Door, request: Request, route: str) -> None:
        self.request_id = f"req_{secrets.token_hex(8)}"
        self._door, self._request, self._route = door, request, route
        self._transport = _transport(request)
        self._began_s = door.clock()
        self._first_byte_s: float | None = None
        self._bytes = 0
        self._status: int | None = None
        self._outcome = "failed"
        self._reason: str | None = None
        self._quiet = False
        door.metrics.open.labels(self._transport).inc()

    def check(self, *, open_to_all: bool = False, needs_voice: bool = True) -> None:
        """RefusedError for who must not come in, or not now."""
        self._quiet = not needs_voice
        self._door.guard.check(self._request, open_to_all=open_to_all)
        if needs_voice:
            self._door.require_ready()

    def preflight(self) -> Reply | None:
        """The answer to a browser that asks whether a page of another server may use this one; None if it is none."""
        headers = self._request.headers
        if self._request.method != "OPTIONS" or "access-control-request-method" not in headers:
            return None
        self.check(open_to_all=True, needs_voice=False)
        return Reply(204, headers=_PREFLIGHT)

    def headers(self) -> dict[str, str]:
        """What every answer says."""
        headers = {**_ALWAYS, "x-request-id": self.request_id}
        if (origin := self._door.guard.allows_origin(self._request.headers)) is not None:
            headers |= {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Expose-Headers": "x-request-id",
                "Vary": "Origin",
            }
        return headers

    def sent(self, count: int) -> None:
        """So many bytes of a streamed body were taken."""
        if self._first_byte_s is None:
            self._first_byte_s = self._door.clock() - self._began_s
        self._bytes += count

    def left(self, status: int) -> None:
        """It was answered."""
        self._status = status
        if self._reason is None:
            # A probe that says no has done what it is for.
            self._outcome = "ok" if status < 400 or self._quiet else "refused" if status < 500 else "failed"

    def failed(self, error: Exception) -> Reply:
        """It ends by an exception, before anything was answered; returns the answer."""
        failure = failure_of(error, self.request_id)
        self._reason = failure.code
        self._status, self._outcome = failure.status, "refused" if failure.status < 500 else "failed"
        if failure.unexpected:
            self._log_fault(error)
        return failure.reply()

    def broke_off(self, error: Exception) -> None:
        """It ends by an exception when it had been answered."""
        gone = isinstance(error, WireClosedError | TimeoutError)
        failure = failure_of(error, self.request_id)
        self._reason, self._outcome = ("not_read", "cut") if gone else (failure.code, "failed")
        if not gone and failure.unexpected:
            self._log_fault(error)

    def lost(self) -> None:
        """The client has left before the end."""
        if self._reason is None:
            self._outcome, self._reason = "lost", "client_left"

    def close(self) -> None:
        """Count it, and log it unless it was of no interest."""
        metrics, seconds = self._door.metrics, self._door.clock() - self._began_s
        metrics.open.labels(self._transport).dec()
        metrics.requests.labels(self._transport, self._route, self._outcome).inc()
        metrics.seconds.labels(self._transport, self._route).observe(seconds)
        if self._first_byte_s is not None:
            metrics.first_byte.labels(self._transport, self._route).observe(self._first_byte_s)
            metrics.bytes.labels(self._transport, self._route).inc(self._bytes)
        if self._quiet and self._outcome == "ok":
            return
        log(
            "request",
            id=self.request_id,
            transport=self._transport,
            method=self._request.method,
            path=self._route or self._request.path[:_LONGEST_PATH],
            status=self._status,
            outcome=self._outcome,
            reason=self._reason,
            duration_ms=round(seconds * 1000, 1),
            first_byte_ms=None if self._first_byte_s is None else round(self._first_byte_s * 1000, 1),
            bytes=self._bytes or None,
        )

    def _log_fault(self, error: Exception) -> None:
        log("fault", level=logging.ERROR, error=error, id=self.request_id, path=self._route)


_LATER = {"Retry-After": "1"}


def _transport(request: Request) -> str:
    if request.headers.get("upgrade", "").lower() == "websocket":
        return "websocket"
    return "webrtc" if request.path == "/offer" else "http"
