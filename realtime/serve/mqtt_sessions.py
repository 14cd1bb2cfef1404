"""The conversations that devices hold over one broker."""

import asyncio
import logging
from contextlib import suppress

from voicestack.runtime import InputError, StateError, VoicestackError

from .bucket import Bucket
from .mqtt_address import Topics
from .mqtt_core import Command, Message, Open, Reporter, Say, presence, read_command
from .mqtt_session import MqttSession
from .mqtt_uplink import Backoff, Connect, Outbox, Uplink
from .service import Service

_LOG = logging.getLogger(__name__)


class MqttSessions:
    """All sessions of a server on one broker; their tasks belong to `group`."""

    def __init__(self, service: Service, topics: Topics, uplink: Uplink, group: asyncio.TaskGroup) -> None:
        self._service, self._topics, self._uplink, self._group = service, topics, uplink, group
        self._sessions: dict[str, MqttSession] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._complaints = Outbox(uplink)
        self._is_closing = False
        limits = service.limits
        self._strangers = Bucket(limits.messages_per_s, limits.message_burst, service.clock)
        group.create_task(self._complaints.run(), name="voicestack-mqtt-complaints")

    def __len__(self) -> int:
        return len(self._sessions)

    async def receive(self, message: Message) -> None:
        """Do what a message asks for, or answer what is wrong with it."""
        target = self._topics.read(message.topic)
        # What a broker kept was said to somebody who is long gone, and would be said again after every restart.
        if target is None or message.retained or self._is_closing:
            return
        session_id, kind = target
        session = self._sessions.get(session_id)
        bucket = self._strangers if session is None else session.bucket
        try:
            if not bucket.take():
                return self._complain_once(session_id, bucket)
            await self._obey(session_id, read_command(kind, message.payload, self._service.limits))
        except VoicestackError as error:
            self._complain(session_id, error)

    async def lost(self) -> None:
        """The broker is gone: what is being spoken is spoken to nobody."""
        for session in list(self._sessions.values()):
            # One that is being closed cannot be interrupted, and need not be.
            with suppress(StateError):
                await session.interrupt("broker")

    async def aclose(self, patience_s: float) -> None:
        """End all sessions, and let their devices know, if the broker takes it in time."""
        self._is_closing = True
        for session in self._sessions.values():
            session.late.clear()
            session.end("shutdown")
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=patience_s)

    async def _obey(self, session_id: str, command: Command) -> None:
        session = self._sessions.get(session_id)
        if session is None:
            session = self._begin(session_id, command)
            if isinstance(command, Open):
                return
        if not session.is_over:
            await session.obey(command)
        elif len(session.late) < self._service.limits.message_burst:
            # Its last event is on the way; what comes now is for the next session of that name.
            session.late.append(command)

    def _begin(self, session_id: str, command: Command) -> MqttSession:
        if not isinstance(command, Open | Say):
            raise StateError("no session is open; send text, or the control message {'type': 'open'}, before")
        wish = command if isinstance(command, Open) else Open()
        session = MqttSession(self._service, self._uplink, Reporter(self._topics, session_id), wish)
        self._sessions[session_id] = session
        task = self._group.create_task(self._run(session_id, session), name="voicestack-mqtt-session")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return session

    async def _run(self, session_id: str, session: MqttSession) -> None:
        try:
            await session.run()
        except Exception:
            # One session must not take the others with it.
            _LOG.exception("MQTT: a session failed")
        finally:
            del self._sessions[session_id]
        for command in session.late:
            try:
                await self._obey(session_id, command)
            except VoicestackError as error:
                self._complain(session_id, error)

    def _complain(self, session_id: str, error: VoicestackError) -> None:
        session = self._sessions.get(session_id)
        if session is not None and not session.is_over:
            session.complain(error)
        elif not self._complaints.full:
            self._complaints.put(Reporter(self._topics, session_id).error(str(error)))

    def _complain_once(self, session_id: str, bucket: Bucket) -> None:
        if not bucket.told:
            bucket.told = True
            self._complain(session_id, InputError("too many messages come at once; some were dropped"))


class MqttServer:
    """Sessions over whatever `connect` connects to, until `run` is cancelled."""

    def __init__(self, service: Service, topics: Topics, connect: Connect, backoff: Backoff | None = None) -> None:
        self._service, self._topics, self._connect, self._backoff = service, topics, connect, backoff
        self._sessions: MqttSessions | None = None

    async def run(self) -> None:
        """Serve; when cancelled, tell every device before leaving."""
        uplink = Uplink(
            self._connect,
            presence(self._topics, online=True),
            on_message=self._receive,
            on_lost=self._lost,
            clock=self._service.clock,
            backoff=self._backoff,
        )
        patience_s = self._service.limits.send_s
        async with asyncio.TaskGroup() as group:
            self._sessions = sessions = MqttSessions(self._service, self._topics, uplink, group)
            connection = group.create_task(uplink.run(), name="voicestack-mqtt")
            try:
                await asyncio.wait({connection})
            finally:
                await sessions.aclose(patience_s)
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience_s):
                        # A goodbye takes the last will back, which would say the same.
                        await uplink.send(presence(self._topics, online=False))

    async def _receive(self, message: Message) -> None:
        if self._sessions is None:
            return
        try:
            await self._sessions.receive(message)
        except Exception:
            # One message must not take the server with it.
            _LOG.exception("MQTT: a message could not be served")

    async def _lost(self) -> None:
        if self._sessions is not None:
            await self._sessions.lost()
