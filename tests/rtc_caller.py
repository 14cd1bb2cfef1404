"""A caller over real WebRTC for the tests: aiortc on the other side of aiortc, in one process, on the loopback."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray
from scripted_worker import ScriptedWorker

from voicestack.realtime.cost_model import CostMeter
from voicestack.realtime.orders import Order, Report
from voicestack.realtime.serve.edge import Reply, Request
from voicestack.realtime.serve.peers import Peers

LOUD = 1000.0
"""Of 32768: what a packet of speech is louder than, and silence is not."""


class ToneWorker(ScriptedWorker):
    """The same, but for a tone of 400 Hz in the place of a constant, which Opus would take for no sound."""

    def work(self, order: Order, meter: CostMeter) -> Report:
        report = super().work(order, meter)
        for at, result in enumerate(report.results):
            if result.chunk is not None:
                tone = np.where(np.arange(len(result.chunk.pcm)) % 20 < 10, 1, -1).astype(np.float32)
                chunk = replace(result.chunk, pcm=result.chunk.pcm * tone)
                report.results[at] = replace(result, chunk=chunk)
        return report


async def post(peers: Peers, sdp: str) -> Reply:
    """Offer a call."""
    return await peers.offer(Request("POST", "/offer", body=json.dumps({"type": "offer", "sdp": sdp}).encode()))


class Caller:
    """One caller; `packets` are the moments, time stamps and loudness of what it heard."""

    def __init__(self, *, has_channel_open: bool = True) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.connection.addTransceiver("audio", direction="recvonly")
        self.channel = self.connection.createDataChannel("events") if has_channel_open else None
        if self.channel is not None:
            self.channel.on("message", self._told)
        self.connection.on("track", self._came)
        self.events: list[dict[str, Any]] = []
        self.packets: list[tuple[float, int, float]] = []
        self._news = asyncio.Event()
        self._listening: asyncio.Task[None] | None = None

    async def offer(self) -> str:
        """Its offer."""
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def call(self, peers: Peers) -> None:
        """Call, and wait until it is greeted."""
        reply = await post(peers, await self.offer())
        assert reply.status == 200, reply.body
        assert isinstance(reply.body, bytes)
        await self.connection.setRemoteDescription(RTCSessionDescription(**json.loads(reply.body)))
        await self.wait_for("hello")

    def say(self, kind: str, **fields: object) -> None:
        """Send a command."""
        assert self.channel is not None
        self.channel.send(json.dumps({"type": kind, **fields}))

    def told(self, kind: str) -> list[dict[str, Any]]:
        """Events of a kind."""
        return [event for event in self.events if event["type"] == kind]

    async def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        """The n-th event of a kind."""
        while len(self.told(kind)) < count:
            self._news.clear()
            await self._news.wait()
        return self.told(kind)[count - 1]

    async def vanish(self) -> None:
        """Fall off the net without a word, as a process that is killed."""
        transport = self.connection.getTransceivers()[0].receiver.transport.transport
        await transport._connection.close()

    async def close(self) -> None:
        """Hang up."""
        await self.connection.close()
        if self._listening is not None:
            self._listening.cancel()
            with suppress(asyncio.CancelledError):
                await self._listening

    def _told(self, message: str) -> None:
        event = json.loads(message)
        if event["type"] == "ping":
            self.say("pong")
        self.events.append(event)
        self._news.set()

    def _came(self, track: Any) -> None:
        self._listening = asyncio.create_task(self._listen(track), name="caller")

    async def _listen(self, track: Any) -> None:
        with suppress(MediaStreamError):
            while True:
                frame = await track.recv()
                samples: NDArray[np.int16] = frame.to_ndarray()
                loudness = float(np.sqrt(np.mean(np.square(samples.astype(np.float64)))))
                self.packets.append((time.monotonic(), frame.pts, loudness))


@asynccontextmanager
async def callers(peers: Peers, count: int, kind: type[Caller] = Caller) -> AsyncIterator[list[Caller]]:
    """So many calls."""
    all_of_them = [kind() for _ in range(count)]
    try:
        await asyncio.gather(*(caller.call(peers) for caller in all_of_them))
        yield all_of_them
    finally:
        await asyncio.gather(*(caller.close() for caller in all_of_them))
