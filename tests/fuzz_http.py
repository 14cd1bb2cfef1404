"""Malformed requests at every URL of the server: `python tests/fuzz_http.py --count 10000 [--seed N]`.

Bodies, headers, request lines, upgrades and plain bytes, over real sockets. Nothing may be answered with 500 or logged
as a failure, no complete request may stay without an answer, and when all have left no session, task, descriptor or
memory may be held.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import random
import tracemalloc
from collections import Counter
from dataclasses import dataclass
from typing import Any

from scripted_worker import ScriptedWorker
from serving import Lines, Served, logged, served, until

from voicestack.realtime.serve.guard import Policy
from voicestack.realtime.serve.limits import ServeLimits

TOGETHER = 16
ANSWER_S = 10.0
TOKEN = "a-token-of-many-letters"
PATHS = (
    *("/", "/page/x", "/healthz", "/readyz", "/metrics", "/openapi.json", "/ticket", "/v1/models", "/v1/audio/voices"),
    *("/v1/audio/speech", "/offer", "/ws", "/v1/speak", "/tts/websocket", "/v1/text-to-speech/x/stream-input"),
    *("/v1/text-to-speech/%00/multi-stream-input", "/nowhere", "/%ff", "/..//..", "*", "//", "/?", "/page/%2e%2e/x"),
)
METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "BREW", "get")
FIELDS = (
    "input",
    "voice",
    "model",
    "response_format",
    "stream_format",
    "speed",
    "instructions",
    "type",
    "sdp",
    "x",
    "",
)
TEXTS = (
    "hi",
    "",
    " ",
    "\0",
    "\ud800",
    "é" * 50,
    "x" * 5000,
    "mp3",
    "alloy",
    "sse",
    "offer",
    "v=0\r\n",
    "NaN",
    "../",
    "🙂",
)
HEADERS = (
    *("Authorization", "X-API-Key", "xi-api-key", "Origin", "Host", "Content-Type", "Content-Encoding", "Cookie"),
    *("Sec-WebSocket-Protocol", "Sec-WebSocket-Key", "Sec-WebSocket-Version", "Upgrade", "Connection", "Range"),
    *("If-None-Match", "X-Forwarded-For", "Access-Control-Request-Method", "Expect", "Accept", "TE", "x-request-id"),
)
VALUES = (
    *("", " ", "Bearer", "Bearer x", "Token \x7f", "null", "http://[", "http://evil", "[::1", "a" * 3000, "websocket"),
    *(
        "Upgrade",
        "13",
        "0",
        "-1",
        "*",
        "100-continue",
        "gzip",
        "é",
        '"',
        "token, x",
        "voicestack.token.",
        ",,,",
        "1:1:1",
    ),
)


@dataclass(frozen=True)
class Attack:
    """Bytes to send. complete: whether they are a request that must be answered."""

    data: bytes
    complete: bool


def value(luck: random.Random, depth: int = 0) -> Any:
    """Any JSON value."""
    kind = luck.randrange(8 if depth < 3 else 5)
    if kind == 0:
        return luck.choice((None, True, False, 0, 1, -1, 1.0, 1e308, 10**400, -0.0))
    if kind < 5:
        return luck.choice(TEXTS)
    if kind == 5:
        return [value(luck, depth + 1) for _ in range(luck.randrange(4))]
    return {luck.choice(FIELDS): value(luck, depth + 1) for _ in range(luck.randrange(5))}


def body_of(luck: random.Random) -> bytes:
    """A body that is wrong in one way or another."""
    kind = luck.randrange(6)
    if kind == 0:
        return luck.randbytes(luck.randrange(300))
    if kind == 1:
        return luck.choice(
            (b"", b"null", b"[" * 30_000, b'{"input":', b"9" * 5000, b'"' * 99, b"\xef\xbb\xbf{}", b"x" * 70_000)
        )
    fields: dict[str, Any] = {"input": "hi", "voice": "alloy", "response_format": "pcm"}
    if kind == 2:
        fields = {"type": "offer", "sdp": "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n"}
    for _ in range(luck.randrange(1, 4)):
        fields[luck.choice(FIELDS)] = value(luck)
    text = json.dumps(fields)
    if kind == 3:
        at = luck.randrange(len(text))
        text = text[:at] + luck.choice(("\0", '"', "\\", "{", "\\ud800")) + text[at + luck.randrange(3) :]
    return text.encode()


def request(luck: random.Random) -> Attack:
    """A request that can be read as HTTP, and asks for nonsense."""
    aimed = luck.random() < 0.6
    path = luck.choice(("/v1/audio/speech", "/offer")) if aimed else luck.choice(PATHS)
    if luck.random() < 0.2:
        path += "?" + "&".join(
            f"{luck.choice(FIELDS)}={luck.choice(('', '%', '%zz', 'a%00', 'x' * 100))}" for _ in range(3)
        )
    body = body_of(luck)
    headers = {"Host": "localhost", "Content-Length": str(len(body)), "Connection": "close"}
    if luck.random() < 0.8:
        headers["Authorization"] = f"Bearer {TOKEN}"
    for _ in range(0 if aimed and luck.random() < 0.5 else luck.randrange(3)):
        headers[luck.choice(HEADERS)] = luck.choice(VALUES)
    lines = [f"{'POST' if aimed else luck.choice(METHODS)} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in headers.items())]
    whole = headers["Connection"] == "close" and "Upgrade" not in headers and "Expect" not in headers
    return Attack("\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body, whole)


def upgrade(luck: random.Random) -> Attack:
    """A WebSocket, and what is none behind it."""
    path = luck.choice([path for path in PATHS if path.startswith(("/ws", "/v1/speak", "/tts", "/v1/text"))])
    lines = [
        *(f"GET {path} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"),
        *("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", f"X-API-Key: {TOKEN}"),
    ]
    if luck.random() < 0.5:
        lines[luck.randrange(2, len(lines))] = f"{luck.choice(HEADERS)}: {luck.choice(VALUES)}"
    return Attack(
        "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + luck.randbytes(luck.randrange(100)), False
    )


def noise(luck: random.Random) -> Attack:
    """What is no HTTP, or not all of it, or smuggles more than one."""
    valid = request(luck).data
    kind = luck.randrange(6)
    if kind == 0:
        return Attack(luck.randbytes(luck.randrange(1, 500)), False)
    if kind == 1:
        return Attack(valid[: luck.randrange(len(valid))], False)
    if kind == 2:
        at = luck.randrange(len(valid))
        return Attack(valid[:at] + luck.randbytes(luck.randrange(1, 5)) + valid[at:], False)
    if kind == 3:
        return Attack(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + b"a: b\r\n" * 2000 + b"\r\n", False)
    if kind == 4:
        smuggled = (
            b"POST /v1/audio/speech HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        return Attack(
            smuggled + luck.choice((b"0\r\n\r\n", b"zz\r\n", b"-1\r\n\r\n", b"ffffffffffffffff\r\n")) + valid, False
        )
    return Attack(valid * luck.randrange(2, 20), False)


async def exchange(server: Served, attack: Attack) -> str:
    """Send it; the status of the answer, `none` for one that may stay without. AssertionError for one that may not."""
    host, port = server.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        with contextlib.suppress(ConnectionError):
            writer.write(attack.data)
            await writer.drain()
        try:
            async with asyncio.timeout(ANSWER_S if attack.complete else 0.05):
                line = await reader.readline()
        except TimeoutError:
            if attack.complete:
                raise AssertionError(f"no answer to {attack.data[:2000]!r}") from None
            return "none"
        except ConnectionError:
            return "none"
        status = line[9:12].decode("ascii", "replace") if line.startswith(b"HTTP/1.") else "none"
        if status == "500" or (attack.complete and status == "none"):
            raise AssertionError(f"{line!r} answers {attack.data[:2000]!r}")
        return status
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def attack(count: int, seed: int, *, warm_up: int = 0) -> tuple[Counter[str], dict[str, float]]:
    """Send so many; how often each status answered, and what is held that was not before.

    What is loaded and cached at first use is no leak: so many are sent before anything is measured.
    """
    luck, worker = random.Random(seed), ScriptedWorker()
    kinds = (request, request, request, upgrade, noise)
    limits = ServeLimits(first_s=0.5, body_bytes=65_536, drain_s=1.0)
    with logged() as lines:
        async with served(worker, policy=Policy(TOKEN), limits=limits, headers={"X-API-Key": TOKEN}) as server:

            async def send(how_many: int) -> Counter[str]:
                left, seen = iter(range(how_many)), Counter[str]()

                async def attacker() -> None:
                    for _ in left:
                        # Wrong tokens are among it, and nobody is to be locked out.
                        server.app.door.guard._failures._counts.clear()
                        seen[await exchange(server, luck.choice(kinds)(luck))] += 1

                async with asyncio.TaskGroup() as group:
                    for number in range(TOGETHER):
                        group.create_task(attacker(), name=f"attacker-{number}")
                await until(lambda: not worker.open and server.app.connections == server.voice.sessions == 0, 20)
                return seen

            await send(warm_up)
            before = held(worker, lines)
            seen = await send(count)
            grown = {name: round(value - before[name], 2) for name, value in held(worker, lines).items()}
            status, body, _ = await server.speak("still there")
            if status != 200 or not body:
                raise AssertionError(f"afterwards it answers {status}")
    if errors := [line for line in lines.lines if "level=error" in line]:
        raise AssertionError(errors[0])
    if len(asyncio.all_tasks()) != 1:
        raise AssertionError(f"tasks were left: {asyncio.all_tasks()}")
    return seen, grown


def held(worker: ScriptedWorker, lines: Lines) -> dict[str, float]:
    """Descriptors and, where it is traced, memory of this process now, without what the test itself keeps."""
    worker.begun.clear()
    lines.lines[:] = [line for line in lines.lines if "level=error" in line]
    gc.collect()
    return {"descriptors": len(os.listdir("/proc/self/fd")), "MB": tracemalloc.get_traced_memory()[0] / 1e6}


def main() -> None:
    """Attack, and tell what came of it."""
    parser = argparse.ArgumentParser(description="Malformed requests at every URL of the server.")
    parser.add_argument("--count", type=int, default=10_000, help="how many requests")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    tracemalloc.start()
    seen, grown = asyncio.run(attack(options.count, options.seed, warm_up=1000))
    print(f"{sum(seen.values())} requests: {dict(sorted(seen.items()))}")
    print(f"grown by {grown}; no failure, no hang, no task left")
    if grown["MB"] > 1 or grown["descriptors"] > 0:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
