"""A real MQTT broker for tests, which can be killed, frozen and restarted, and devices on it."""

import asyncio
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

BROKER = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin:/opt/homebrew/sbin")


class Mosquitto:
    """One broker on a port of its own."""

    def __init__(self, folder: Path, *lines: str) -> None:
        """Args: lines of its configuration."""
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.folder = folder
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            "".join(
                f"{line}\n"
                # Started by root it would become a user who may not read here.
                for line in (f"listener {self.port} 127.0.0.1", "set_tcp_nodelay true", "user root", *lines)
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, and return when it listens."""
        assert BROKER is not None
        self._process = subprocess.Popen([BROKER, "-c", str(self._config)], stderr=subprocess.DEVNULL)
        for _ in range(500):
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise AssertionError("the broker does not start")

    def send_signal(self, number: signal.Signals) -> None:
        """KILL, STOP or CONT it."""
        assert self._process is not None
        self._process.send_signal(number)
        if number is signal.SIGKILL:
            self._process.wait()

    def stop(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()


OPEN = ("allow_anonymous true",)
"""Lines that let everybody in."""


def kept(folder: Path) -> tuple[str, ...]:
    """Lines that make it remember persistent sessions over a restart, as of a second ago."""
    return ("persistence true", f"persistence_location {folder}/", "autosave_on_changes true", "autosave_interval 1")


class Device:
    """A client in MQTT 5 that comes back by itself, to a session which the broker keeps meanwhile."""

    def __init__(self, port: int, session: str = "kitchen") -> None:
        self.messages: list[aiomqtt.Message] = []
        self._port, self._session = port, session
        self._place = f"voicestack/{session}"
        self._news = asyncio.Event()
        self._client: aiomqtt.Client | None = None

    async def run(self) -> None:
        """Listen until cancelled."""
        wishes = Properties(PacketTypes.CONNECT)
        wishes.SessionExpiryInterval = 3600
        while True:
            with suppress(aiomqtt.MqttError):
                async with aiomqtt.Client(
                    "127.0.0.1",
                    self._port,
                    identifier=f"device-{self._session}",
                    protocol=aiomqtt.ProtocolVersion.V5,
                    clean_start=False,
                    properties=wishes,
                ) as client:
                    await client.subscribe([(f"{self._place}/audio", 0), (f"{self._place}/event", 1)])
                    await client.subscribe("voicestack/status", 1)
                    self._client = client
                    async for message in client.messages:
                        self.messages.append(message)
                        self._news.set()
            self._client = None
            await asyncio.sleep(0.05)

    async def publish(self, kind: str, payload: str) -> None:
        """Say something, at once."""
        assert self._client is not None
        await self._client.publish(f"{self._place}/{kind}", payload, qos=1)

    async def say(self, text: str) -> None:
        """A whole utterance."""
        await self.publish("text", text)
        await self.publish("control", '{"type": "flush"}')

    @property
    def statuses(self) -> list[str]:
        """What the server, or the broker in its name, said of it."""
        return [_bytes(each).decode() for each in self.messages if each.topic.matches("voicestack/status")]

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of some kinds."""
        events = [json.loads(_bytes(each)) for each in self.messages if each.topic.matches(f"{self._place}/event")]
        return [event for event in events if event["type"] in kinds]

    def audio(self, utterance: int | None = None) -> list[bytes]:
        """The sound of an utterance, or of all."""
        found = [each for each in self.messages if each.topic.matches(f"{self._place}/audio")]
        return [_bytes(each) for each in found if utterance in (None, _counted(each)["utterance"])]

    def sequences(self) -> list[int]:
        """The numbers of all sound."""
        return [_counted(each)["sequence"] for each in self.messages if each.topic.matches(f"{self._place}/audio")]

    async def until(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for an event, a status, or for pieces of sound."""
        while len(self._found(kind)) < count:
            self._news.clear()
            await self._news.wait()
        found = self._found(kind)[count - 1]
        return found if isinstance(found, dict) else {}

    def _found(self, kind: str) -> list[Any]:
        if kind == "audio":
            return self.audio()
        if kind in ("online", "offline"):
            return [status for status in self.statuses if status == kind]
        return self.of(kind)


@asynccontextmanager
async def listening(port: int, *sessions: str) -> AsyncIterator[list[Device]]:
    """Devices that are there, and know that the server is."""
    devices = [Device(port, session) for session in sessions]
    tasks = [asyncio.create_task(device.run()) for device in devices]
    try:
        for device in devices:
            await device.until("online")
        yield devices
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _bytes(message: aiomqtt.Message) -> bytes:
    assert isinstance(message.payload, bytes)
    return message.payload


def _counted(message: aiomqtt.Message) -> dict[str, int]:
    properties: Any = message.properties
    return {name: int(value) for name, value in properties.UserProperty}
