import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("aiortc")

import aiohttp
from aiortc import RTCSessionDescription
from rtc_caller import Caller
from serving import run

ROOT = Path(__file__).parents[3]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
@pytest.mark.skipif(len(socket.if_nameindex()) < 2, reason="the library needs an address besides the loopback")
@run
async def test_the_bot_answers_a_call_and_knows_what_was_heard() -> None:
    """The demo as it is, called over the network; asked to go on, it does so where it was cut off."""
    port = free_port()
    bot = await asyncio.create_subprocess_exec(
        *(sys.executable, "demos/call_bot.py", "--port", str(port)),
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    caller = Caller()
    try:
        offer, answer = json.dumps({"type": "offer", "sdp": await caller.offer()}), {}
        async with aiohttp.ClientSession() as client:
            for _ in range(200):
                try:
                    async with client.post(f"http://127.0.0.1:{port}/offer", data=offer) as reply:
                        answer = await reply.json()
                        if reply.status == 200:
                            break
                except aiohttp.ClientConnectionError:
                    pass
                await asyncio.sleep(0.1)
        await caller.connection.setRemoteDescription(RTCSessionDescription(**answer))
        await caller.wait_for("hello")
        caller.say("user", text="Where do I find you?")
        await caller.wait_for("speech.started")
        await asyncio.sleep(2)
        caller.say("user", text="Sorry, go on.")
        heard = await caller.wait_for("interrupted")
        assert heard["words"][0]["text"] == "Take"
        await caller.wait_for("speech.started", 2)
        while (
            "".join(told["text"] for told in caller.told("reply") if told["utterance"] == 1)[:16] != "As I was saying:"
        ):
            await caller.wait_for("reply", len(caller.told("reply")) + 1)
    finally:
        await caller.close()
        bot.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            assert await bot.wait() == 0
