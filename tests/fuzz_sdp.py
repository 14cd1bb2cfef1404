"""Offers that a stranger might send, damaged in every way: `python tests/fuzz_sdp.py --count 10000`.

Each goes through the check and then, if it passes, through the WebRTC library; it must be answered or refused with
InputError, in bounded time, and leave no task and no socket behind.
"""

import argparse
import asyncio
import os
import random
import time
from dataclasses import dataclass

from voicestack.realtime.serve.sdp import clean_offer
from voicestack.runtime import InputError

FINGERPRINT = "a=fingerprint:sha-256 " + ":".join(["AB"] * 32)
OFFER = "\r\n".join(
    [
        "v=0",
        "o=- 4611731400430051336 2 IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=group:BUNDLE 0 1",
        "a=extmap-allow-mixed",
        "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        "a=candidate:1 1 udp 2122260223 8f0e7a0a-1111-4c4c-9999-000000000000.local 50000 typ host",
        "a=candidate:2 1 udp 2122260222 192.0.2.7 50001 typ host generation 0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789abcdefghijklmn",
        "a=ice-options:trickle",
        FINGERPRINT,
        "a=setup:actpass",
        "a=mid:0",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "a=recvonly",
        "a=rtcp-mux",
        "a=rtpmap:111 opus/48000/2",
        "a=rtcp-fb:111 transport-cc",
        "a=fmtp:111 minptime=10;useinbandfec=1",
        "a=rtpmap:63 red/48000/2",
        "a=rtpmap:9 G722/8000",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "c=IN IP4 0.0.0.0",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:0123456789abcdefghijklmn",
        FINGERPRINT,
        "a=setup:actpass",
        "a=mid:1",
        "a=sctp-port:5000",
        "a=max-message-size:262144",
        "",
    ]
)
_WORDS = [
    "",
    "0",
    "-1",
    "65536",
    "99999999999",
    "a=",
    "m=",
    "opus",
    "actpass",
    "passive",
    "holdconn",
    ":",
    "/",
    " ",
    "ü",
]


@dataclass
class Counts:
    """What became of them. worst_s: the longest that one took."""

    refused: int = 0
    answered: int = 0
    worst_s: float = 0.0
    left_tasks: int = 0
    left_files: int = 0


def mutated(sdp: str, seed: int) -> str:
    """An offer with one to four faults."""
    luck = random.Random(seed)
    lines = sdp.split("\r\n")
    for _ in range(luck.randint(1, 4)):
        at = luck.randrange(len(lines))
        line = lines[at]
        match luck.randrange(7):
            case 0:
                del lines[at]
            case 1:
                lines.insert(luck.randrange(len(lines) + 1), line)
            case 2:
                fields = line.split(" ")
                fields[luck.randrange(len(fields))] = luck.choice(_WORDS)
                lines[at] = " ".join(fields)
            case 3:
                lines[at] = line[: luck.randrange(len(line) + 1)]
            case 4:
                place = luck.randrange(len(line) + 1)
                lines[at] = line[:place] + luck.choice(_WORDS) + line[place + luck.randint(0, 3) :]
            case 5:
                lines[at] = "".join(chr(luck.randrange(0x20, 0x250)) for _ in range(luck.randint(0, 60)))
            case _:
                other = luck.randrange(len(lines))
                lines[at], lines[other] = lines[other], lines[at]
        lines = lines or [""]
    return "\r\n".join(lines)


async def _try(sdp: str) -> bool:
    """Whether it was answered."""
    from voicestack.realtime.serve.webrtc_peer import Peer

    peer = Peer(lambda: b"", time.monotonic)
    try:
        await peer.answer(clean_offer(sdp))
    except InputError:
        return False
    finally:
        await peer.close()
    return True


def try_offers(count: int, seed: int) -> Counts:
    """Try so many; raises whatever is no InputError."""

    async def body() -> Counts:
        counts = Counts()
        await _try(OFFER)
        await asyncio.sleep(0.05)
        tasks, files = len(asyncio.all_tasks()), len(os.listdir("/proc/self/fd"))
        for number in range(count):
            began_s = time.perf_counter()
            async with asyncio.timeout(10):
                answered = await _try(mutated(OFFER, seed * 1_000_003 + number))
            counts.worst_s = max(counts.worst_s, time.perf_counter() - began_s)
            counts.answered += answered
            counts.refused += not answered
        await asyncio.sleep(0.2)
        counts.left_tasks = len(asyncio.all_tasks()) - tasks
        counts.left_files = len(os.listdir("/proc/self/fd")) - files
        return counts

    return asyncio.run(body())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Damaged offers against the check and the WebRTC library.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(try_offers(options.count, options.seed))
