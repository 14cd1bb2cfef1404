"""Clients that behave badly on purpose: `python tests/siege_http.py --each 200`.

Of each kind so many at once: connections that never say anything, or not all of it; readers that do not read, over HTTP
and over a WebSocket; and clients that are killed in the middle. Meanwhile somebody speaks, and must hear every sample.
Afterwards no session, connection, descriptor or task is left.
"""

import argparse
import asyncio
import json
import socket
import struct
import time
import tracemalloc
from collections.abc import Awaitable, Callable

from fuzz_http import held
from scripted_worker import FRAME_S, ScriptedWorker
from serving import Served, logged, served, until

from voicestack.realtime.serve.limits import ServeLimits

LIMITS = ServeLimits(keepalive_s=1.0, first_s=1.0, stall_s=1.0, send_s=1.0, connections=1000, drain_s=1.0)
FREED_S = 30.0
"""Within which everything is free again, with these limits."""
LONG = json.dumps({"input": "x" * 4096, "response_format": "pcm"}).encode()
SPEECH = b"POST /v1/audio/speech HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(LONG)
UPGRADE = (
    b"GET /v1/speak HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)


def frame(message: dict[str, str]) -> bytes:
    """A message of a client, masked with zeros."""
    data = json.dumps(message).encode()
    return bytes((0x81, 0xFE)) + struct.pack(">H", len(data)) + bytes(4) + data


FLOOD = UPGRADE + frame({"type": "Speak", "text": "x" * 2000}) + frame({"type": "Flush"})
KINDS: dict[str, bytes] = {
    "silent": b"",
    "half a head": SPEECH[:40],
    "half a body": SPEECH + LONG[:50],
    "not reading": SPEECH + LONG,
    "not reading a WebSocket": FLOOD,
}


async def connected(server: Served, data: bytes) -> socket.socket:
    """A connection that has sent something and whose answer nobody takes."""
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setblocking(False)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await loop.sock_connect(client, ("127.0.0.1", server.app.port))
    await loop.sock_sendall(client, data)
    return client


def kill(client: socket.socket) -> None:
    """Be gone as a process that is killed: no goodbye, and what comes is answered by a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


async def bystander(server: Served, stop: asyncio.Event) -> int:
    """Speak again and again; how often. AssertionError when a sample is missing."""
    spoken = 0
    while not stop.is_set():
        status, body, _ = await server.speak("hello")
        if status != 200 or abs(len(body) / 48_000 - 5 * FRAME_S) > 0.01:
            raise AssertionError(f"somebody who behaves got {status} and {len(body)} bytes")
        spoken += 1
        await asyncio.sleep(0.02)
    return spoken


async def besiege(each: int, *, warm_up: int = 0) -> dict[str, float]:
    """Seconds until each kind was gone, how often the bystander spoke meanwhile, and what is held that was not before.

    What is loaded and cached at first use is no leak: so many of each kind come and go before anything is measured.
    """
    worker = ScriptedWorker()
    with logged() as lines:
        async with served(worker, limits=LIMITS, max_sessions=2 * each + 20, queue_s=2.0) as server:
            if warm_up:
                await _all_kinds(server, warm_up)
            await _all_gone(server, worker)
            before = held(worker, lines)
            found = await _all_kinds(server, each)
            await _all_gone(server, worker)
            found |= {name: round(value - before[name], 2) for name, value in held(worker, lines).items()}
    if errors := [line for line in lines.lines if "level=error" in line]:
        raise AssertionError(errors[0])
    if len(asyncio.all_tasks()) != 1:
        raise AssertionError(f"tasks were left: {asyncio.all_tasks()}")
    return found


async def _all_gone(server: Served, worker: ScriptedWorker) -> None:
    await until(lambda: not worker.open and server.voice.sessions == server.app.connections == 0, FREED_S)


async def _all_kinds(server: Served, each: int) -> dict[str, float]:
    """One kind after the other, while somebody speaks."""
    found = dict[str, float]()
    stop = asyncio.Event()
    speaking = asyncio.create_task(bystander(server, stop), name="bystander")
    kinds: dict[str, Callable[[], Awaitable[None]]] = {
        **{name: _waits(server, data, each) for name, data in KINDS.items()},
        "killed": _killed(server, SPEECH + LONG, each),
        "killed WebSocket": _killed(server, FLOOD, each),
    }
    for name, besieged in kinds.items():
        began_s = time.monotonic()
        await besieged()
        found[name] = round(time.monotonic() - began_s, 2)
        if speaking.done():
            break
    stop.set()
    found["spoken meanwhile"] = await speaking
    return found


def _waits(server: Served, data: bytes, each: int) -> Callable[[], Awaitable[None]]:
    """They stay until the server is tired of them."""

    async def besieged() -> None:
        clients = [await connected(server, data) for _ in range(each)]
        # The bystander may have one.
        await until(lambda: server.app.connections <= 1, FREED_S)
        for client in clients:
            client.close()

    return besieged


def _killed(server: Served, data: bytes, each: int) -> Callable[[], Awaitable[None]]:
    """They are gone while they are spoken to."""

    async def besieged() -> None:
        clients = [await connected(server, data) for _ in range(each)]
        await until(lambda: server.voice.sessions >= each // 2, FREED_S)
        for client in clients:
            kill(client)
        await until(lambda: server.app.connections <= 1 and server.voice.sessions <= 1, FREED_S)

    return besieged


def main() -> None:
    """Besiege, and tell what came of it."""
    parser = argparse.ArgumentParser(description="Clients that behave badly on purpose.")
    parser.add_argument("--each", type=int, default=200, help="how many of each kind")
    options = parser.parse_args()
    tracemalloc.start()
    found = asyncio.run(besiege(options.each, warm_up=max(5, options.each // 4)))
    print(f"{options.each} of each, seconds until all was free: {found}")
    print("no failure, no task left")
    if found["MB"] > 1 or found["descriptors"] > 0:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
