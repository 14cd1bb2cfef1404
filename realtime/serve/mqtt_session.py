"""One device's conversation over a broker."""

import asyncio
import logging

from voicestack.runtime import CapacityError, InputError, VoicestackError

from ..outlet import Ending
from .bucket import Bucket
from .mqtt_core import By, Close, Command, Flush, Interrupt, Open, Publication, Reporter, Say
from .mqtt_pieces import Pieces, pieces_for
from .mqtt_uplink import Outbox, Uplink
from .service import Service
from .talk import Ended, Opened, Sound, Talk, TalkEvent

_LOG = logging.getLogger(__name__)
_SPOKEN_TO_ITS_END = (Ending.FINISHED, Ending.STARVED)


class MqttSession:
    """One device's conversation, from its first message to `closed`."""

    def __init__(self, service: Service, uplink: Uplink, reporter: Reporter, wish: Open) -> None:
        """Raises InputError for a depth the voice has not."""
        self._service, self._uplink, self._reporter, self._wish = service, uplink, reporter, wish
        self._talk = Talk(service, self._emit, depth=wish.depth)
        self._pieces: Pieces | None = None
        self._outbox = Outbox(uplink)
        self._opened_s = self._heard_s = service.clock()
        self._reason = "asked"
        self._conversing: asyncio.Task[None] | None = None
        self._is_broken_off = False
        limits = service.limits
        self.bucket = Bucket(limits.messages_per_s, limits.message_burst, service.clock)
        self.late: list[Command] = []
        self.is_over = False

    async def obey(self, command: Command) -> None:
        """Do what the device asks for."""
        self._heard_s = self._service.clock()
        try:
            if isinstance(command, Say):
                self._reporter.said(self._talk.push(command.text))
            elif isinstance(command, Flush):
                self._reporter.said(self._talk.flush())
            elif isinstance(command, Interrupt):
                await self.interrupt("client")
            elif isinstance(command, Close):
                self._talk.close()
            else:
                self._again(command)
        except VoicestackError as error:
            self.complain(error)

    async def interrupt(self, by: By) -> None:
        """Stop speaking; because the broker is gone only if there is something to stop."""
        if by == "client" or self._talk.busy:
            unended = self._reporter.unended
            await self._talk.interrupt()
            self._reporter.interrupted(by, unended)

    def complain(self, error: VoicestackError) -> None:
        """Tell the device what cannot be done, unless it was told too often to listen."""
        if not self._outbox.full:
            self._outbox.put(self._reporter.error(str(error), getattr(error, "retry_after_s", None)))

    def end(self, reason: str) -> None:
        """Break the conversation off."""
        self._is_broken_off = True
        if self._conversing is not None and not self._conversing.done():
            self._reason = reason
            self._conversing.cancel()

    async def run(self) -> None:
        """Converse, and see to it that the last event arrives."""
        sending = asyncio.create_task(self._outbox.run(), name="voicestack-mqtt-outbox")
        self._conversing = asyncio.create_task(self._converse(), name="voicestack-mqtt-talk")
        if self._is_broken_off:
            self.end("shutdown")
        try:
            await self._watch(self._conversing)
            self.is_over = True
            self._outbox.put(*self._reporter.closed(self._reason))
            await self._outbox.empty()
        finally:
            self._conversing.cancel()
            sending.cancel()
            await asyncio.gather(self._conversing, sending, return_exceptions=True)

    async def _converse(self) -> None:
        try:
            self._pieces = await pieces_for(self._wish, self._talk.session.sample_rate_hz)
            await self._talk.run()
        except CapacityError as error:
            self._reason = "full"
            self.complain(error)
        except VoicestackError as error:
            self._reason = "failed"
            self.complain(error)
        except Exception:
            # One session must not take the others with it.
            _LOG.exception("MQTT: a session failed")
            self._reason = "failed"
            self.complain(VoicestackError("the server failed; its log tells more"))

    async def _watch(self, conversing: "asyncio.Task[None]") -> None:
        limits, clock = self._service.limits, self._service.clock
        while not conversing.done():
            now_s = clock()
            if now_s - self._opened_s >= limits.total_s:
                self.end("total")
            elif now_s - self._heard_s >= limits.idle_s and not self._talk.busy:
                self.end("idle")
            elif self._talk.busy:
                # What is spoken now does not count as silence of the device.
                self._heard_s = now_s
            await asyncio.wait({conversing}, timeout=min(1.0, limits.idle_s / 4))

    async def _emit(self, event: TalkEvent) -> None:
        if isinstance(event, Opened):
            self._outbox.put(self._reporter.opened(self._announced()))
        elif self._pieces is not None:
            for publication in self._sound(self._pieces, event):
                await self._uplink.send(publication)
            self._outbox.put(*self._reporter.tell(event))
        await self._outbox.room()

    def _sound(self, pieces: Pieces, event: TalkEvent) -> list[Publication]:
        if isinstance(event, Sound):
            found = pieces.feed(event.chunk.pcm)
        elif isinstance(event, Ended) and event.ending in _SPOKEN_TO_ITS_END:
            found = pieces.finish()
        else:
            pieces.drop()
            return []
        return self._reporter.sound(event.utterance, found, pieces.content_type)

    def _again(self, wish: Open) -> None:
        """A device that was away opens what is open."""
        if wish not in (Open(), self._wish):
            raise InputError("the session is open with another form of sound; send close before open")
        # Before there is room, `opened` comes by itself.
        if self._pieces is not None and not self._outbox.full:
            self._outbox.put(self._reporter.opened(self._announced()))

    def _announced(self) -> dict[str, object]:
        limits, pieces = self._service.limits, self._pieces
        sound = {"sample_rate": pieces.sample_rate_hz, "chunk_ms": pieces.chunk_ms} if pieces is not None else {}
        bounds = {"text_chars": limits.text_chars, "buffered_chars": limits.buffered_chars, "idle_s": limits.idle_s}
        return {"voice": self._service.voice_name, "format": self._wish.form, **sound, "limits": bounds}
