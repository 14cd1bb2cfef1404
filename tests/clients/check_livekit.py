"""LiveKit's plugins for Cartesia, ElevenLabs, Deepgram and OpenAI: streams of text, and speech in one piece."""

import asyncio

import aiohttp
from common import HTTP, KEY, LONG, RATE_HZ, TEXT, Ear, demand
from livekit.agents import tts
from livekit.plugins import cartesia, deepgram, elevenlabs, openai


def voices(http: aiohttp.ClientSession) -> dict[str, tts.TTS]:
    """Each plugin, pointed at us by its own option."""
    return {
        "cartesia": cartesia.TTS(api_key=KEY, base_url=HTTP, http_session=http),
        "elevenlabs": elevenlabs.TTS(
            api_key=KEY, base_url=f"{HTTP}/v1", encoding="pcm_24000", voice_id="any", http_session=http
        ),
        "deepgram": deepgram.TTS(api_key=KEY, base_url=f"{HTTP}/v1/speak", sample_rate=RATE_HZ, http_session=http),
    }


async def check(name: str, voice: tts.TTS) -> None:
    ear = Ear(f"livekit-{name}")
    async with asyncio.timeout(60), voice.stream() as stream:
        ear.begin()
        for word in TEXT.split(" "):
            stream.push_text(f"{word} ")
        stream.end_input()
        async for audio in stream:
            ear.hear(bytes(audio.frame.data))
    async with asyncio.timeout(20), voice.stream() as stream:
        stream.push_text(LONG)
        stream.end_input()
        async for _ in stream:
            break  # who leaves the stream interrupts it
    after = bytearray()
    async with asyncio.timeout(20), voice.stream() as stream:
        stream.push_text("And on, without what was said before.")
        stream.end_input()
        async for audio in stream:
            after += bytes(audio.frame.data)
    ear.report(next_s=round(len(after) / 2 / RATE_HZ, 2))
    demand(0.5 < len(after) / 2 / RATE_HZ < 5, f"the next stream whole and alone, {len(after)} bytes")
    await voice.aclose()


async def check_openai() -> None:
    voice, ear = openai.TTS(api_key=KEY, base_url=f"{HTTP}/v1"), Ear("livekit-openai")
    ear.begin()
    async with asyncio.timeout(60), voice.synthesize(TEXT) as stream:
        async for audio in stream:
            ear.hear(bytes(audio.frame.data))
    ear.report()
    await voice.aclose()


async def main() -> None:
    async with aiohttp.ClientSession() as http:
        for name, voice in voices(http).items():
            await check(name, voice)
    await check_openai()


asyncio.run(main())
