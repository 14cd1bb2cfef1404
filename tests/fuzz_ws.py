"""Malformed messages at every WebSocket dialect: `python tests/fuzz_ws.py --count 10000 [--seed N]`.

Each connection gets a few hundred, between messages that make sense, with conversations going on. Nothing may be raised
or logged as a failure, a connection may not hang, and when all have left no session, task or utterance may be there.
"""

import argparse
import asyncio
import gc
import json
import logging
import random
import tracemalloc
from collections.abc import Iterator
from typing import Any

from scripted_worker import ScriptedWorker
from ws_fakes import VENDORS, FakeWire, connected, served

from voicestack.realtime.serve.limits import ServeLimits

PER_CONNECTION = 250
KEYS = (
    *("type", "text", "flush", "start", "name", "depth", "seconds", "utterance", "finish_word", "seed", "format"),
    *("sample_rate", "unpaced", "context_id", "transcript", "continue", "cancel", "output_format", "add_timestamps"),
    *("max_buffer_delay_ms", "container", "encoding", "voice", "contextId", "close_context", "close_socket"),
    *("voice_settings", "generation_config", "flush_context", "", "\x00", "__class__"),
)
WORDS = (
    *("start", "text", "flush", "interrupt", "played", "depth", "mark", "Speak", "Flush", "Clear", "Close", "raw"),
    *(
        "pcm_s16le",
        "opus",
        "pcm_f32le",
        "mp3",
        "a",
        "b",
        "",
        " ",
        "hello there",
        "\ud800",
        "é" * 300,
        "\x00",
        "9" * 400,
    ),
)
SENSIBLE: dict[str, tuple[dict[str, Any], ...]] = {
    "native": ({"type": "start"}, {"type": "text", "text": "word "}, {"type": "flush"}, {"type": "interrupt"}),
    "cartesia": (
        {"context_id": "a", "transcript": "word ", "continue": True, "add_timestamps": True},
        {"context_id": "b", "transcript": "word ", "continue": False},
        {"context_id": "a", "cancel": True},
    ),
    "deepgram": ({"type": "Speak", "text": "word "}, {"type": "Flush"}, {"type": "Clear"}),
    "elevenlabs": ({"text": " "}, {"text": "word ", "flush": True}),
    "elevenlabs-multi": (
        {"text": "word ", "context_id": "a"},
        {"text": "word ", "context_id": "b", "flush": True},
        {"context_id": "a", "close_context": True},
    ),
}


def value(luck: random.Random, depth: int = 0) -> Any:
    """Any JSON value, of kinds that messages hold and others."""
    kind = luck.randrange(10 if depth < 3 else 7)
    if kind == 0:
        return luck.choice((None, True, False))
    if kind == 1:
        return luck.choice((0, 1, -1, 8, 32, 8000, 24_000, 2**31, 2**63, -(10**30), 0.5, 1e308, -0.0, 1e-300))
    if kind < 7:
        return luck.choice(WORDS)
    if kind == 7:
        return [value(luck, depth + 1) for _ in range(luck.randrange(4))]
    return {luck.choice(KEYS): value(luck, depth + 1) for _ in range(luck.randrange(6))}


def malformed(luck: random.Random, dialect: str) -> str | bytes:
    """A message that no client should send."""
    kind = luck.randrange(8)
    if kind == 0:
        return luck.randbytes(luck.randrange(200))
    if kind == 1:
        text = json.dumps(luck.choice(SENSIBLE[dialect]))
        at = luck.randrange(len(text))
        return text[:at] + chr(luck.choice((0, 34, 92, 123, 0xD800, 0x10FFFF))) + text[at + luck.randrange(3) :]
    if kind == 2:
        return luck.choice(("", " ", "null", "[]", "{", '"', "NaN", '{"a":Infinity}', "1" * 5000, "[" * 50_000))
    if kind == 3:
        return json.dumps(value(luck))
    message = dict(luck.choice(SENSIBLE[dialect]))
    for _ in range(luck.randrange(1, 4)):
        message[luck.choice((*message, *KEYS))] = value(luck)
    return json.dumps(message)


def query_of(luck: random.Random, dialect: str) -> dict[str, str]:
    """Mostly a sensible one, so that there is a conversation to be had."""
    if luck.random() < 0.1:
        names = ("encoding", "sample_rate", "container", "output_format", "inactivity_timeout", "seed", "auto_mode")
        return {luck.choice(names): luck.choice(WORDS) for _ in range(3)}
    return {"output_format": "pcm_16000"} if dialect.startswith("elevenlabs") else {}


def conversation(luck: random.Random, dialect: str, count: int) -> Iterator[tuple[bool, str | bytes]]:
    """So many malformed messages, some of sense between; whether each is malformed."""
    for _ in range(count):
        if luck.random() < 0.2:
            yield False, json.dumps(luck.choice(SENSIBLE[dialect]))
        yield True, malformed(luck, dialect)


async def attack(count: int, seed: int) -> dict[str, int]:
    """Send so many malformed messages, shared out among the dialects; how many connections, and answers, there were."""
    luck, worker = random.Random(seed), ScriptedWorker()
    limits = ServeLimits(messages_per_s=1e6, message_burst=1_000_000)
    done = {"malformed": 0, "connections": 0, "answers": 0}
    async with served(worker, limits) as service:
        while done["malformed"] < count:
            dialect = luck.choice(tuple(VENDORS))
            wire, said = FakeWire(), list(conversation(luck, dialect, PER_CONNECTION))
            async with asyncio.timeout(30), connected(service, dialect, wire, **query_of(luck, dialect)):
                wire.say(*(message for _, message in said))
                await wire.until(lambda wire=wire: wire.closed is not None or wire.all_read)  # type: ignore[misc]
            done["malformed"] += sum(is_malformed for is_malformed, _ in said[: wire.read])
            done["connections"] += 1
            done["answers"] += len(wire.sent)
        for _ in range(200):
            if not worker.open:
                break
            await asyncio.sleep(0.01)
        if service.voice.sessions or worker.open:
            raise AssertionError(f"{service.voice.sessions} sessions and {len(worker.open)} utterances were left")
    if len(asyncio.all_tasks()) != 1:
        raise AssertionError(f"tasks were left: {asyncio.all_tasks()}")
    return done


class Failures(logging.Handler):
    """Keeps what is logged as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def main() -> None:
    """Attack, and tell what came of it."""
    parser = argparse.ArgumentParser(description="Malformed messages at every WebSocket dialect.")
    parser.add_argument("--count", type=int, default=10_000, help="how many messages")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failures = Failures()
    logging.getLogger("voicestack").addHandler(failures)
    asyncio.run(attack(20_000, options.seed + 1))  # what is loaded and cached at first use is no leak
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    done = asyncio.run(attack(options.count, options.seed))
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    print(f"{done}, {len(failures.records)} failures, {(after - before) / 1e6:+.2f} MB")
    if failures.records:
        raise SystemExit(failures.records[0].getMessage() + str(failures.records[0].exc_info))


if __name__ == "__main__":
    main()
