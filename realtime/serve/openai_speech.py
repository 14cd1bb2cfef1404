"""OpenAI's speech API: a text in, a file or server-sent events out while it is spoken; and lists of what there is."""

import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing

import numpy as np

from voicestack.runtime import Chunk, VoicestackError

from ..lifecycle import State
from .edge import HttpRoute, Reply, Request
from .encoders import Encoder, encoder
from .failures import RefusedError, failure_of
from .service import Service
from .speech_order import ALIASES, SpeechOrder, read_order

MODELS = ("voicestack", "tts-1", "tts-1-hd", "gpt-4o-mini-tts")
"""What clients may call the one model there is; any other name does as well."""
_FRAME_S = 0.08


class OpenAiSpeech:
    """The API over one voice."""

    def __init__(self, service: Service) -> None:
        self._service = service

    @property
    def names(self) -> tuple[str, ...]:
        """What the voice may be called."""
        return (self._service.voice_name, *ALIASES)

    def routes(self) -> list[HttpRoute]:
        """Where it is to be mounted."""
        return [
            HttpRoute("POST", "/v1/audio/speech", self.speak),
            HttpRoute("GET", "/v1/audio/voices", self.voices),
            HttpRoute("GET", "/v1/models", self.models),
        ]

    async def speak(self, request: Request) -> Reply:
        """Speak the text of a request; the sound comes as it is made."""
        order = read_order(request.body, self._service.voice_name, self._service.limits.text_chars)
        out = encoder(order.form, self._service.voice.sample_rate_hz)
        if order.as_events:
            return Reply(body=self._events(order, out), content_type="text/event-stream")
        return Reply(body=self._file(order, out), content_type=out.content_type)

    async def voices(self, request: Request) -> Reply:
        """The voice, and by which names it answers."""
        name = self._service.voice_name
        return _json({"voices": [{"id": name, "name": name, "aliases": list(ALIASES)}]})

    async def models(self, request: Request) -> Reply:
        """The models, in OpenAI's shape."""
        models = [{"id": name, "object": "model", "created": 0, "owned_by": "voicestack"} for name in MODELS]
        return _json({"object": "list", "data": models})

    async def _chunks(self, order: SpeechOrder) -> AsyncGenerator[Chunk]:
        async with self._service.voice.session(realtime=False, rate=order.speed) as session:
            await session.push_text(order.text)
            await session.flush()
            async with aclosing(session.audio()) as audio:
                async for chunk in audio:
                    yield chunk
            if session.state is State.CLOSED:
                # Not by us, so that something is missing, which a file cannot tell.
                raise RefusedError(503, "shutting_down", "the server shut down before all was spoken; use another")

    async def _file(self, order: SpeechOrder, out: Encoder) -> AsyncGenerator[bytes]:
        samples = 0
        async with aclosing(self._chunks(order)) as chunks:
            async for chunk in chunks:
                samples += len(chunk.pcm)
                yield out.feed(chunk.pcm)
        if not samples:
            # A text such as "..." has nothing to speak; players want a file with something in it all the same.
            yield out.feed(np.zeros(round(_FRAME_S * self._service.voice.sample_rate_hz), np.float32))
        yield out.finish()

    async def _events(self, order: SpeechOrder, out: Encoder) -> AsyncGenerator[bytes]:
        samples, begun = 0, False
        try:
            async with aclosing(self._chunks(order)) as chunks:
                async for chunk in chunks:
                    samples += len(chunk.pcm)
                    if data := out.feed(chunk.pcm):
                        begun = True
                        yield _delta(data)
            if data := out.finish():
                yield _delta(data)
        except VoicestackError as error:
            if not begun:
                raise
            yield _event(failure_of(error, "").data() | {"type": "error"})
            return
        # A frame is to this voice what a token is to others; of the text, characters are all that can be counted.
        frames = round(samples / self._service.voice.sample_rate_hz / _FRAME_S)
        tokens = {"input_tokens": len(order.text), "output_tokens": frames}
        yield _event({"type": "speech.audio.done", "usage": {**tokens, "total_tokens": sum(tokens.values())}})


def _delta(data: bytes) -> bytes:
    return _event({"type": "speech.audio.delta", "audio": base64.b64encode(data).decode("ascii")})


def _event(data: dict[str, object]) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def _json(data: object) -> Reply:
    return Reply(body=json.dumps(data).encode())
