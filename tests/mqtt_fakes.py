"""A broker in memory that can be killed, restarted and stalled, and a server of devices on it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

from voicestack.realtime.serve.mqtt_address import Topics
from voicestack.realtime.serve.mqtt_core import Message, Publication
from voicestack.realtime.serve.mqtt_sessions import MqttServer
from voicestack.realtime.serve.mqtt_uplink import Backoff, Link, LinkLostError
from voicestack.realtime.serve.service import Service

EVENT, AUDIO = "event", "audio"


class FakeLink:
    """A connection to the broker, lost when that is killed."""

    def __init__(self, broker: "FakeBroker") -> None:
        self._broker = broker
        self._incoming: asyncio.Queue[Message | None] = asyncio.Queue()
        self._is_lost = False

    def put(self, message: Message) -> None:
        self._incoming.put_nowait(message)

    def lose(self) -> None:
        self._is_lost = True
        self._incoming.put_nowait(None)

    async def publish(self, publication: Publication) -> None:
        await asyncio.sleep(0)
        await self._broker.takes.wait()
        if self._is_lost:
            raise LinkLostError("lost")
        self._broker.keep(publication)
        # The broker has it, and its confirmation does not come.
        if publication.qos and self._broker.loses_confirmation(publication):
            self._broker.kill()
            raise LinkLostError("no confirmation")

    async def receive(self) -> Message:
        message = await self._incoming.get()
        if message is None:
            raise LinkLostError("lost")
        return message


class FakeBroker:
    """Keeps what is published, and lets a test wait for it. Cleared `takes` stalls it."""

    def __init__(self) -> None:
        self.published: list[Publication] = []
        self.connections = 0
        self.is_up = True
        self.takes = asyncio.Event()
        self.takes.set()
        self.loses_confirmation: Callable[[Publication], bool] = lambda _: False
        self._link: FakeLink | None = None
        self._news = asyncio.Event()

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Link]:
        if not self.is_up:
            raise LinkLostError("nobody listens")
        self.connections += 1
        self._link = FakeLink(self)
        try:
            yield self._link
        finally:
            self._link = None

    def keep(self, publication: Publication) -> None:
        self.published.append(publication)
        self._news.set()

    def kill(self) -> None:
        self.is_up = False
        if self._link is not None:
            self._link.lose()

    def restart(self) -> None:
        self.is_up = True

    def send(self, topic: str, payload: bytes | str, *, retained: bool = False) -> None:
        assert self._link is not None
        self._link.put(Message(topic, payload if isinstance(payload, bytes) else payload.encode(), retained))

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._news.clear()
            await self._news.wait()

    async def connected(self, count: int = 1) -> None:
        await self.until(lambda: self._link is not None and self.count(b"online") >= count)

    def count(self, payload: bytes) -> int:
        return sum(publication.payload == payload for publication in self.published)


class Device:
    """What one device says and hears."""

    def __init__(self, broker: FakeBroker, session: str = "kitchen") -> None:
        self._broker, self._place = broker, f"voicestack/{session}"

    def text(self, text: str | bytes) -> None:
        self._broker.send(f"{self._place}/text", text)

    def control(self, kind: str, **fields: object) -> None:
        self._broker.send(f"{self._place}/control", json.dumps({"type": kind, **fields}))

    def say(self, text: str) -> None:
        self.text(text)
        self.control("flush")

    @property
    def events(self) -> list[dict[str, Any]]:
        found = (each for each in self._broker.published if each.topic == f"{self._place}/{EVENT}")
        return [json.loads(each.payload) for each in found]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def audio(self, utterance: int | None = None) -> list[Publication]:
        found = [each for each in self._broker.published if each.topic == f"{self._place}/{AUDIO}"]
        return [each for each in found if utterance in (None, int(dict(each.properties)["utterance"]))]

    async def hears(self, kind: str, count: int = 1) -> dict[str, Any]:
        await self._broker.until(lambda: len(self.of(kind)) >= count)
        return self.of(kind)[count - 1]

    async def hears_sound(self, count: int = 1) -> None:
        await self._broker.until(lambda: len(self.audio()) >= count)


@asynccontextmanager
async def devices(service: Service) -> AsyncIterator[FakeBroker]:
    """A broker with a server on it, which is stopped at the end."""
    broker = FakeBroker()
    server = MqttServer(service, Topics("voicestack"), broker.connect, Backoff(0.01, 0.02))
    serving = asyncio.create_task(server.run())
    try:
        await broker.connected()
        yield broker
    finally:
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving
