"""Wyoming over TCP, the way into Home Assistant. The protocol knows no password: who can connect may speak."""

import asyncio
import contextlib
import logging
from collections import deque

from voicestack.runtime import InputError, VoicestackError

from ..outlet import Ending
from .bucket import Bucket
from .edge import WireClosedError
from .failures import cannot_listen
from .service import Service
from .sockets import bound
from .talk import Ended, Talk, TalkEvent
from .wyoming_core import Answer, Begin, Command, Decoder, Dialogue, Say, Speech, WyomingEvent, failed

_LOG = logging.getLogger(__name__)
_CONNECTIONS = 64
"""A connection that does not speak costs a descriptor and few kilobytes; those that do are bounded by the voice."""
_READ_BYTES = 65_536
_WRITE_BYTES = 32_768


class WyomingEdge:
    """A Wyoming server, until `run` is cancelled. Whether `host` may be reached by others is for its caller to decide.

    Attributes:
        service: what it was made with.
        port: where it listens, also when any free one was asked for by 0.
        listening: set when it does.
    """

    def __init__(self, service: Service, host: str = "127.0.0.1", port: int = 10200) -> None:
        self.service, self._host = service, host
        self.port = port
        self.listening = asyncio.Event()
        self._connections: set[_Connection] = set()

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def run(self) -> None:
        """Serve. InputError when nobody can listen there."""
        group = asyncio.TaskGroup()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(self._serve(reader, writer), name="voicestack-wyoming")

        try:
            server = await asyncio.start_server(accept, self._host, self.port, limit=_READ_BYTES, start_serving=False)
        except (OSError, UnicodeError) as error:
            raise InputError(cannot_listen(self._host, self.port, error, "--wyoming")) from error
        self.port = server.sockets[0].getsockname()[1]
        async with group:
            try:
                await server.start_serving()
                self.listening.set()
                await asyncio.Event().wait()
            finally:
                server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self.service, reader, writer)
        try:
            if len(self._connections) >= _CONNECTIONS:
                await connection.refuse(f"{_CONNECTIONS} connections are open and no more fit; try again later")
                return
            self._connections.add(connection)
            await connection.run()
        except Exception:
            # One client must not take the others with it.
            _LOG.exception("Wyoming: a connection failed")
        finally:
            await connection.aclose()
            self._connections.discard(connection)


class _Connection:
    """One client."""

    def __init__(self, service: Service, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._service, self._reader, self._writer = service, reader, writer
        self._decoder = Decoder(service.limits)
        self._dialogue = Dialogue(service.voice_name, service.limits)
        self._events: deque[WyomingEvent] = deque()
        self._talk: Talk | None = None
        self._speaking: asyncio.Task[None] | None = None
        self._heard = False
        self._bucket = Bucket(service.limits.messages_per_s, service.limits.message_burst, service.clock)
        bound(writer.transport, _WRITE_BYTES)

    async def run(self) -> None:
        """Do what the client asks for until it leaves, asks for what cannot be done, or does not ask for too long."""
        try:
            async with asyncio.timeout(self._service.limits.total_s):
                while (event := await self._next()) is not None:
                    await self._bucket.wait()
                    # What comes in one piece is read without a pause, and others are to be heard between.
                    await asyncio.sleep(0)
                    for command in self._dialogue.read(event):
                        await self._obey(command)
        except VoicestackError as error:
            await self.refuse(str(error))
        except (OSError, TimeoutError):
            # It is gone, or was here for too long.
            pass
        finally:
            if self._speaking is not None:
                self._speaking.cancel()
                await asyncio.gather(self._speaking, return_exceptions=True)

    async def aclose(self) -> None:
        """Close, and cut the client off when it does not take what was sent."""
        self._writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            try:
                async with asyncio.timeout(self._service.limits.send_s):
                    await self._writer.wait_closed()
            finally:
                self._writer.transport.abort()

    async def refuse(self, why: str) -> None:
        """Say why, and close."""
        with contextlib.suppress(WireClosedError):
            await self._write(failed(why))
        self._writer.close()

    @property
    def _is_speaking(self) -> bool:
        return self._speaking is not None and not self._speaking.done()

    async def _next(self) -> WyomingEvent | None:
        """The next event; None when the client has left."""
        limits = self._service.limits
        while not self._events:
            try:
                async with asyncio.timeout(limits.idle_s if self._heard else limits.first_s):
                    await self._read()
            except TimeoutError:
                # Who waits for sound has nothing to say meanwhile.
                if not self._is_speaking or self._dialogue.streaming:
                    raise InputError("nothing was asked for; connect again when there is") from None
            if self._reader.at_eof():
                return None
        self._heard = True
        return self._events.popleft()

    async def _read(self) -> None:
        """Read until there is an event, or the end."""
        while not self._events and not self._reader.at_eof():
            self._events.extend(self._decoder.feed(await self._reader.read(_READ_BYTES)))

    async def _obey(self, command: Command) -> None:
        if isinstance(command, Answer):
            await self._write(command.data)
        elif isinstance(command, Begin):
            if self._speaking is not None:
                await self._speaking
            self._begin(command.streaming)
        elif self._talk is not None:
            if isinstance(command, Say):
                self._talk.push(command.text)
            else:
                self._talk.flush()
                self._talk.close()

    def _begin(self, streaming: bool) -> None:
        async def emit(event: TalkEvent) -> None:
            await self._write(speech.tell(event))
            if isinstance(event, Ended) and event.ending is not Ending.FINISHED:
                raise WireClosedError("the speech failed, which was told")

        self._talk = talk = Talk(self._service, emit, realtime=False)
        speech = Speech(talk.session.sample_rate_hz, streaming=streaming)
        self._speaking = asyncio.create_task(self._speak(talk), name="voicestack-wyoming-talk")

    async def _speak(self, talk: Talk) -> None:
        """Speak; after an error the connection is closed, which ends the reading, too."""
        try:
            await talk.run()
        except WireClosedError:
            self._writer.close()
        except VoicestackError as error:
            await self.refuse(str(error))
        except Exception:
            _LOG.exception("Wyoming: a speech failed")
            await self.refuse("the server failed; its log tells more")

    async def _write(self, data: bytes) -> None:
        """Send; WireClosedError when the client is gone, or has not read for too long and was cut off."""
        if not data:
            return
        try:
            self._writer.write(data)
            async with asyncio.timeout(self._service.limits.send_s):
                await self._writer.drain()
        except (OSError, TimeoutError) as error:
            self._writer.transport.abort()
            raise WireClosedError("the client is gone, or does not read") from error
