import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("soxr")

import aiohttp
from prometheus_client import CollectorRegistry
from serving import logged, run, until

from voicestack.realtime.serve.aiohttp_edge import HttpServer
from voicestack.realtime.serve.door import Door, Readiness, WireMetrics
from voicestack.realtime.serve.edge import HttpRoute, Reply, Request, Wire, WireClosedError, WsRoute
from voicestack.realtime.serve.failures import RefusedError
from voicestack.realtime.serve.guard import Guard, Policy
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.runtime import CapacityError, InputError, StateError


class Mounted:
    """A bare edge with routes of the test's own."""

    def __init__(self, *routes: HttpRoute | WsRoute, limits: ServeLimits | None = None) -> None:
        limits = limits or ServeLimits()
        metrics = WireMetrics(CollectorRegistry())
        self.door = Door(Guard(Policy(), time.monotonic), limits, metrics, time.monotonic)
        self.door.readiness = Readiness.READY
        self.server = HttpServer(self.door, limits, routes)

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
        async with (
            self.server.listening("127.0.0.1", 0) as port,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as client,
        ):
            yield client, f"http://127.0.0.1:{port}"


@run
async def test_exceptions_become_statuses_and_the_unexpected_ones_are_logged() -> None:
    """InputError 400, CapacityError 429, StateError 409, anything else 500 with the id and nothing of its message."""
    raised: list[Exception] = [
        InputError("wrong"),
        CapacityError("full", 2.4),
        StateError("late"),
        RefusedError(418, "teapot", "no"),
        KeyError("inside"),
    ]

    async def answer(request: Request) -> Reply:
        raise raised[int(request.path_values["n"])]

    async def conversed(request: Request, wire: Wire) -> None:
        raise KeyError("inside")

    mounted = Mounted(HttpRoute("GET", "/{n}", answer), WsRoute("/ws/x", conversed))
    with logged() as lines:
        async with mounted() as (client, url):
            seen, told = [], None
            for number in range(5):
                async with client.get(f"{url}/{number}") as got:
                    seen.append(got.status)
                    told = await got.json()
                    if number == 1:
                        assert got.headers["Retry-After"] == "3"
            assert seen == [400, 429, 409, 418, 500]
            assert "inside" not in json.dumps(told)
            socket = await client.ws_connect(url + "/ws/x")
            assert (await socket.receive()).data == 1011
            await socket.close()
    faults = lines.of("fault")
    assert len(faults) == 2
    assert "KeyError" in faults[0]
    assert "\n" not in faults[0]


@run
async def test_a_wire_passes_messages_both_ways_and_tells_of_the_end() -> None:
    """Text and binary; None when the other side has closed, and sending then raises."""
    ends: list[object] = []

    async def echo(request: Request, wire: Wire) -> None:
        while (message := await wire.receive()) is not None:
            await wire.send(message)
        ends.append(await wire.receive())
        with pytest.raises(WireClosedError):
            await wire.send("more")
        await wire.close()
        ends.append("left")

    async with Mounted(WsRoute("/ws", echo), limits=ServeLimits(message_bytes=1000))() as (client, url):
        socket = await client.ws_connect(url + "/ws")
        await socket.send_str("text")
        assert (await socket.receive()).data == "text"
        await socket.send_bytes(b"data")
        assert (await socket.receive()).data == b"data"
        assert "Sec-WebSocket-Extensions" not in socket._response.headers
        await socket.close()
        await until(lambda: ends == [None, "left"])
        # One that says too much at once is told so, and gone.
        socket = await client.ws_connect(url + "/ws")
        await socket.send_bytes(b"x" * 1001)
        assert (await socket.receive()).data == 1009
        await socket.close()
        await until(lambda: len(ends) == 4)


@run
async def test_a_wire_that_is_not_read_is_cut_off() -> None:
    """WireClosedError after send_s, however much the kernel would hold."""
    cut: list[int] = []

    async def pour(request: Request, wire: Wire) -> None:
        sent = 0
        try:
            while True:
                await wire.send(bytes(3840))
                sent += 3840
        finally:
            cut.append(sent)

    mounted = Mounted(WsRoute("/ws", pour), limits=ServeLimits(send_s=0.2))
    async with mounted() as (client, url):
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(
            b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        await until(lambda: bool(cut))
        writer.close()
    outcome = {"transport": "websocket", "route": "/ws", "outcome": "cut"}
    assert mounted.door.metrics.requests.labels(**outcome)._value.get() == 1


@run
async def test_only_so_many_websockets_are_open_at_once() -> None:
    """503 for one too many, and room again when one has left."""

    async def wait(request: Request, wire: Wire) -> None:
        await wire.receive()

    async with Mounted(WsRoute("/ws", wait), limits=ServeLimits(connections=2))() as (client, url):
        first, second = await client.ws_connect(url + "/ws"), await client.ws_connect(url + "/ws")
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await client.ws_connect(url + "/ws")
        assert refused.value.status == 503
        await first.close()
        third = await client.ws_connect(url + "/ws")
        await second.close()
        await third.close()


@run
async def test_a_client_that_vanishes_ends_its_conversation() -> None:
    """Whatever the conversation was waiting for, it is cancelled or told; its clean-up runs."""
    left: list[str] = []

    async def wait(request: Request, wire: Wire) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            left.append("left")

    async with Mounted(WsRoute("/ws", wait))() as (client, url):
        socket = await client.ws_connect(url + "/ws")
        connection = socket._response.connection
        assert connection is not None
        assert connection.transport is not None
        connection.transport.abort()
        await until(lambda: left == ["left"])


@run
async def test_connections_that_are_too_many_are_turned_away() -> None:
    """Those that are there are served on."""
    route = HttpRoute("GET", "/healthz", _fine)
    mounted = Mounted(route, limits=ServeLimits(sockets=3))
    async with mounted.server.listening("127.0.0.1", 0) as port:
        pairs = [await asyncio.open_connection("127.0.0.1", port) for _ in range(6)]
        try:
            await until(lambda: mounted.server.connections == 3)
            reader, writer = pairs[0]
            writer.write(f"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            with suppress(ConnectionResetError):
                assert await pairs[-1][0].read() == b""
        finally:
            for _, writer in pairs:
                writer.close()


async def _fine(request: Request) -> Reply:
    return Reply()
