import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import pytest

pytest.importorskip("aiortc")

import aioice.ice
import async_tests
from fuzz_sdp import OFFER
from rtc_caller import LOUD, Caller, ToneWorker, callers, post

from voicestack.realtime.serve.edge import Reply, Request
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.peers import Peers
from voicestack.realtime.serve.service import Service
from voicestack.realtime.serve.webrtc_peer import Peer
from voicestack.realtime.voice import Voice, VoiceConfig


@pytest.fixture(autouse=True)
def _loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no other network than the machine itself, the library finds no address of its own."""
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda use_ipv4, use_ipv6: ["127.0.0.1"])


# The library lets go of its last timers a moment after it has closed.
run = partial(async_tests.run, settle_s=0.05)


@asynccontextmanager
async def serving(sessions: int = 64, **limits: Any) -> AsyncIterator[Peers]:
    config = VoiceConfig(max_sessions=sessions)
    async with Voice.load(open_worker=ToneWorker, config=config) as voice:
        peers = Peers(Service(voice, "tone", ServeLimits(**limits)))
        try:
            yield peers
        finally:
            await peers.aclose()
            assert peers.calls == ()
            assert voice.sessions == 0


async def freed(peers: Peers, left: int = 0) -> None:
    """Wait until so many calls are left."""
    for _ in range(500):
        if len(peers.calls) <= left:
            return
        await asyncio.sleep(0.02)
    pytest.fail(f"{len(peers.calls)} calls are open still")


def refusal(reply: Reply) -> str:
    assert isinstance(reply.body, bytes)
    return str(json.loads(reply.body)["error"]["message"])


@run
async def test_two_calls_hear_fifty_packets_a_second_without_a_gap() -> None:
    """Whether there is speech or not, packets come, numbered by their time, and each hears its own."""
    async with serving() as peers, callers(peers, 2) as (one, two):
        await asyncio.sleep(0.5)
        one.say("text", text="only one of them is spoken to", flush=True)
        await one.wait_for("speech.ended")
        await asyncio.sleep(0.3)
        for caller in (one, two):
            steps = {after[1] - before[1] for before, after in zip(caller.packets, caller.packets[1:], strict=False)}
            assert steps == {960}
            seconds = caller.packets[-1][0] - caller.packets[0][0]
            assert len(caller.packets) / seconds == pytest.approx(50, rel=0.1)
        spoken = sum(loudness > LOUD for _, _, loudness in one.packets)
        assert spoken == pytest.approx(50 * 0.08 * len("onlyoneofthemisspokento"), abs=12)
        assert not any(loudness > LOUD for _, _, loudness in two.packets)


@run
async def test_nothing_stale_is_heard_after_an_interruption() -> None:
    """Once what was on its way has arrived there is silence, until something new is said."""
    async with serving() as peers, callers(peers, 1) as (caller,):
        caller.say("text", text="a" * 100, flush=True)
        await caller.wait_for("speech.started")
        await asyncio.sleep(0.6)
        caller.say("interrupt")
        told = await caller.wait_for("interrupted")
        assert 0 < told["played_ms"] < 8000
        await asyncio.sleep(0.4)
        heard = len(caller.packets)
        assert any(loudness > LOUD for _, _, loudness in caller.packets)
        await asyncio.sleep(0.4)
        assert not any(loudness > LOUD for _, _, loudness in caller.packets[heard:])
        caller.say("text", text="b" * 10, flush=True)
        await caller.wait_for("speech.ended", 2)
        await asyncio.sleep(0.2)
        assert any(loudness > LOUD for _, _, loudness in caller.packets[heard:])


@run
async def test_who_hangs_up_is_gone_at_once() -> None:
    """And can call again."""
    async with serving() as peers:
        for _ in range(2):
            async with callers(peers, 1):
                assert len(peers.calls) == 1
            await freed(peers)


@run
async def test_peers_that_vanish_hang_half_open_or_never_come_are_freed() -> None:
    """Their sessions, sockets and tasks are given back within the limits, while a live call goes on unharmed."""
    async with serving(gone_s=1.0, connect_s=1.0) as peers, callers(peers, 1) as (live,):
        keeping = asyncio.create_task(keep_alive(live))
        files = len(os.listdir("/proc/self/fd"))
        vanishing, silent = [Caller() for _ in range(4)], [Caller(has_channel_open=False) for _ in range(4)]
        await asyncio.gather(*(caller.call(peers) for caller in vanishing))
        for caller in vanishing:
            await caller.vanish()
        for caller in silent:
            # It takes the answer, and never opens the data channel it had promised.
            assert (await post(peers, with_channel(await caller.offer()))).status == 200
        for _ in range(4):
            assert (await post(peers, OFFER)).status == 200
        await freed(peers, left=1)
        await asyncio.gather(*(caller.close() for caller in (*vanishing, *silent)))
        await asyncio.sleep(0.1)
        assert len(os.listdir("/proc/self/fd")) <= files
        keeping.cancel()
        steps = {after[1] - before[1] for before, after in zip(live.packets, live.packets[1:], strict=False)}
        assert steps == {960}


async def keep_alive(caller: Caller) -> None:
    while True:
        caller.say("ping")
        await asyncio.sleep(0.2)


def with_channel(sdp: str) -> str:
    """An offer with a data channel that its caller knows nothing of."""
    lines = sdp.split("\r\n")
    at = next(i for i, line in enumerate(lines) if line.startswith("m=audio"))
    own = [line for line in lines if line.startswith(("a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"))]
    channel = ["m=application 9 UDP/DTLS/SCTP webrtc-datachannel", *own, "a=mid:data", "a=sctp-port:5000", ""]
    head = [line + " data" if line.startswith("a=group:BUNDLE") else line for line in lines[:at]]
    return "\r\n".join([*head, *(line for line in lines[at:] if line), *channel])


@run
async def test_no_more_calls_are_taken_than_there_may_be() -> None:
    """The next is refused, with the time to come again; so is one for whom there is no session."""
    async with serving(calls=1) as peers, callers(peers, 1):
        reply = await post(peers, OFFER)
        assert reply.status == 429
        assert int(reply.headers["Retry-After"]) >= 1
    async with serving(sessions=1) as peers, callers(peers, 1):
        reply = await post(peers, OFFER)
        assert reply.status == 429
        assert "sessions" in refusal(reply)
        await freed(peers, left=1)


@run
async def test_a_bad_offer_is_refused_with_its_reason() -> None:
    """By the check, or by the library, which then gives everything back."""
    async with serving() as peers:
        reply = await post(peers, OFFER.replace("a=fingerprint", "a=thumb"))
        assert reply.status == 400
        assert "fingerprint" in refusal(reply)
        reply = await post(peers, OFFER.replace("a=rtcp:9", "a=rtcp:x"))
        assert reply.status == 400
        assert "answered" in refusal(reply)
        assert (await peers.offer(Request("POST", "/offer"))).status == 400
        await freed(peers)


@run
async def test_video_is_not_taken_and_sound_is_sent_only() -> None:
    """A browser that offers its camera and microphone is answered, and neither is listened to."""
    async with serving() as peers:
        caller = Caller()
        caller.connection.getTransceivers()[0].direction = "sendrecv"
        caller.connection.addTransceiver("video", direction="sendrecv")
        reply = await post(peers, await caller.offer())
        assert reply.status == 200, reply.body
        assert isinstance(reply.body, bytes)
        media = json.loads(reply.body)["sdp"].split("m=")[1:]
        directions = {lines.split(" ")[0]: lines for lines in media}
        assert "a=sendonly" in directions["audio"]
        assert "opus/48000" in directions["audio"]
        assert "PCMU" not in directions["audio"]
        assert "a=inactive" in directions["video"]
        await caller.close()


@run
async def test_who_leaves_before_the_answer_leaves_nothing_behind() -> None:
    """A request that is cancelled takes its call with it."""
    async with serving() as peers:
        asking = asyncio.create_task(post(peers, OFFER))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await freed(peers)


@run
async def test_a_server_that_closes_hangs_up_and_takes_no_more_calls() -> None:
    """Callers are told goodbye."""
    async with serving() as peers, callers(peers, 2) as (one, two):
        await peers.aclose()
        assert peers.calls == ()
        for caller in (one, two):
            assert (await caller.wait_for("bye"))["reason"] == "shutdown"
        assert (await post(peers, OFFER)).status == 429


@run
async def test_a_peer_that_floods_its_channel_is_cut_off_before_it_fills_the_memory() -> None:
    """What it said until then can be read, and then it is gone."""
    peer = Peer(lambda: b"", time.monotonic)
    for _ in range(100):
        peer._message_came("x" * 65_536)
    kept = 0
    while (message := await peer.receive()) is not None:
        kept += len(message)
    assert 500_000 < kept < 1_500_000
    await peer.close()
