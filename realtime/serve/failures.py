"""What goes wrong, as an answer: the one place where an exception becomes a status."""

import errno
import json
import math
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field

from voicestack.runtime import CapacityError, InputError, StateError, VoicestackError

from .edge import Reply

_KINDS = {401: "authentication_error", 403: "permission_error", 404: "not_found_error", 429: "rate_limit_error"}
_RETRY_S = 1


class RefusedError(VoicestackError):
    """A request that is not let through, by a rule of HTTP or of the house.

    code: a short name of the reason for programs. param: the field that is wrong.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.param = status, code, param
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception as a client is told of it. unexpected: it is a fault of ours, to be logged with its traceback."""

    status: int
    code: str
    message: str
    param: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    unexpected: bool = False

    def data(self) -> dict[str, object]:
        """The shape in which OpenAI's API tells of errors, which the others are told in, too."""
        kind = _KINDS.get(self.status, "invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def reply(self) -> Reply:
        """The answer."""
        return Reply(self.status, json.dumps(self.data()).encode(), headers=self.headers)


def failure_of(error: BaseException, request_id: str) -> Failure:
    """What to tell of an exception; of an unexpected one no more than where to look it up."""
    if isinstance(error, RefusedError):
        return Failure(error.status, error.code, str(error), error.param, error.headers)
    if isinstance(error, InputError):
        return Failure(400, "invalid_value", str(error))
    if isinstance(error, CapacityError):
        retry_s = max(_RETRY_S, math.ceil(error.retry_after_s or 0))
        return Failure(429, "no_capacity", str(error), headers={"Retry-After": str(retry_s)})
    if isinstance(error, StateError):
        return Failure(409, "wrong_state", str(error))
    told = f"the server failed at this request; its log tells more under {request_id}"
    return Failure(500, "internal_error", told, unexpected=True)


def cannot_listen(host: str, port: int, error: OSError | UnicodeError, option: str = "--port") -> str:
    """Why a port, given by an option, cannot be had, and what would do. UnicodeError: no host can have that name."""
    if isinstance(error, UnicodeError | socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return f"--host {host} is no address of this machine; use one that is, or leave it out"
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use, maybe by another voicestack; choose another with {option}"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} needs privileges; choose one above 1023 with {option}"
    return f"cannot listen on {host} port {port}: {error.strerror or error}"
