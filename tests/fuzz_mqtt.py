"""Throws malformed and well-formed messages at the devices' server: `python tests/fuzz_mqtt.py --count 10000`.

The broker is one in memory that is killed and restarted now and then. At the end nothing may have failed, every
utterance has had one end, every session is closed, and no task is left.
"""

import argparse
import asyncio
import json
import logging
import random
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from mqtt_fakes import FakeBroker
from scripted_worker import ScriptedWorker

from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.mqtt_address import Topics
from voicestack.realtime.serve.mqtt_sessions import MqttServer
from voicestack.realtime.serve.mqtt_uplink import Backoff
from voicestack.realtime.serve.service import Service
from voicestack.realtime.voice import Voice, VoiceConfig

T = TypeVar("T")
SESSIONS = ("a", "b", "kitchen", "x" * 64)
VALUES: tuple[object, ...] = (
    "flush",
    "open",
    "close",
    8,
    3,
    20,
    16_000,
    True,
    None,
    1e999,
    -1,
    [],
    {},
    "",
    "pcm_s16le",
    "mp3",
    "\ud800",
)
FIELDS = ("type", "format", "sample_rate", "chunk_ms", "depth", "text", "")
EVERY = 50


@dataclass(frozen=True, slots=True)
class Tally:
    """What a run saw."""

    tried: int
    utterances: int
    errors: int
    restarts: int


class Failures(logging.Handler):
    """Keeps what the server logs as a failure of its own."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(self.format(record))


@contextmanager
def watched() -> Iterator[Failures]:
    """What is logged meanwhile by the server, and by asyncio of exceptions that nobody took."""
    failures = Failures()
    loggers = [logging.getLogger(name) for name in ("voicestack.realtime.serve", "asyncio")]
    for logger in loggers:
        logger.addHandler(failures)
    try:
        yield failures
    finally:
        for logger in loggers:
            logger.removeHandler(failures)


def unharmed(running: Coroutine[Any, Any, T]) -> T:
    """What a run under fire comes to; AssertionError when the server logged a failure of its own."""
    with watched() as failures:
        result = asyncio.run(running)
    assert not failures.records, failures.records[0]
    return result


def topic(rng: random.Random) -> str:
    """One of ours as a rule, else something like it."""
    session, kind = rng.choice(SESSIONS), rng.choice(("text", "control", "control"))
    if rng.random() < 0.9:
        return f"voicestack/{session}/{kind}"
    return "".join(
        rng.choice(("voicestack", "/", "+", "#", "text", "a", "\x00", "é", "")) for _ in range(rng.randint(0, 9))
    )


def payload(rng: random.Random) -> bytes:
    """A command, a broken one, or bytes."""
    draw = rng.random()
    if draw < 0.25:
        return json.dumps({"type": rng.choice(("flush", "interrupt", "close", "open"))}).encode()
    if draw < 0.5:
        return "".join(rng.choice("ab é.\n\x00") for _ in range(rng.randint(0, 30))).encode()
    if draw < 0.7:
        fields = {rng.choice(FIELDS): rng.choice(VALUES) for _ in range(rng.randint(0, 5))}
        return json.dumps({"type": "open", **fields} if rng.random() < 0.5 else fields).encode()
    if draw < 0.8:
        data = bytearray(json.dumps({"type": "open", "depth": 8}).encode())
        data[rng.randrange(len(data))] = rng.randrange(256)
        return bytes(data)
    if draw < 0.85:
        return rng.choice((b"[", b'{"type":', b'{"a":')) * rng.choice((1, 500, 20_000))
    return rng.randbytes(rng.choice((0, 1, 10, 300, 70_000)))


async def throw(broker: FakeBroker, count: int, rng: random.Random) -> int:
    """Send, with pauses in which the server works; returns how often the broker was restarted."""
    restarts = 0
    for number in range(count):
        broker.send(topic(rng), payload(rng), retained=rng.random() < 0.02)
        if number % EVERY == EVERY - 1:
            await asyncio.sleep(0.002)
        if rng.random() < 0.002:
            broker.kill()
            await asyncio.sleep(0.005)
            broker.restart()
            restarts += 1
            async with asyncio.timeout(10):
                await broker.connected(restarts + 1)
    return restarts


def check(broker: FakeBroker) -> tuple[int, int]:
    """The utterances and the errors that were told of; AssertionError when an end is missing or comes twice."""
    utterances = errors = 0
    for session in SESSIONS:
        begun, ended = set[int](), list[int]()
        for each in broker.published:
            if each.topic == f"voicestack/{session}/audio":
                begun.add(int(dict(each.properties)["utterance"]))
            elif each.topic == f"voicestack/{session}/event":
                event = json.loads(each.payload)
                errors += event["type"] == "error"
                if event["type"] == "ended":
                    ended.append(event["utterance"])
                if event["type"] == "closed":
                    assert begun <= set(ended), f"no end of {begun - set(ended)}"
                    assert len(ended) == len(set(ended)), f"two ends among {ended}"
                    utterances += len(ended)
                    begun, ended = set(), []
        assert not begun, "a session was not closed"
        assert not ended, "a session was not closed"
    return utterances, errors


async def run(count: int, seed: int) -> Tally:
    """One server under fire."""
    rng, broker = random.Random(seed), FakeBroker()
    limits = ServeLimits(messages_per_s=1e6, message_burst=1_000_000)
    config = VoiceConfig(lead_s=(50.0, 60.0), queue_s=100.0, max_sessions=3)
    async with Voice.load(open_worker=ScriptedWorker, config=config) as voice:
        server = MqttServer(
            Service(voice, "scripted", limits), Topics("voicestack"), broker.connect, Backoff(0.001, 0.002)
        )
        serving = asyncio.create_task(server.run())
        await broker.connected()
        restarts = await throw(broker, count, rng)
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
        assert not voice.sessions, f"{voice.sessions} sessions are left"
    assert len(asyncio.all_tasks()) == 1, "a task is left"
    utterances, errors = check(broker)
    return Tally(count, utterances, errors, restarts)


def fuzz(count: int, seed: int) -> Tally:
    """Run it; AssertionError says what failed."""
    return unharmed(run(count, seed))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Malformed messages for the devices' server.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(fuzz(options.count, options.seed))
