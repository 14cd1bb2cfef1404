"""Any server with OpenAI's speech API, measured by the same listener: POST {url}/v1/audio/speech, read as it comes.

Such a server takes a text as a whole, so one that is written token by token is sent when it is complete; the waiting
counts, because a listener waits for it.
"""

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self

import aiohttp

from voicestack.runtime import CapacityError, InputError, VoicestackError

from ..stages import Stages
from ..urls import http_parts
from .http_sound import SoundParser
from .target import Facts, Hear, Sound

_CONNECT_S, _SILENT_S = 10.0, 60.0
_FALL_BACK = (400, 415, 422)
"""Answers by which servers refuse a format they do not have."""
_BUSY = (429, 503)


class ServerError(VoicestackError):
    """The server answered, but not with sound."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where to ask and for what. key: sent as a bearer token."""

    url: str
    model: str = "tts-1"
    voice: str = "alloy"
    key: str | None = None

    def __post_init__(self) -> None:
        if http_parts(self.url) is None:
            raise InputError(f"--url must look like http://host:port, got {self.url!r}")

    @property
    def speech_url(self) -> str:
        """The address of its speech API."""
        return self.url.rstrip("/").removesuffix("/v1") + "/v1/audio/speech"


class OpenAiTarget:
    """Asks a server; a conversation is one after the other of its requests, on kept connections."""

    def __init__(self, server: Server, clock: Callable[[], float] = time.monotonic) -> None:
        self.facts = Facts(server.url, "http", voice=f"{server.model} / {server.voice}")
        self._server, self._clock = server, clock
        self._format = "pcm"
        self._client: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        headers = {"Authorization": f"Bearer {self._server.key}"} if self._server.key else {}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_S, sock_read=_SILENT_S)
        # As many connections as sessions: a limit here would be measured as the server's.
        self._client = aiohttp.ClientSession(headers=headers, timeout=timeout, connector=aiohttp.TCPConnector(limit=0))
        return self

    async def __aexit__(self, *error: object) -> None:
        if self._client is not None:
            await self._client.close()

    @asynccontextmanager
    async def open(self, number: int) -> AsyncGenerator["OpenAiConversation"]:
        """A conversation; whether there is room is told by each answer."""
        yield OpenAiConversation(self)

    def totals(self) -> Mapping[str, float]:
        """Unknown: it is another process."""
        return {}

    def capacity(self) -> None:
        """Unknown."""
        return

    async def request(self, text: str, hear: Hear) -> None:
        """Have a text spoken, as PCM, or as WAV by a server that has no PCM."""
        if not await self._request(text, hear, self._format):
            self._format = "wav"
            await self._request(text, hear, self._format)

    async def _request(self, text: str, hear: Hear, form: str) -> bool:
        """False when the server does not know that format, and another may be tried."""
        if self._client is None:
            raise RuntimeError("the target is used outside `async with`")
        server = self._server
        body = {
            "model": server.model,
            "voice": server.voice,
            "input": text,
            "response_format": form,
            "stream": True,
        }
        try:
            async with self._client.post(server.speech_url, json=body) as answer:
                if answer.status in _BUSY:
                    raise CapacityError(f"{server.url} is busy", _seconds(answer.headers.get("Retry-After")))
                if answer.status in _FALL_BACK and form == "pcm":
                    return False
                if answer.status != 200:
                    told = " ".join((await answer.text())[:200].split())
                    raise ServerError(f"{server.speech_url} answered {answer.status}: {told}")
                parser = SoundParser()
                async for data in answer.content.iter_any():
                    hear(Sound(parser.feed(data), parser.sample_rate_hz))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise ServerError(f"{server.speech_url} cannot be used: {str(error) or type(error).__name__}") from error
        return True


class OpenAiConversation:
    """One client of the server."""

    def __init__(self, target: OpenAiTarget) -> None:
        self._target = target

    @property
    def stages(self) -> Stages | None:
        """Unknown: they are inside the server."""
        return None

    @property
    def underruns(self) -> None:
        """Nobody plays it."""
        return

    async def speak(self, text: AsyncIterator[str], hear: Hear) -> None:
        """Wait for the whole text, then have it spoken."""
        await self._target.request("".join([piece async for piece in text]), hear)

    async def interrupt(self) -> None:
        """There is no such call in that API."""
        raise InputError("an OpenAI-compatible server cannot be interrupted; leave out --url")


def _seconds(hint: str | None) -> float | None:
    """A Retry-After in seconds; a date is no hint worth reading here."""
    try:
        return None if hint is None else max(0.0, float(hint))
    except ValueError:
        return None
