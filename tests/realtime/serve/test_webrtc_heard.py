"""A call to the voice that ships, written down by a recogniser."""

import asyncio
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc", reason="the `webrtc` extra is not installed")
pytest.importorskip("faster_whisper", reason="the `train` extra is not installed")

from aiortc.mediastreams import MediaStreamError
from hearing import TEXT, understood
from rtc_caller import Caller, callers

from voicestack.realtime.serve.peers import Peers
from voicestack.realtime.serve.service import Service
from voicestack.realtime.voice import Voice


class Recorder(Caller):
    """A caller that keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.sound: list[np.ndarray] = []

    async def _listen(self, track: Any) -> None:
        try:
            while True:
                frame = await track.recv()
                channels = len(frame.layout.channels)
                self.sound.append(frame.to_ndarray().reshape(-1, channels).mean(axis=1) / 32768)
        except MediaStreamError:
            pass


@pytest.mark.asr
@pytest.mark.slow
def test_what_a_caller_hears_is_understood() -> None:
    """A text that comes in pieces, through Opus, packets and a jitter buffer."""

    async def body() -> np.ndarray:
        async with Voice.load() as voice:
            peers = Peers(Service(voice, "joe"))
            async with callers(peers, 1, Recorder) as (caller,):
                assert isinstance(caller, Recorder)
                for at in range(0, len(TEXT), 7):
                    caller.say("text", text=TEXT[at : at + 7])
                caller.say("flush")
                await caller.wait_for("speech.ended")
                await asyncio.sleep(0.3)
                sound = np.concatenate(caller.sound)
            await peers.aclose()
            return sound

    # Opus is decoded at 48 kHz; every second sample of what was made at 24 is all there is to hear.
    assert understood(asyncio.run(body())[::2].astype(np.float32)) > 0.7
