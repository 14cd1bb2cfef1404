import asyncio
import base64
import json
import struct
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("soxr")

import aiohttp
from scripted_worker import FRAME_S, ScriptedWorker
from serving import run, served, until

from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.speech_order import ALIASES

RATE = 24_000


def samples(data: bytes) -> np.ndarray:
    return np.frombuffer(data, "<i2").astype(np.float32) / 32767


@run
async def test_pcm_is_24_khz_of_16_bits_and_as_long_as_the_speech() -> None:
    """The scripted voice speaks a frame a character, at 8 kHz; the API's PCM is at 24 kHz."""
    async with served() as server:
        status, body, headers = await server.speak("hello")
        assert status == 200
        assert headers["Content-Type"] == "audio/pcm"
        assert headers["X-Accel-Buffering"] == "no"
        assert headers["Transfer-Encoding"] == "chunked"
        assert len(samples(body)) == pytest.approx(5 * FRAME_S * RATE, abs=8)
        assert np.median(np.abs(samples(body))) > 0.05
        assert headers["x-request-id"].startswith("req_")
        again = await server.speak("hello")
        assert again[2]["x-request-id"] != headers["x-request-id"]


@run
async def test_wav_has_a_header_that_leaves_the_length_open() -> None:
    """A player reads until the stream ends."""
    async with served() as server:
        _, body, headers = await server.speak("hello", response_format="wav")
        assert headers["Content-Type"] == "audio/wav"
        assert body[:4] == b"RIFF"
        assert struct.unpack_from("<I", body, 4) == struct.unpack_from("<I", body, 40) == (0xFFFFFFFF,)
        assert struct.unpack_from("<HHI", body, 20) == (1, 1, RATE)
        pcm = await server.speak("hello")
        # Each utterance of the scripted voice sounds different, but is as long.
        assert len(body) == 44 + len(pcm[1])


@run
async def test_events_carry_the_sound_and_end_with_the_usage() -> None:
    """speech.audio.delta with base64, then one speech.audio.done."""
    async with served() as server:
        _, body, headers = await server.speak("hello", stream_format="sse")
        assert headers["Content-Type"] == "text/event-stream"
        events = [json.loads(part.removeprefix(b"data: ")) for part in body.strip().split(b"\n\n")]
        assert {event["type"] for event in events[:-1]} == {"speech.audio.delta"}
        pcm = b"".join(base64.b64decode(event["audio"]) for event in events[:-1])
        assert len(samples(pcm)) == pytest.approx(5 * FRAME_S * RATE, abs=8)
        assert events[-1]["type"] == "speech.audio.done"
        assert events[-1]["usage"] == {"input_tokens": 5, "output_tokens": 5, "total_tokens": 10}


@run
async def test_the_first_sound_is_sent_long_before_the_last_is_made() -> None:
    """A text that would take minutes begins to be heard at once."""
    worker = ScriptedWorker(step_s=0.005)
    async with served(worker, queue_s=0.5) as server:
        body = {"input": "x" * 4000, "response_format": "pcm"}
        async with server.client.post(f"{server.url}/v1/audio/speech", json=body) as answer:
            assert len(await answer.content.readany()) > 0
            assert next(iter(worker.begun.values())).made < 100
            answer.close()
        await until(lambda: server.voice.sessions == 0)


@run
async def test_a_client_that_leaves_stops_the_work() -> None:
    """Within a few rounds nothing more is made, and the place is free."""
    worker = ScriptedWorker(step_s=0.002)
    async with served(worker, queue_s=0.5) as server:
        body = {"input": "x" * 4000, "response_format": "pcm"}
        async with server.client.post(f"{server.url}/v1/audio/speech", json=body) as answer:
            await answer.content.readany()
            answer.close()
        await until(lambda: not worker.open)
        assert server.voice.sessions == 0
        made = next(iter(worker.begun.values())).made
        await asyncio.sleep(0.05)
        assert next(iter(worker.begun.values())).made == made < 4000


@run
async def test_whoever_does_not_read_is_cut_off_and_others_are_not_kept_waiting() -> None:
    """The stalled one's place is free again after stall_s; another is served meanwhile."""
    worker = ScriptedWorker()
    async with served(worker, limits=ServeLimits(stall_s=0.3), queue_s=5.0) as server:
        host, port = server.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        body = json.dumps({"input": "x" * 4096, "response_format": "pcm"}).encode()
        head = f"POST /v1/audio/speech HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await until(lambda: server.voice.sessions == 1)
        assert (await server.speak("hi"))[0] == 200
        await until(lambda: server.voice.sessions == 0)
        count = server.voice.metrics.registry.get_sample_value(
            "voicestack_requests_total", {"transport": "http", "route": "/v1/audio/speech", "outcome": "cut"}
        )
        assert count == 1
        writer.close()


def breaks_off_at(frame: int) -> ScriptedWorker:
    """An engine that fails in each utterance."""

    def fault(key: int, at: int) -> None:
        if at == frame:
            raise RuntimeError("the engine breaks off")

    return ScriptedWorker(fault=fault)


@run
async def test_what_fails_after_the_status_breaks_off_where_it_can_be_seen() -> None:
    """The chunked body has no end, so a client does not take half a speech for a whole one."""
    async with served(breaks_off_at(3)) as server:
        with pytest.raises(aiohttp.ClientError):
            await server.speak("hello")
        status, _, _ = await server.speak("hi")
        assert status == 200


@run
async def test_what_fails_before_its_first_sound_has_a_status() -> None:
    """500 with the id under which the log tells more, and nothing of the engine's own words."""
    async with served(breaks_off_at(0)) as server:
        status, body, headers = await server.speak("hello")
        assert status == 500
        assert headers["x-request-id"] in json.loads(body)["error"]["message"]
        assert "breaks off" not in body.decode()


@run
async def test_no_room_is_told_with_when_to_come_again() -> None:
    """429 with Retry-After, in OpenAI's shape."""
    async with served(max_sessions=1, queue_s=0.2) as server:
        body = {"input": "x" * 4000, "response_format": "pcm"}
        async with server.client.post(f"{server.url}/v1/audio/speech", json=body) as answer:
            await answer.content.readany()
            status, told, headers = await server.speak("hi")
            assert status == 429
            assert int(headers["Retry-After"]) >= 1
            assert json.loads(told)["error"]["type"] == "rate_limit_error"
            answer.close()
        await until(lambda: server.voice.sessions == 0)


@pytest.mark.parametrize("text", ["...", " \n", "\ud800 \udfff", "\0", "🙂"])
def test_a_text_without_a_word_is_an_answer_that_can_be_played(text: str) -> None:
    """Nothing to speak is no error."""

    @run
    async def body() -> None:
        async with served() as server:
            raw = json.dumps({"input": text, "response_format": "wav"})
            async with server.client.post(f"{server.url}/v1/audio/speech", data=raw) as answer:
                assert answer.status == 200
                assert len(await answer.read()) > 44

    body()


WRONG: list[tuple[Any, str | None]] = [
    ({"input": ""}, "input"),
    ({"input": 5}, "input"),
    ({}, "input"),
    ({"input": "x" * 4097}, "input"),
    ({"input": "hi", "voice": "bob"}, "voice"),
    ({"input": "hi", "voice": 3}, "voice"),
    ({"input": "hi", "voice": {"name": "alloy"}}, "voice"),
    ({"input": "hi", "response_format": "ogg"}, "response_format"),
    ({"input": "hi", "response_format": []}, "response_format"),
    ({"input": "hi", "stream_format": {}}, "stream_format"),
    ({"input": "hi", "speed": 2.5}, "speed"),
    ({"input": "hi", "speed": True}, "speed"),
    ({"input": "hi", "speed": "fast"}, "speed"),
    ({"input": "hi", "model": 7}, "model"),
    ({"input": "hi", "instructions": {}}, "instructions"),
    ([], None),
    ("hi", None),
]


@run
async def test_wrong_fields_are_named() -> None:
    """400 in OpenAI's shape; `param` is the field."""
    async with served() as server:
        for body, param in WRONG:
            async with server.client.post(f"{server.url}/v1/audio/speech", json=body) as answer:
                told = (await answer.json())["error"]
                assert (answer.status, told["param"]) == (400, param), body
                assert told["type"] == "invalid_request_error"
                assert set(told) == {"message", "type", "param", "code"}
        for raw in (b"", b"{", b"\xff", b"[" * 100_000, b'{"input": ' + b"9" * 5000 + b"}", b'{"input": NaN}'):
            async with server.client.post(f"{server.url}/v1/audio/speech", data=raw) as answer:
                assert answer.status == 400, raw[:20]


@run
async def test_the_voice_answers_to_its_own_name_and_to_those_of_openai() -> None:
    """As a string or as an object with an id, in whatever case; models may be called anything."""
    async with served() as server:
        for voice in ("joe", "Joe", *ALIASES, {"id": "joe"}, None):
            assert (await server.speak("hi", voice=voice))[0] == 200
        assert (await server.speak("hi", model="whatever", instructions="Like a pirate.", speed=1, extra=[1]))[0] == 200
        told = json.loads((await server.speak("hi", voice="bob"))[1])["error"]["message"]
        assert "joe" in told
        assert "alloy" in told
        async with server.client.get(f"{server.url}/v1/audio/voices") as answer:
            assert [voice["id"] for voice in (await answer.json())["voices"]] == ["joe"]
        async with server.client.get(f"{server.url}/v1/models") as answer:
            models = await answer.json()
            assert models["object"] == "list"
            assert {"voicestack", "tts-1"} <= {model["id"] for model in models["data"]}


@run
async def test_speech_that_a_shutdown_cuts_short_does_not_look_whole() -> None:
    """A reader sees that something is missing, in the file and in the events."""
    async with served(ScriptedWorker(step_s=0.02), limits=ServeLimits(drain_s=0.05)) as server:
        answers: list[aiohttp.ClientResponse] = []
        for fields in ({"response_format": "mp3"}, {"stream_format": "sse"}):
            body = {"voice": "alloy", "input": "hello " * 300, "response_format": "pcm", **fields}
            answers.append(await server.client.post(f"{server.url}/v1/audio/speech", json=body))
            assert answers[-1].status == 200
            assert await answers[-1].content.readany()
        server.app.stop()
        with pytest.raises(aiohttp.ClientPayloadError):
            await answers[0].read()
        rest = await answers[1].read()
        assert b'"type": "error"' in rest
        assert b"speech.audio.done" not in rest
