"""Everybody who calls over WebRTC: offers in, answers out, and an end to whoever has gone."""

import asyncio
import json
import logging
import math
from collections.abc import Sequence

from voicestack.runtime import CapacityError, InputError, VoicestackError

from .call import Assistant, Call, Connect
from .edge import Reply, Request
from .encoders import OpusPackets
from .sdp import read_offer
from .service import Service

_log = logging.getLogger(__name__)
_RETRY_S = 5.0


class Peers:
    """The calls of one server, each with a session of its own.

    With an `assistant` a person can speak to it: what the page sends as said is answered, and the answer spoken.
    """

    def __init__(
        self, service: Service, ice_servers: Sequence[str] = (), *, assistant: Assistant | None = None
    ) -> None:
        """Args: ice_servers are urls such as `stun:stun.example.org:3478`; by default there are none."""
        self._service, self._ice_servers, self._assistant = service, tuple(ice_servers), assistant
        self._connect = _connector()
        self._calls: dict[Call, asyncio.Task[None]] = {}
        self._closing = False

    @property
    def calls(self) -> Sequence[Call]:
        """Those that are connected, or trying to be."""
        return tuple(self._calls)

    async def offer(self, request: Request) -> Reply:
        """Answer POST /offer: JSON `{"type": "offer", "sdp": "..."}` in, the same with `answer` out."""
        if self._connect is None:
            return _refusal(501, "calls need the packages aiortc and av; pip install 'voicestack[webrtc]'")
        try:
            offer = read_offer(request.body)
            call, running = self._begin(offer)
        except InputError as error:
            return _refusal(400, str(error))
        except CapacityError as error:
            return _busy(error)
        try:
            return _reply(200, {"type": "answer", "sdp": await asyncio.shield(call.answered)})
        except InputError as error:
            return _refusal(400, str(error))
        except CapacityError as error:
            return _busy(error)
        except TimeoutError:
            return _busy(CapacityError("no room came free in time; call again", _RETRY_S))
        except asyncio.CancelledError:
            # Who asked has left, or the call fell to pieces before it was one.
            running.cancel()
            if call.answered.cancelled():
                return _refusal(500, "the call could not be set up; the server's log says why")
            raise

    async def aclose(self) -> None:
        """End all calls, and take no more."""
        self._closing = True
        for task in self._calls.values():
            task.cancel()
        await asyncio.gather(*self._calls.values(), return_exceptions=True)

    def _begin(self, offer: str) -> tuple[Call, asyncio.Task[None]]:
        if self._closing:
            raise CapacityError("the server is shutting down; call another")
        if len(self._calls) >= self._service.limits.calls:
            raise CapacityError(f"{len(self._calls)} calls are open and no more may be; call again later", _RETRY_S)
        if self._connect is None:  # pragma: no cover  # `offer` has asked
            raise InputError("no calls are possible here")
        call = Call(self._service, self._connect, OpusPackets, ice_servers=self._ice_servers, assistant=self._assistant)
        task = asyncio.create_task(call.run(offer), name="voicestack-call")
        self._calls[call] = task
        task.add_done_callback(lambda done: self._over(call, done))
        return call, task

    def _over(self, call: Call, task: asyncio.Task[None]) -> None:
        del self._calls[call]
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, VoicestackError):
            _log.error("a call failed", exc_info=error)


def _connector() -> Connect | None:
    """What makes peers, imported before the first call, which it would hold up; None where it is not installed."""
    try:
        from .webrtc_peer import Peer
    except ImportError:
        return None
    return Peer


def _reply(status: int, content: dict[str, object], headers: dict[str, str] | None = None) -> Reply:
    return Reply(status, json.dumps(content).encode(), headers=headers or {})


def _refusal(status: int, message: str, headers: dict[str, str] | None = None) -> Reply:
    kind = "invalid_request_error" if status == 400 else "server_error" if status >= 500 else "rate_limit_error"
    return _reply(status, {"error": {"message": message, "type": kind, "param": None, "code": None}}, headers)


def _busy(error: CapacityError) -> Reply:
    return _refusal(429, str(error), {"retry-after": str(math.ceil(error.retry_after_s or _RETRY_S))})
