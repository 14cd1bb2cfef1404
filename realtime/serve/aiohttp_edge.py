"""HTTP and WebSocket: the one file of the server that knows aiohttp."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager

from aiohttp import WSMsgType, web
from aiohttp.http_exceptions import HttpProcessingError

from voicestack.runtime import InputError

from .door import Door, Visit
from .edge import HttpRoute, Reply, Request, WireClosedError, WsRoute
from .failures import RefusedError, cannot_listen
from .limits import ServeLimits
from .sockets import Turned, bound

_HEARTBEAT_S = 20.0
"""Often enough to miss a peer whose network is gone, and not so often that sound on its way delays the answer."""
_LINGER_S = 1.0
"""For what is still coming of a body that was refused, so that its sender gets to read why."""
_SHUTDOWN_S = 2.0
_CLIENT_LEFT = 499
_VISIT = web.RequestKey("visit", Visit)
_TOKEN_WORD = "token"
"""The subprotocol that Deepgram's client in a browser wants back, in front of its key."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class HttpServer:
    """Listens on a port and brings requests to the door, and those that are let in to their routes."""

    def __init__(self, door: Door, limits: ServeLimits, routes: Sequence[HttpRoute | WsRoute]) -> None:
        self._door, self._limits = door, limits
        self._wires: set[_AiohttpWire] = set()
        self._runner: web.AppRunner | None = None
        self._app = web.Application(middlewares=[self._visit], client_max_size=limits.body_bytes)
        for route in routes:
            self._mount(route)

    def _mount(self, route: HttpRoute | WsRoute) -> None:
        router = self._app.router
        if isinstance(route, WsRoute):
            router.add_get(route.path, self._conversing(route), allow_head=False)
        elif route.method == "GET":
            router.add_get(route.path, self._answering(route))
        else:
            router.add_route(route.method, route.path, self._answering(route))

    @asynccontextmanager
    async def listening(self, host: str, port: int) -> AsyncGenerator[int]:
        """Listen while inside, and yield the port. InputError when it cannot be had."""
        logger = logging.getLogger("voicestack.serve.aiohttp")
        logger.addFilter(_is_news)
        # It would tell which subprotocols somebody offered, and a token may be among them.
        logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
        runner = self._runner = web.AppRunner(
            self._app,
            access_log=None,
            logger=logger,
            handler_cancellation=True,
            keepalive_timeout=self._limits.keepalive_s,
            lingering_time=_LINGER_S,
            shutdown_timeout=_SHUTDOWN_S,
            auto_decompress=False,
        )
        await runner.setup()
        listener = None
        try:
            try:
                listener = await asyncio.get_running_loop().create_server(self._accept, host, port)
            except (OSError, UnicodeError) as error:
                raise InputError(cannot_listen(host, port, error)) from error
            yield int(listener.sockets[0].getsockname()[1])
        finally:
            if listener is not None:
                listener.close()
            await runner.cleanup()

    def _accept(self) -> asyncio.BaseProtocol:
        """What serves a connection; one too many is dropped at once, so that strangers cannot use up our files."""
        if self._runner is None or self._runner.server is None or self.connections >= self._limits.sockets:
            return Turned()
        protocol: asyncio.BaseProtocol = self._runner.server()
        return protocol

    @property
    def connections(self) -> int:
        """How many are open, whatever they do."""
        return 0 if self._runner is None or self._runner.server is None else len(self._runner.server.connections)

    async def say_goodbye(self) -> None:
        """Close every WebSocket, as one that goes away on purpose."""
        wires = list(self._wires)
        await asyncio.gather(*(wire.close(1001, "the server is shutting down") for wire in wires))

    @web.middleware  # type: ignore[untyped-decorator]  # where aiohttp is not installed
    async def _visit(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Whatever comes to pass in a request ends here: with an answer, and with a line in the log."""
        resource = request.match_info.route.resource
        visit = self._door.enter(_request(request), "" if resource is None else resource.canonical)
        request[_VISIT] = visit
        try:
            preflight = visit.preflight()
            response = await handler(request) if preflight is None else _whole(preflight, visit)
            visit.left(response.status)
            return response
        except asyncio.CancelledError:
            visit.lost()
            raise
        except (ConnectionError, WireClosedError):
            visit.lost()
            # Nobody will read it; raised, it would be taken for a fault.
            return web.Response(status=_CLIENT_LEFT)
        except web.HTTPException as error:
            return _whole(visit.failed(_of_aiohttp(error)), visit)
        except Exception as error:
            return _whole(visit.failed(error), visit)
        finally:
            visit.close()

    def _answering(self, route: HttpRoute) -> Handler:
        async def answer(raw: web.Request) -> web.StreamResponse:
            visit: Visit = raw[_VISIT]
            # The body is not even read of who must not come in.
            visit.check(open_to_all=route.open_to_all, needs_voice=route.needs_voice)
            request = _request(raw, await self._body(raw))
            reply = await route.answer(request)
            if isinstance(reply.body, bytes):
                return _whole(reply, visit)
            return await self._stream(raw, visit, reply, reply.body)

        return answer

    async def _body(self, raw: web.Request) -> bytes:
        if raw.headers.get("Content-Encoding", "identity").lower() != "identity":
            raise RefusedError(415, "unsupported_encoding", "send the body without a Content-Encoding")
        try:
            async with asyncio.timeout(self._limits.first_s):
                return bytes(await raw.read())
        except TimeoutError:
            raise RefusedError(
                408, "too_slow", f"the body did not arrive within {self._limits.first_s:g} s", headers=_CLOSE
            ) from None

    async def _stream(
        self, raw: web.Request, visit: Visit, reply: Reply, body: AsyncIterator[bytes]
    ) -> web.StreamResponse:
        async with _closing(body):
            # What fails at once is told by a status: nothing is sent before the first piece is there.
            piece = await _next(body)
            response = web.StreamResponse(status=reply.status, headers=_headers(reply, visit))
            response.headers["X-Accel-Buffering"] = "no"
            response.headers["Cache-Control"] = "no-store"
            transport = raw.transport
            if transport is None:
                raise ConnectionResetError("the client is gone")
            bound(transport)
            await response.prepare(raw)
            try:
                async with asyncio.timeout(self._limits.total_s):
                    while piece is not None:
                        await self._within_stall(response.write(piece))
                        visit.sent(len(piece))
                        piece = await _next(body)
                    await self._within_stall(response.write_eof())
            except ConnectionError:
                visit.lost()
            except Exception as error:
                # The status is out: what is left is to break off where a reader sees that something is missing.
                transport.abort()
                visit.broke_off(error)
            return response

    async def _within_stall(self, sending: Awaitable[None]) -> None:
        async with asyncio.timeout(self._limits.stall_s):
            await sending

    def _conversing(self, route: WsRoute) -> Handler:
        async def converse(raw: web.Request) -> web.StreamResponse:
            visit: Visit = raw[_VISIT]
            visit.check()
            socket_ = web.WebSocketResponse(
                protocols=(*route.protocols, _TOKEN_WORD),
                compress=False,
                max_msg_size=self._limits.message_bytes,
                heartbeat=_HEARTBEAT_S,
                timeout=self._limits.send_s,
            )
            _check_handshake(socket_, raw)
            self._door.make_room(len(self._wires))
            socket_.headers.update(visit.headers())
            await socket_.prepare(raw)
            if raw.transport is None:
                raise ConnectionResetError("the client is gone")
            bound(raw.transport)
            wire = _AiohttpWire(socket_, raw.transport, self._limits.send_s)
            self._wires.add(wire)
            goodbye = (1000, "")
            try:
                await route.converse(_request(raw), wire)
            except WireClosedError as error:
                visit.broke_off(error)
            except Exception as error:
                visit.broke_off(error)
                goodbye = (1011, "the server failed; its log tells more")
            finally:
                self._wires.discard(wire)
                # Also of one that is gone: until then its heartbeat goes on.
                await wire.close(*goodbye)
            return socket_

        return converse


class _AiohttpWire:
    """A WebSocket of aiohttp; whoever does not read for too long is cut off."""

    def __init__(self, socket_: web.WebSocketResponse, transport: asyncio.Transport, send_s: float) -> None:
        self._socket, self._transport, self._send_s = socket_, transport, send_s
        self._gone = False

    async def receive(self) -> str | bytes | None:
        if self._gone or self._socket.closed:
            return None
        message = await self._socket.receive()
        if message.type in (WSMsgType.TEXT, WSMsgType.BINARY):
            data: str | bytes = message.data
            return data
        self._gone = True
        return None

    async def send(self, message: str | bytes) -> None:
        if self._gone or self._socket.closed:
            raise WireClosedError("the other side has closed the connection")
        try:
            async with asyncio.timeout(self._send_s):
                if isinstance(message, str):
                    await self._socket.send_str(message)
                else:
                    await self._socket.send_bytes(message)
        except TimeoutError:
            self._cut()
            raise WireClosedError(f"cut off, because it did not read for {self._send_s:g} s") from None
        except (ConnectionError, RuntimeError) as error:
            # aiohttp says the latter of a socket that was closed meanwhile.
            self._gone = True
            raise WireClosedError("the other side is gone") from error

    async def close(self, code: int = 1000, reason: str = "") -> None:
        try:
            async with asyncio.timeout(self._send_s):
                await self._socket.close(code=code, message=reason.encode()[:120])
        except TimeoutError:
            self._cut()
        except (ConnectionError, RuntimeError):
            self._gone = True

    def _cut(self) -> None:
        self._gone = True
        self._transport.abort()


_CLOSE = {"Connection": "close"}
_UPGRADE = {"Upgrade": "websocket", "Connection": "Upgrade"}


def _request(raw: web.Request, body: bytes = b"") -> Request:
    return Request(
        method=raw.method,
        path=raw.path,
        query=dict(raw.query),
        headers={name.lower(): value for name, value in raw.headers.items()},
        body=body,
        remote=raw.remote or "",
        path_values=dict(raw.match_info),
    )


def _headers(reply: Reply, visit: Visit) -> dict[str, str]:
    return {"Content-Type": reply.content_type, **visit.headers(), **reply.headers}


def _whole(reply: Reply, visit: Visit) -> web.Response:
    if not isinstance(reply.body, bytes):
        raise TypeError("a failure is told at once")
    response = web.Response(status=reply.status, body=reply.body, headers=_headers(reply, visit))
    if "Connection" in reply.headers:
        response.force_close()
    return response


def _of_aiohttp(error: web.HTTPException) -> RefusedError:
    """What the library refuses by itself, in our shape."""
    if error.status == 404:
        return RefusedError(404, "unknown_url", "there is nothing at this URL; see /openapi.json")
    if error.status == 405:
        allowed = error.headers.get("Allow", "")
        return RefusedError(405, "method_not_allowed", f"use {allowed} here", headers={"Allow": allowed})
    if error.status == 413:
        return RefusedError(413, "too_large", "the body is larger than this server reads", headers=_CLOSE)
    return RefusedError(error.status, "refused", error.reason)


def _check_handshake(socket_: web.WebSocketResponse, raw: web.Request) -> None:
    """RefusedError for a request that cannot become a WebSocket."""
    try:
        ready = bool(socket_.can_prepare(raw))
    except ValueError as error:
        # The library lets a key through to here that is not even ASCII.
        raise RefusedError(400, "refused", "the WebSocket's key is none") from error
    if not ready:
        raise RefusedError(426, "websocket_only", "this is a WebSocket; connect to it as such", headers=_UPGRADE)


async def _next(body: AsyncIterator[bytes]) -> bytes | None:
    """The next piece that is not empty."""
    async for piece in body:
        if piece:
            return piece
    return None


def _closing(body: AsyncIterator[bytes]) -> contextlib.AbstractAsyncContextManager[object]:
    return aclosing(body) if isinstance(body, AsyncGenerator) else contextlib.nullcontext()


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a line of aiohttp's is worth having: that somebody sent what is no HTTP is not."""
    error = record.exc_info[1] if record.exc_info else None
    return not isinstance(error, HttpProcessingError)
