"""Everybody who calls over WebRTC: offers in, answers out, and an end to whoever has gone."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence

from voicestack.runtime import CapacityError, VoicestackError

from .call import Assistant, Call, Connect
from .edge import Reply, Request
from .encoders import OpusPackets
from .failures import RefusedError, failure_of
from .logs import log
from .sdp import read_offer
from .service import Service

_RETRY_S = 5.0


class Peers:
    """The calls of one server, each with a session of its own.

    With an assistant there is somebody to talk to: what a person says is answered, and the answer spoken.
    """

    def __init__(
        self, service: Service, ice_servers: Sequence[str] = (), *, assistant: Callable[[], Assistant] | None = None
    ) -> None:
        """Args: ice_servers are urls such as `stun:stun.example.org:3478`; assistant makes one for each call."""
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
        try:
            call, running = self._begin(read_offer(request.body))
            try:
                sdp = await asyncio.shield(call.answered)
            except asyncio.CancelledError:
                # Who asked has left, or the call fell to pieces before it was one.
                running.cancel()
                if not call.answered.cancelled():
                    raise
                raise CapacityError("the call could not be set up; call again", _RETRY_S) from None
        except VoicestackError as error:
            return failure_of(error, "").reply()
        return Reply(body=json.dumps({"type": "answer", "sdp": sdp}).encode())

    async def aclose(self) -> None:
        """End all calls, and take no more."""
        self._closing = True
        for task in self._calls.values():
            task.cancel()
        await asyncio.gather(*self._calls.values(), return_exceptions=True)

    def _begin(self, offer: str) -> tuple[Call, asyncio.Task[None]]:
        if self._connect is None:
            raise RefusedError(501, "no_webrtc", "calls need more packages: pip install 'voicestack[webrtc]'")
        if self._closing:
            raise CapacityError("the server is shutting down; call another", _RETRY_S)
        if len(self._calls) >= self._service.limits.calls:
            raise CapacityError(f"{len(self._calls)} calls are open and no more may be; call again later", _RETRY_S)
        assistant = None if self._assistant is None else self._assistant()
        call = Call(self._service, self._connect, OpusPackets, ice_servers=self._ice_servers, assistant=assistant)
        task = asyncio.create_task(call.run(offer), name="voicestack-call")
        self._calls[call] = task
        task.add_done_callback(lambda done: self._over(call, done))
        return call, task

    def _over(self, call: Call, task: asyncio.Task[None]) -> None:
        del self._calls[call]
        # A task that is cancelled before its first step has nobody waiting told.
        call.answered.cancel()
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, VoicestackError):
            log("call_failed", level=logging.ERROR, error=error)


def _connector() -> Connect | None:
    """What makes peers, imported before the first call, which it would hold up; None where it is not installed."""
    try:
        from .webrtc_peer import Peer
    except ImportError:
        return None
    return Peer
