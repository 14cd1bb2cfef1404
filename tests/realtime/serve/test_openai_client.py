import asyncio
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("soxr")

import numpy as np
from scripted_worker import FRAME_S, ScriptedWorker
from serving import Served, run, served, until

from voicestack.realtime.serve.guard import Policy
from voicestack.realtime.voice import Voice

openai: Any = pytest.importorskip("openai")

pytestmark = pytest.mark.clients

TOKEN = "a-token-of-many-letters"
SPEECH_S = 5 * FRAME_S


async def asked(server: Served, ask: Callable[[Any], object], key: str = TOKEN) -> object:
    """What the synchronous SDK gets, in a thread, so that the server's loop turns."""

    def body() -> object:
        with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client:
            return ask(client)

    return await asyncio.to_thread(body)


@run
async def test_the_sdk_speaks_whole_and_streamed() -> None:
    """Into bytes, and piece by piece."""
    async with served(policy=Policy(TOKEN)) as server:

        def whole(client: Any) -> bytes:
            answer = client.audio.speech.create(model="tts-1", voice="alloy", input="hello", response_format="pcm")
            return bytes(answer.content)

        pcm = await asked(server, whole)
        assert isinstance(pcm, bytes)
        assert len(pcm) / 48_000 == pytest.approx(SPEECH_S, abs=0.01)

        def streamed(client: Any) -> list[bytes]:
            create = client.audio.speech.with_streaming_response.create
            with create(model="tts-1", voice="nova", input="hello", response_format="wav") as answer:
                return list(answer.iter_bytes(1024))

        pieces = await asked(server, streamed)
        assert isinstance(pieces, list)
        assert b"".join(pieces)[:4] == b"RIFF"


@run
async def test_the_sdks_default_is_an_mp3_that_can_be_decoded() -> None:
    """As it comes without response_format."""
    av = pytest.importorskip("av")
    async with served(policy=Policy(TOKEN)) as server:
        data = await asked(
            server, lambda client: client.audio.speech.create(model="tts-1", voice="alloy", input="hello").content
        )
        assert isinstance(data, bytes)
        with av.open(io.BytesIO(data)) as container:
            assert container.format.name == "mp3"
            heard = sum(frame.samples for frame in container.decode(audio=0))
        assert heard / 24_000 == pytest.approx(SPEECH_S, abs=0.1)


@run
async def test_the_sdk_reads_events() -> None:
    """stream_format sse: deltas, then done with the usage."""
    async with served(policy=Policy(TOKEN)) as server:

        def events(client: Any) -> list[dict[str, object]]:
            create = client.audio.speech.with_streaming_response.create
            options = {"model": "tts-1", "voice": "alloy", "input": "hello", "response_format": "pcm"}
            with create(**options, stream_format="sse") as answer:
                return [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: ")]

        told = await asked(server, events)
        assert isinstance(told, list)
        assert told[-1]["type"] == "speech.audio.done"
        assert {event["type"] for event in told[:-1]} == {"speech.audio.delta"}


@run
async def test_the_sdk_knows_our_refusals() -> None:
    """Each status becomes the exception that its users catch, with our message."""
    async with served(policy=Policy(TOKEN), max_sessions=1, queue_s=0.2) as server:

        def speak(**fields: object) -> Callable[[Any], object]:
            options = {"model": "tts-1", "voice": "alloy", "input": "hi", "response_format": "pcm", **fields}
            return lambda client: client.audio.speech.create(**options)

        with pytest.raises(openai.AuthenticationError):
            await asked(server, speak(), key="sk-wrong")
        with pytest.raises(openai.BadRequestError, match="there is no such voice") as refused:
            await asked(server, speak(voice="bob"))
        assert refused.value.param == "voice"
        assert refused.value.request_id.startswith("req_")
        with pytest.raises(openai.BadRequestError, match="4096 characters"):
            await asked(server, speak(input="x" * 5000))
        with pytest.raises(openai.BadRequestError, match="from 0.5 to 2"):
            await asked(server, speak(speed=4.0))
        with pytest.raises(openai.NotFoundError):
            await asked(server, lambda client: client.chat.completions.create(model="x", messages=[]))
        body = {"input": "x" * 4000, "response_format": "pcm"}
        async with server.client.post(
            f"{server.url}/v1/audio/speech", json=body, headers={"X-API-Key": TOKEN}
        ) as answer:
            await answer.content.readany()
            with pytest.raises(openai.RateLimitError):
                await asked(server, speak())
            answer.close()


@run
async def test_the_sdk_lists_models() -> None:
    """As OpenAI's server does."""
    async with served(policy=Policy(TOKEN)) as server:
        names = await asked(server, lambda client: [model.id for model in client.models.list()])
        assert isinstance(names, list)
        assert "tts-1" in names


@run
async def test_a_client_of_the_sdk_that_leaves_stops_the_work() -> None:
    """The asynchronous SDK, left in the middle of a body."""
    worker = ScriptedWorker(step_s=0.002)
    async with served(worker, policy=Policy(TOKEN), queue_s=0.5) as server:
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=TOKEN, max_retries=0) as client:
            create = client.audio.speech.with_streaming_response.create
            async with create(model="x", voice="alloy", input="x" * 4000, response_format="pcm") as answer:
                async for _ in answer.iter_bytes(1024):
                    break
        await until(lambda: not worker.open)
        assert next(iter(worker.begun.values())).made < 4000


@pytest.mark.asr
@pytest.mark.slow
def test_what_arrives_is_understood_in_every_format() -> None:
    """The voice that ships speaks to the SDK, and a recogniser writes down what another decoder hears."""
    from hearing import TEXT, understood

    av: Any = pytest.importorskip("av")
    formats = ("mp3", "opus", "aac", "flac", "wav")
    files: dict[str, bytes] = {}

    async def body() -> None:
        async with served(voice=Voice.load()) as server:
            for form in formats:

                def speak(client: Any, form: str = form) -> bytes:
                    create = client.audio.speech.create
                    return bytes(create(model="tts-1", voice="alloy", input=TEXT, response_format=form).content)

                files[form] = await asked(server, speak)  # type: ignore[assignment]

    asyncio.run(body())
    for form, data in files.items():
        with av.open(io.BytesIO(data)) as container:
            resampler = av.AudioResampler(format="flt", layout="mono", rate=24_000)
            frames = [part for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        heard = np.concatenate([frame.to_ndarray().reshape(-1) for frame in frames]).astype(np.float32)
        assert understood(heard) > 0.7, form
