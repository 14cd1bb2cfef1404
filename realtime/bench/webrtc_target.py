"""Calls to a voicestack server, as a browser makes them: Opus over WebRTC, text and events over a data channel.

A call has sound all the time, and silence when there is nothing to say. So a reply begins, for this listener, with the
first packet that is not silent, and how often it ran dry is what the server counts, which plays the silence itself.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError
from numpy.typing import NDArray

from voicestack.runtime import CapacityError, VoicestackError

from ..stages import Stages
from .server_process import ServerProcess
from .server_target import ServerTarget
from .target import Hear, Sound

_CONNECT_S, _ANSWER_S = 20.0, 20.0
_SILENT = 1e-3
"""Below -60 dBFS: what a decoder makes of packets of silence."""


class CallError(VoicestackError):
    """A call did not come about, or was lost."""


class WebRtcTarget(ServerTarget):
    """Calls a server."""

    def __init__(
        self,
        server: ServerProcess | None,
        url: str | None,
        token: str | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(server, url, token, transport="webrtc", clock=clock)

    @asynccontextmanager
    async def open(self, number: int) -> AsyncGenerator["Call"]:
        """A call that is connected; CapacityError when the server has no room."""
        call = Call(self._clock)
        try:
            await call.connect(self._url, self._token)
            yield call
        finally:
            await call.close()


class Call:
    """One caller."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        # Without a list of its own the library would ask a public server on the internet.
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._channel = self._peer.createDataChannel("events")
        self._ready = asyncio.Event()
        self._over = asyncio.Event()
        self._hear: Hear | None = None
        self._sounding = False
        self._error: str | None = None
        self._dry = self._dry_before = (0, 0.0)
        self._listening: asyncio.Task[None] | None = None
        self._writing: asyncio.Task[None] | None = None

    @property
    def stages(self) -> Stages | None:
        """Unknown: they are inside the server."""
        return None

    @property
    def underruns(self) -> tuple[int, float]:
        """As the server counted them, which plays the silence itself."""
        return self._dry[0] - self._dry_before[0], self._dry[1] - self._dry_before[1]

    async def offer(self) -> dict[str, str]:
        """What is posted to a server that is to be called."""
        peer = self._peer
        peer.addTransceiver("audio", direction="recvonly")
        peer.on("track", self._track_came)
        self._channel.on("message", self._message_came)
        await peer.setLocalDescription(await peer.createOffer())
        return {"type": "offer", "sdp": peer.localDescription.sdp}

    async def connect(self, url: str, token: str | None) -> None:
        """Offer, be answered, and wait until text can be sent."""
        peer = self._peer
        answer = await asyncio.to_thread(_post, f"{url}/offer", await self.offer(), token)
        await peer.setRemoteDescription(RTCSessionDescription(**answer))
        try:
            async with asyncio.timeout(_CONNECT_S):
                await self._ready.wait()
        except TimeoutError as error:
            raise CallError(f"no call came about within {_CONNECT_S:g} s") from error

    async def speak(self, text: AsyncIterator[str], hear: Hear) -> None:
        """Send text as it is written, and listen until the server says that all of it was played."""
        self._over.clear()
        self._dry_before = self._dry
        self._hear, self._sounding, self._error = hear, False, None
        async with asyncio.TaskGroup() as group:
            self._writing = group.create_task(self._write(text), name="voicestack-bench-writer")
            await self._over.wait()
            self._writing.cancel()
        self._hear = None
        if self._error is not None:
            raise CallError(self._error)

    async def interrupt(self) -> None:
        """Stop the writer, and break the reply off, which ends when the server has answered that."""
        if self._writing is not None:
            self._writing.cancel()
        self._say(type="interrupt")

    async def close(self) -> None:
        """Hang up."""
        if self._listening is not None:
            self._listening.cancel()
        await self._peer.close()

    async def _write(self, text: AsyncIterator[str]) -> None:
        async for piece in text:
            self._say(type="text", text=piece)
        self._say(type="flush")

    def _say(self, **fields: object) -> None:
        self._channel.send(json.dumps(fields))

    def _message_came(self, message: str) -> None:
        said = json.loads(message)
        match said["type"]:
            case "hello":
                self._ready.set()
            case "ping":
                self._say(type="pong")
            case "stats":
                self._dry = said["underruns"], said["underrun_s"]
            case "speech.ended" if said["ending"] != "interrupted":
                self._error = said.get("error")
                self._over.set()
            case "interrupted":
                self._over.set()
            case "error":
                self._error = said["message"]
                self._over.set()

    def _track_came(self, track: Any) -> None:
        self._listening = asyncio.create_task(self._listen(track), name="voicestack-bench-listener")

    async def _listen(self, track: Any) -> None:
        while True:
            try:
                frame = await track.recv()
            except MediaStreamError:
                self._error = "the call was lost"
                self._over.set()
                return
            if self._hear is None:
                continue
            pcm = _mono(frame)
            self._sounding = self._sounding or bool(np.abs(pcm).max(initial=0) > _SILENT)
            if self._sounding:
                self._hear(Sound(pcm, frame.sample_rate))


def _mono(frame: Any) -> NDArray[np.float32]:
    """A decoded frame, packed 16-bit samples of all channels, as their mean."""
    samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels)).astype(np.float32)
    mean: NDArray[np.float32] = samples.mean(axis=1) / np.float32(32768)
    return mean


def _post(url: str, content: Mapping[str, str], token: str | None) -> dict[str, str]:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urlopen(Request(url, json.dumps(content).encode(), headers), timeout=_ANSWER_S) as answer:
            said: dict[str, str] = json.load(answer)
            return said
    except HTTPError as error:
        with error:
            told = error.read(500).decode("utf-8", "replace")
        if error.code == 429:
            raise CapacityError(f"the server has no room: {told}", float(error.headers.get("Retry-After", 1))) from None
        raise CallError(f"{url} answered {error.code}: {told}") from None
    except OSError as error:
        raise CallError(f"{url} cannot be reached: {error}") from None
