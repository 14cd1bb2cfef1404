"""WebRTC: the one file that knows aiortc. A peer is sent packets of sound, and exchanges messages with us."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from aiortc import RTCConfiguration, RTCIceServer, RTCPeerConnection, RTCRtpSender, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

from voicestack.runtime import InputError

from .edge import WireClosedError
from .encoders import rtc_packet
from .logs import log
from .opus_track import MediaClock

_UNREAD_BYTES = 262_144
"""A peer that leaves so much of what it was told untaken does not read."""
_UNHEARD_MESSAGES = 1024
"""A peer that sends so much faster than it may, in messages or in bytes, is cut off."""
_UNHEARD_BYTES = 1_048_576
_CLOSE_S = 5.0


class Peer:
    """A connection that was offered to us; `next_packet` is asked for 20 ms of Opus whenever they are due.

    Attributes:
        clock: when they are due, and how often they were late.
        opened: set once messages can be exchanged.
    """

    def __init__(
        self, next_packet: Callable[[], bytes], clock: Callable[[], float], ice_servers: Sequence[str] = ()
    ) -> None:
        self.clock = MediaClock(clock)
        self.opened = asyncio.Event()
        self._received: asyncio.Queue[str | bytes | None] = asyncio.Queue(_UNHEARD_MESSAGES)
        self._unheard_bytes = 0
        self._channel: Any = None
        self._gone = False
        # Without a list of its own the library would ask a public server on the internet.
        servers = RTCConfiguration(iceServers=[_ice_server(url) for url in ice_servers])
        self._connection = RTCPeerConnection(servers)
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("datachannel", self._channel_came)
        voice = self._connection.addTransceiver(_Track(next_packet, self.clock, self._lost), direction="sendonly")
        voice.setCodecPreferences([c for c in RTCRtpSender.getCapabilities("audio").codecs if _is_opus(c)])
        self._voice = voice

    async def answer(self, offer: str) -> str:
        """The answer to an offer. InputError when the library cannot make sense of it."""
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(sdp=offer, type="offer"))
            for transceiver in self._connection.getTransceivers():
                if transceiver is not self._voice:
                    transceiver.direction = "inactive"
            await self._connection.setLocalDescription(await self._connection.createAnswer())
        except Exception as error:
            # Its parser raises whatever comes to pass where a line is not as it should be.
            raise InputError(f"the offer cannot be answered: {type(error).__name__}: {error}") from error
        return str(self._connection.localDescription.sdp)

    async def receive(self) -> str | bytes | None:
        """The next message; None when the peer is gone."""
        if self._gone and self._received.empty():
            return None
        message = await self._received.get()
        self._unheard_bytes -= len(message or "")
        return message

    def send(self, message: str) -> None:
        """Send a message; WireClosedError when the peer is gone, or has not read for too long."""
        if self._gone or self._channel is None or self._channel.readyState != "open":
            raise WireClosedError("the peer is gone")
        if self._channel.bufferedAmount > _UNREAD_BYTES:
            self._lost()
            raise WireClosedError(f"the peer left more than {_UNREAD_BYTES} bytes unread")
        self._channel.send(message)

    async def close(self) -> None:
        """Give all it holds back."""
        self._lost()
        try:
            async with asyncio.timeout(_CLOSE_S):
                # The library closes by itself, too, and takes it ill when one who waits for that is cancelled.
                await asyncio.shield(self._connection.close())
        except Exception as error:
            # What was left half made by a strange offer may not know how to be unmade.
            log("call_not_closed", level=logging.WARNING, error=error)

    def _state_changed(self) -> None:
        if self._connection.connectionState in ("failed", "closed"):
            self._lost()

    def _channel_came(self, channel: Any) -> None:
        if self._channel is not None:
            channel.close()
            return
        self._channel = channel
        channel.on("message", self._message_came)
        channel.on("close", self._lost)
        self.opened.set()

    def _message_came(self, message: str | bytes) -> None:
        if self._gone:
            return
        self._unheard_bytes += len(message)
        try:
            self._received.put_nowait(message)
        except asyncio.QueueFull:
            self._lost()
        if self._unheard_bytes > _UNHEARD_BYTES:
            self._lost()

    def _lost(self) -> None:
        """Nothing will come any more; whoever waits is told."""
        if not self._gone:
            self._gone = True
            if self._received.full():
                self._received.get_nowait()
            self._received.put_nowait(None)


class _Track(MediaStreamTrack):  # type: ignore[misc]  # untyped where aiortc is not installed
    """Speech as the library pulls it: one packet of 20 ms whenever one is due."""

    kind = "audio"

    def __init__(self, next_packet: Callable[[], bytes], clock: MediaClock, on_failure: Callable[[], None]) -> None:
        super().__init__()
        self._next_packet, self._clock, self._on_failure = next_packet, clock, on_failure

    async def recv(self) -> Any:
        number, wait_s = self._clock.tick()
        # Also when it is late: a burst must not keep others from running.
        await asyncio.sleep(wait_s)
        if self.readyState != "live":
            raise MediaStreamError
        try:
            return rtc_packet(self._next_packet(), number)
        except Exception as error:
            # The library would go silent, and say so to nobody who could end the call.
            log("call_has_no_sound", level=logging.ERROR, error=error)
            self._on_failure()
            raise


def _ice_server(url: str) -> RTCIceServer:
    """One as the library knows it; user and password may be in the url: turn:user:password@turn.example.org:3478."""
    scheme, _, rest = url.partition(":")
    credentials, at, host = rest.rpartition("@")
    user, _, password = credentials.partition(":")
    return RTCIceServer(urls=f"{scheme}:{host}", username=user or None, credential=password if at else None)


def _is_opus(codec: Any) -> bool:
    return bool(codec.mimeType.lower() == "audio/opus")
