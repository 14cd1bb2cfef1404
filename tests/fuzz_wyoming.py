"""Throws malformed and well-formed events at the Wyoming server: `python tests/fuzz_wyoming.py --count 10000`.

Real connections on the loopback address, each with some events, cut anywhere; some leave at once, some read to the end.
At the end nothing may have failed, and no session, connection or task is left.
"""

import argparse
import asyncio
import json
import random
from contextlib import suppress
from dataclasses import dataclass

from fuzz_mqtt import unharmed
from scripted_worker import ScriptedWorker

from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.service import Service
from voicestack.realtime.serve.wyoming_core import encoded
from voicestack.realtime.serve.wyoming_edge import WyomingEdge
from voicestack.realtime.voice import Voice, VoiceConfig

KINDS = ("describe", "ping", "synthesize", "synthesize-start", "synthesize-chunk", "synthesize-stop", "audio-chunk", "")
VALUES: tuple[object, ...] = ("a b", "", 3, True, None, [], {}, {"name": "joe"}, "ssml", "\ud800", 1e999)
PER_CONNECTION = 10
AT_ONCE = 8


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run saw."""

    tried: int
    connections: int
    bytes_back: int


def event(rng: random.Random, wildness: float) -> bytes:
    """One event: right, wrong, or none at all."""
    draw, kind = rng.random() * wildness, rng.choice(KINDS)
    if draw < 0.5:
        return encoded(kind, {"text": rng.choice(("a", "hello there.", "é", ""))})
    if draw < 0.7:
        fields = {rng.choice(("text", "voice", "text_format", "x")): rng.choice(VALUES) for _ in range(3)}
        return json.dumps({"type": kind, "data": fields}).encode() + b"\n"
    if draw < 0.8:
        length = rng.choice((-1, 0, 5, 70_000, 10**30, 1.5, "1", None, True))
        return json.dumps({"type": kind, rng.choice(("data_length", "payload_length")): length}).encode() + b"\n{}   "
    if draw < 0.85:
        return rng.choice((b"[", b'{"a":', b"{}\n", b"\n", b"null\n")) * rng.choice((1, 500, 20_000))
    if draw < 0.95:
        data = bytearray(encoded(kind, {"text": "hello"}))
        data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    return rng.randbytes(rng.choice((1, 100, 70_000)))


async def client(port: int, count: int, rng: random.Random) -> int:
    """Connect, send some events in pieces, and read for a while or leave."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    # The first wrong one ends the connection: some get far.
    wildness = rng.choice((0.5, 0.55, 1.0))
    sent, received = b"".join(event(rng, wildness) for _ in range(count)), 0
    try:
        with suppress(OSError):
            while sent:
                cut = rng.randint(1, len(sent))
                writer.write(sent[:cut])
                await writer.drain()
                sent = sent[cut:]
            if rng.random() < 0.7:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.05):
                        while data := await reader.read(65_536):
                            received += len(data)
    finally:
        writer.close() if rng.random() < 0.5 else writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
    return received


async def run(count: int, seed: int) -> Tally:
    """One server under fire."""
    rng = random.Random(seed)
    connections, received = 0, 0
    config = VoiceConfig(max_sessions=4)
    async with Voice.load(open_worker=ScriptedWorker, config=config) as voice:
        edge = WyomingEdge(Service(voice, "scripted", ServeLimits(send_s=0.5)), port=0)
        serving = asyncio.create_task(edge.run())
        await edge.listening.wait()
        while connections * PER_CONNECTION < count:
            async with asyncio.TaskGroup() as group:
                clients = [group.create_task(client(edge.port, PER_CONNECTION, rng)) for _ in range(AT_ONCE)]
            connections += AT_ONCE
            received += sum(each.result() for each in clients)
        # The server notices on its own that they have left.
        for _ in range(1000):
            if not (voice.sessions or edge.connections):
                break
            await asyncio.sleep(0.01)
        assert not voice.sessions, "a session is left"
        assert not edge.connections, "a connection is left"
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
    assert len(asyncio.all_tasks()) == 1, "a task is left"
    return Tally(connections * PER_CONNECTION, connections, received)


def fuzz(count: int, seed: int) -> Tally:
    """Run it; AssertionError says what failed."""
    return unharmed(run(count, seed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Malformed events for the Wyoming server.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(fuzz(options.count, options.seed))
