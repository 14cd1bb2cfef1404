"""A running server's voice for `voicestack say --url`: a conversation in a thread of its own, taken chunk by chunk."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from queue import SimpleQueue

from voicestack.runtime import VoicestackError

from .client import ConnectionLostError, RemoteChunk, RemoteSession, connect
from .first_error import first_error
from .say_voice import Manner, SayVoice
from .text_pipe import TextPipe

_FRAME_S = 0.08
_READ_AHEAD = 4
"""Pieces of a pipe that wait for their turn; a writer that is faster waits, too."""


def load_remote(url: str, token: str | None, manner: Manner, *, paced: bool) -> SayVoice:
    """A voice that speaks through a server, connected; raises what `connect` raises, and InputError for the manner.

    `paced` is for a sound card: sound comes no further ahead than is needed.
    """
    manner.refuse("seconds", "rate", "prompt", "prompt_text", "language", "instruction")
    conversation = _Conversation(connect(url, token=token, depth=manner.depth, seed=manner.seed, unpaced=not paced))
    session = conversation.begun()
    rate_hz = session.sample_rate_hz

    def speak(text: str | TextPipe, _: Manner) -> Iterator[RemoteChunk]:
        return conversation.speak(text)

    return SayVoice(speak, lambda _: None, rate_hz, round(_FRAME_S * rate_hz), int(session.hello.get("depth", 0)))


class _Conversation:
    """One utterance through one session, whose event loop runs in a thread, so that text and sound wait for nobody."""

    def __init__(self, session: RemoteSession) -> None:
        self._session = session
        self._connected: Future[asyncio.AbstractEventLoop] = Future()
        self._text: Future[str | TextPipe] = Future()
        self._sound: SimpleQueue[RemoteChunk | VoicestackError | None] = SimpleQueue()
        self._left = asyncio.Event()
        # Should the program end, it waits neither for the server nor for a pipe.
        self._thread = threading.Thread(target=self._run, name="voicestack-remote", daemon=True)

    def begun(self) -> RemoteSession:
        """The session, connected."""
        self._thread.start()
        self._connected.result()
        return self._session

    def speak(self, text: str | TextPipe) -> Iterator[RemoteChunk]:
        """The sound of a text; who stops taking it ends the conversation."""
        self._text.set_result(text)
        try:
            while (piece := self._sound.get()) is not None:
                if isinstance(piece, VoicestackError):
                    raise piece
                yield piece
        finally:
            with suppress(RuntimeError):  # the loop has ended by itself
                self._connected.result().call_soon_threadsafe(self._left.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._converse())
        except VoicestackError as error:
            if not self._connected.done():
                self._connected.set_exception(error)
            self._sound.put(error)
        except BaseException as error:
            failure = ConnectionLostError(f"the conversation broke off: {error!r}")
            if not self._connected.done():
                self._connected.set_exception(failure)
            self._sound.put(failure)
            raise
        finally:
            self._sound.put(None)

    async def _converse(self) -> None:
        async with self._session:
            self._connected.set_result(asyncio.get_running_loop())
            speaking = asyncio.create_task(self._speak(), name="voicestack-remote-speaking")
            leaving = asyncio.create_task(self._left.wait(), name="voicestack-remote-leaving")
            await asyncio.wait({speaking, leaving}, return_when=asyncio.FIRST_COMPLETED)
            leaving.cancel()
            if not speaking.done():
                speaking.cancel()
            with suppress(asyncio.CancelledError):
                await speaking

    async def _speak(self) -> None:
        writer = _Writer(self._session, await asyncio.wrap_future(self._text))
        try:
            # Should one of both fail, nobody waits for the other.
            async with asyncio.TaskGroup() as group:
                group.create_task(writer.write(), name="voicestack-remote-writer")
                await self._listen(writer)
        except* VoicestackError as failed:
            raise first_error(failed) from None

    async def _listen(self, writer: "_Writer") -> None:
        offset_s = 0.0
        while await writer.has_more():
            spoken_s = 0.0
            async for chunk in self._session.audio():
                spoken_s = chunk.start_s + len(chunk.pcm) / self._session.sample_rate_hz
                words = tuple(replace(word, start_s=word.start_s + offset_s) for word in chunk.words)
                self._sound.put(replace(chunk, start_s=chunk.start_s + offset_s, words=words))
            offset_s += spoken_s
            writer.spoken()


class _Writer:
    """Pushes a text, whole or as it comes through a pipe, in as many utterances as the server's limit asks for."""

    def __init__(self, session: RemoteSession, text: str | TextPipe) -> None:
        self._session, self._text = session, text
        self._most = int(session.hello["limits"]["buffered_chars"])
        self._pushed = 0
        self._ended = False
        self._news, self._spoken = asyncio.Event(), asyncio.Event()

    async def write(self) -> None:
        """Push all of it, and flush."""
        pieces: asyncio.Queue[str | VoicestackError | None] = asyncio.Queue()
        room = threading.Semaphore(_READ_AHEAD)
        if isinstance(self._text, str):
            pieces.put_nowait(self._text)
            pieces.put_nowait(None)
        else:
            reading = (self._text, pieces, room, asyncio.get_running_loop())
            threading.Thread(target=_read, args=reading, name="voicestack-remote-pipe", daemon=True).start()
        while isinstance(piece := await pieces.get(), str):
            room.release()
            while piece:
                piece = await self._push(piece)
        if piece is not None:
            raise piece
        await self._session.flush()
        self._ended = True
        self._news.set()

    async def has_more(self) -> bool:
        """Wait for text that was not spoken; false when no more comes."""
        while not self._pushed and not self._ended:
            self._news.clear()
            await self._news.wait()
        return self._pushed > 0

    def spoken(self) -> None:
        """An utterance is over."""
        self._pushed = 0
        self._spoken.set()

    async def _push(self, text: str) -> str:
        """Push as much as the server holds; returns what is left, once the rest has been spoken."""
        head = (
            text if self._pushed + len(text) <= self._most else text[: _place_to_cut(text, self._most - self._pushed)]
        )
        self._spoken.clear()
        if head:
            await self._session.push_text(head)
            self._pushed += len(head)
            self._news.set()
        if len(head) < len(text):
            await self._session.flush()
            await self._spoken.wait()
        return text[len(head) :]


def _place_to_cut(text: str, most: int) -> int:
    """Where a text is best divided, at the latest there: behind a sentence, or else behind a word."""
    room = text[:most]
    ends = [room.rfind(mark) + len(mark) for mark in (". ", "? ", "! ", "\n") if mark in room]
    return max(ends) if ends else room.rfind(" ") + 1 or most


def _read(
    pipe: TextPipe,
    pieces: "asyncio.Queue[str | VoicestackError | None]",
    room: threading.Semaphore,
    loop: asyncio.AbstractEventLoop,
) -> None:
    """Read a pipe in a thread, which waits for text, and for room, as long as it takes."""
    last: VoicestackError | None = None
    with suppress(RuntimeError):  # the loop has ended; nobody wants the rest
        try:
            for piece in pipe:
                room.acquire()
                loop.call_soon_threadsafe(pieces.put_nowait, piece)
        except VoicestackError as error:
            last = error
        loop.call_soon_threadsafe(pieces.put_nowait, last)
