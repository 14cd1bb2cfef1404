"""MQTT: the only file that knows aiomqtt. What is said on which topic is told in `mqtt_core`."""

import asyncio
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from .mqtt_address import BrokerAddress, Topics
from .mqtt_core import Message, Publication, presence
from .mqtt_sessions import MqttServer
from .mqtt_uplink import Connect, Link, LinkLostError
from .service import Service

_T = TypeVar("_T")
_KEEPALIVE_S = 10
_SEND_BUFFER_BYTES = 65_536
"""What the kernel may hold of sound for the broker; its own choice would be a minute and more of a session."""
_INCOMING = 1000
_ENVELOPE_BYTES = 1024
_ANSWER_S = 5.0
_GOODBYE_S = 1.0
_NEVER_RETAINED = 2


class MqttEdge(MqttServer):
    """Devices on a broker, until `run` is cancelled; it comes back by itself whenever the broker does."""

    def __init__(self, service: Service, url: str, prefix: str = "voicestack") -> None:
        """Raises InputError for a URL or a prefix that cannot be used."""
        topics = Topics(prefix)
        super().__init__(service, topics, _connector(BrokerAddress.of(url), topics, service))


class _AiomqttLink:
    """A connection of aiomqtt as `Link`."""

    def __init__(self, client: aiomqtt.Client, send_s: float) -> None:
        self._client, self._send_s = client, send_s
        self._messages = client.messages

    async def publish(self, publication: Publication) -> None:
        properties = Properties(PacketTypes.PUBLISH)
        properties.ContentType = publication.content_type
        if publication.expiry_s is not None:
            properties.MessageExpiryInterval = publication.expiry_s
        if publication.properties:
            properties.UserProperty = list(publication.properties)
        try:
            await cancellable(
                self._client.publish(
                    publication.topic,
                    publication.payload,
                    qos=publication.qos,
                    retain=publication.retain,
                    properties=properties,
                    timeout=self._send_s,
                )
            )
        except aiomqtt.MqttError as error:
            raise LinkLostError(f"the broker does not take messages: {error}") from error

    async def receive(self) -> Message:
        try:
            message = await anext(self._messages)
        except aiomqtt.MqttError as error:
            raise LinkLostError(f"the broker is gone: {error.__cause__ or error}") from error
        payload = message.payload if isinstance(message.payload, bytes) else b""
        return Message(str(message.topic), payload, bool(message.retain))


def _connector(address: BrokerAddress, topics: Topics, service: Service) -> Connect:
    """What connects to a broker, says who is there, and subscribes."""
    identifier = f"voicestack-{secrets.token_hex(4)}"
    tls = ssl.create_default_context() if address.tls else None
    limits = service.limits
    will = presence(topics, online=False)

    @asynccontextmanager
    async def connect() -> AsyncIterator[Link]:
        wishes = Properties(PacketTypes.CONNECT)
        wishes.MaximumPacketSize = limits.message_bytes + _ENVELOPE_BYTES
        client = aiomqtt.Client(
            address.host,
            address.port,
            username=address.user,
            password=address.password,
            identifier=identifier,
            protocol=aiomqtt.ProtocolVersion.V5,
            will=aiomqtt.Will(will.topic, will.payload, will.qos, will.retain),
            timeout=_ANSWER_S,
            keepalive=_KEEPALIVE_S,
            clean_start=True,
            max_queued_incoming_messages=_INCOMING,
            properties=wishes,
            tls_context=tls,
            socket_options=(
                (socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES),
                (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
            ),
        )
        # Each session waits for one of its own, which is no reason to worry.
        client.pending_calls_threshold = _INCOMING
        await _enter(client)
        try:
            await subscribe(client, topics)
            yield _AiomqttLink(client, limits.send_s)
        except asyncio.CancelledError:
            await _leave(client)
            raise
        finally:
            # Without a goodbye, so that the broker publishes the last will.
            _cut(client)

    return connect


async def subscribe(client: aiomqtt.Client, topics: Topics) -> None:
    """Listen to what devices send. LinkLostError when the broker does not want that."""
    options = SubscribeOptions(qos=1, retainHandling=_NEVER_RETAINED)
    try:
        for topic in topics.filters:
            for code in await cancellable(client.subscribe(topic, options=options)):
                if isinstance(code, ReasonCode) and code.is_failure:
                    raise LinkLostError(f"the broker refuses {topic}: {code}; let this user read it")
    except aiomqtt.MqttError as error:
        raise LinkLostError(f"the broker takes no subscription: {error}") from error


async def cancellable(call: Awaitable[_T]) -> _T:
    """Await what uses asyncio.wait_for, which before Python 3.12 forgets a cancellation that comes with the result."""
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        return await call
    finally:
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError


async def _enter(client: aiomqtt.Client) -> None:
    """Connect; when cancelled, only after the thread that connects is through: it would leave a connection behind."""
    entering = asyncio.create_task(client.__aenter__(), name="voicestack-mqtt-connect")
    try:
        await asyncio.shield(entering)
    except asyncio.CancelledError:
        with suppress(aiomqtt.MqttError):
            await entering
            await _leave(client)
        _cut(client)
        raise
    except aiomqtt.MqttError as error:
        _cut(client)
        raise LinkLostError(f"the broker cannot be reached: {error}") from error


async def _leave(client: aiomqtt.Client) -> None:
    """Say goodbye, if anybody listens."""
    with suppress(aiomqtt.MqttError, TimeoutError):
        async with asyncio.timeout(_GOODBYE_S):
            await client.__aexit__(None, None, None)


def _cut(client: aiomqtt.Client) -> None:
    """Close what aiomqtt leaves open behind a time-out: the socket, its watchers, and a task that pings."""
    client._client._sock_close()
    if client._disconnected.done() and not client._disconnected.cancelled():
        # Looked at, so that asyncio does not report it as forgotten.
        client._disconnected.exception()
