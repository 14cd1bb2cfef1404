"""Clients that behave badly, hundreds of them, and what is left behind: `python tests/wire_soak.py --count 200`.

A server process of its own is called by processes that are killed, that stop without a word, by offers that never
become calls, and by readers that do not read, while a few calls go on that must not notice. Leaves with 1 if a place
was not free within its bound, if descriptors or memory grew, or if a call that went on was hurt.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from voicestack.realtime.bench.server_process import ServerProcess
from voicestack.realtime.bench.target import Sound
from voicestack.realtime.bench.webrtc_target import Call, CallError
from voicestack.runtime import CapacityError

TEXT = "I go on and on, whatever happens around me, one sentence after the other, without a pause. " * 3
BATCH = 12
"""Bad clients at a time: the places that are left beside the calls that go on."""
SPARE_S = 3.0
"""For a machine that is busy, beside the bound of the server."""


@dataclass
class Findings:
    """What came of one kind of bad client: how many, how long until the places of each batch were free."""

    kind: str
    bound_s: float
    count: int = 0
    freed_s: list[float] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether all were freed in time."""
        return all(seconds <= self.bound_s + SPARE_S for seconds in self.freed_s)

    def __str__(self) -> str:
        worst = max(self.freed_s, default=0.0)
        return (
            f"{self.kind:<28} {self.count:>4}, all places free after {worst:5.1f} s at most (bound {self.bound_s:g} s)"
        )


@dataclass
class Server:
    """The server as this machine sees it."""

    process: ServerProcess

    def sessions(self) -> int:
        """How many are open."""
        with urlopen(f"{self.process.url}/metrics", timeout=5) as answer:
            families = list(text_string_to_metric_families(answer.read().decode()))
        return sum(round(s.value) for f in families for s in f.samples if s.name == "voicestack_sessions")

    def descriptors(self) -> int:
        """How many files and sockets it holds."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def rss_mb(self) -> float:
        """Its memory."""
        with open(f"/proc/{self.process.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

    async def free_after_s(self, live: int, limit_s: float) -> float:
        """How long it takes until only those that go on are left."""
        began_s = time.monotonic()
        while time.monotonic() - began_s < limit_s:
            if await asyncio.to_thread(self.sessions) <= live:
                break
            await asyncio.sleep(0.1)
        return time.monotonic() - began_s


@dataclass
class Witness:
    """A call that goes on through it all."""

    call: Call
    replies: int = 0
    underruns: int = 0
    failed: str | None = None

    async def listen(self) -> None:
        """Hear reply after reply."""
        while True:
            try:
                await self.call.speak(_at_once(TEXT), _ignore)
            except CallError as error:
                self.failed = str(error)
                return
            self.replies += 1
            self.underruns += self.call.underruns[0]


async def _at_once(text: str) -> AsyncIterator[str]:
    yield text


def _ignore(sound: Sound) -> None:
    pass


# What a process of bad clients does until it is stopped from outside.


async def be_called(url: str, count: int) -> None:
    """So many calls that are being spoken to."""
    calls = [await _connected(url) for _ in range(count)]
    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(call.speak(_at_once(TEXT), _ignore))
        await asyncio.sleep(0.5)
        print("ready", flush=True)


async def _connected(url: str) -> Call:
    """A call, as soon as the server lets one in: a machine that is busy with other things holds fewer."""
    while True:
        call = Call(time.monotonic)
        try:
            await call.connect(url, None)
            return call
        except CapacityError as error:
            await call.close()
            await asyncio.sleep(error.retry_after_s or 1.0)


async def be_connected(url: str, count: int) -> None:
    """So many WebSockets that are being spoken to, and read."""
    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
        sockets = [await client.ws_connect(f"{url}/ws", protocols=["voicestack.v1"]) for _ in range(count)]
        for socket in sockets:
            await socket.send_str(json.dumps({"type": "start"}))
            await socket.send_str(json.dumps({"type": "text", "text": TEXT}))
            group.create_task(_read_on(socket))
        await asyncio.sleep(0.5)
        print("ready", flush=True)
        await asyncio.sleep(3600)


async def _read_on(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


CHILDREN: dict[str, Callable[[str, int], Coroutine[Any, Any, None]]] = {"calls": be_called, "sockets": be_connected}


async def stopped_by(
    number: signal.Signals, what: str, server: Server, count: int, live: int, bound_s: float
) -> Findings:
    """Processes with so many clients in all get a signal in the middle of speech."""
    how = "killed" if number is signal.SIGKILL else "half-open"
    found = Findings(f"{what} {how}", bound_s)
    while found.count < count:
        size = min(BATCH, count - found.count)
        command = [sys.executable, __file__, "--child", what, "--url", server.process.url, "--count", str(size)]
        child = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            async with asyncio.timeout(60):
                assert child.stdout is not None
                said = await child.stdout.readline()
            if said != b"ready\n":
                raise RuntimeError("the process of bad clients did not come up")
            child.send_signal(number)
            found.freed_s.append(await server.free_after_s(live, bound_s + 2 * SPARE_S))
        finally:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()
        found.count += size
    return found


async def never_connecting(server: Server, count: int, live: int, bound_s: float) -> Findings:
    """Offers whose peers are never there."""
    found = Findings("offers that never connect", bound_s)
    call = Call(time.monotonic)
    offer = await call.offer()
    async with aiohttp.ClientSession() as client:
        while found.count < count:
            size = min(BATCH, count - found.count)
            for _ in range(size):
                async with client.post(f"{server.process.url}/offer", json=offer) as answer:
                    if answer.status not in (200, 429):
                        raise RuntimeError(f"an offer was answered {answer.status}: {await answer.text()}")
            found.freed_s.append(await server.free_after_s(live, bound_s + 2 * SPARE_S))
            found.count += size
    await call.close()
    return found


async def not_reading(server: Server, count: int, live: int, bound_s: float) -> Findings:
    """WebSockets whose clients ask for a long text as fast as it can be made, and leave it all unread."""
    found = Findings("sockets that do not read", bound_s)
    host, port = server.process.url.removeprefix("http://").split(":")
    while found.count < count:
        size = min(BATCH, count - found.count)
        writers = []
        for _ in range(size):
            reader, writer = await asyncio.open_connection(host, int(port), limit=1)
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(_upgrade(host, int(port)))
            writer.write(_masked(json.dumps({"type": "start", "unpaced": True})))
            writer.write(_masked(json.dumps({"type": "text", "text": TEXT * 12})))
            await writer.drain()
            writers.append((reader, writer))
        await asyncio.sleep(1.0)
        found.freed_s.append(await server.free_after_s(live, bound_s + 2 * SPARE_S))
        for _, writer in writers:
            writer.transport.abort()
        found.count += size
    return found


def _upgrade(host: str, port: int) -> bytes:
    return (
        f"GET /ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: voicestack.v1\r\n\r\n"
    ).encode()


def _masked(text: str) -> bytes:
    """A text frame of a client; a mask of zeros leaves the payload as it is."""
    payload = text.encode()
    length = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0xFE]) + len(payload).to_bytes(2, "big")
    return b"\x81" + length + bytes(4) + payload


async def soak(count: int, live: int) -> bool:
    """Run all kinds; whether all held."""
    async with AsyncExitStack() as stack:
        process = await stack.enter_async_context(ServerProcess(["--max-sessions", str(live + BATCH + 4)]))
        server = Server(process)
        witnesses = []
        for _ in range(live):
            call = Call(time.monotonic)
            stack.push_async_callback(call.close)
            await call.connect(process.url, None)
            witnesses.append(Witness(call))
        tasks = [asyncio.create_task(witness.listen()) for witness in witnesses]
        await _unmeasured(server, live)
        before = server.descriptors(), server.rss_mb()
        print(f"{live} calls go on; {before[0]} descriptors, {before[1]:.0f} MB", flush=True)
        kinds: list[Callable[[], Awaitable[Findings]]] = [
            lambda: stopped_by(signal.SIGKILL, "calls", server, count, live, 6.0),
            lambda: stopped_by(signal.SIGKILL, "sockets", server, count, live, 1.0),
            lambda: stopped_by(signal.SIGSTOP, "calls", server, count, live, 6.0),
            lambda: stopped_by(signal.SIGSTOP, "sockets", server, count, live, 30.0),
            lambda: never_connecting(server, count, live, 12.0),
            lambda: not_reading(server, count, live, 12.0),
        ]
        all_held = True
        for kind in kinds:
            found = await kind()
            all_held &= found.holds
            print(f"{'ok  ' if found.holds else 'LATE'} {found}, {server.rss_mb():.0f} MB", flush=True)
        after = server.descriptors(), server.rss_mb()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    print(f"descriptors {before[0]} -> {after[0]}, memory {before[1]:.0f} -> {after[1]:.0f} MB")
    for witness in witnesses:
        print(
            f"a call that went on: {witness.replies} replies, {witness.underruns} underruns, {witness.failed or 'well'}"
        )
    hurt = any(witness.failed or witness.underruns or not witness.replies for witness in witnesses)
    return all_held and after[0] <= before[0] + 2 and after[1] < before[1] + 40 and not hurt


async def _unmeasured(server: Server, live: int) -> None:
    """A few of each, so that what is loaded once is not taken for a leak."""
    await stopped_by(signal.SIGKILL, "calls", server, 4, live, 6.0)
    await stopped_by(signal.SIGKILL, "sockets", server, 4, live, 1.0)


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--count", type=int, default=200, help="bad clients of each kind (200)")
    parser.add_argument("--live", type=int, default=4, help="calls that go on meanwhile (4)")
    parser.add_argument("--child", choices=CHILDREN, help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        asyncio.run(CHILDREN[options.child](options.url, options.count))
        return 0
    try:
        return 0 if asyncio.run(soak(options.count, options.live)) else 1
    except CapacityError as error:
        print(f"this machine has no room for {options.live} calls and {BATCH} bad clients: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    sys.exit(main())
