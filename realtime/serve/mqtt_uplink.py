"""The connection to a broker as the sessions see it: it comes and goes, and no event is lost meanwhile."""

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from voicestack.runtime import VoicestackError

from .mqtt_core import Message, Publication

_LOG = logging.getLogger(__name__)
_STEADY_S = 10.0
"""A connection that held for so long was a good one: the next attempt comes soon again."""


class LinkLostError(VoicestackError):
    """The broker cannot be reached, or not any more."""


class Link(Protocol):
    """A connection that stands; both raise LinkLostError when it does not any more."""

    async def publish(self, publication: Publication) -> None:
        """Returns when it is on its way, with QoS 1 when the broker has confirmed it."""
        ...

    async def receive(self) -> Message:
        """The next message."""
        ...


Connect = Callable[[], AbstractAsyncContextManager[Link]]


class Backoff:
    """How long to wait before the next attempt: twice as long each time, and not in step with anybody else."""

    def __init__(self, first_s: float = 0.5, most_s: float = 30.0, rng: Callable[[], float] = random.random) -> None:
        self._first_s, self._most_s, self._rng = first_s, most_s, rng
        self._ceiling_s = first_s

    def next_s(self) -> float:
        """Seconds, between half of the ceiling and the ceiling, which then rises."""
        wait_s = self._ceiling_s * (0.5 + self._rng() / 2)
        self._ceiling_s = min(self._ceiling_s * 2, self._most_s)
        return wait_s

    def reset(self) -> None:
        """The last connection was a good one."""
        self._ceiling_s = self._first_s


class Uplink:
    """Keeps one connection up: `run` it in a task.

    `hello` is published whenever it stands, then messages go to `on_message`; `on_lost` is called when it falls.
    """

    def __init__(
        self,
        connect: Connect,
        hello: Publication,
        *,
        on_message: Callable[[Message], Awaitable[None]],
        on_lost: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
        backoff: Backoff | None = None,
    ) -> None:
        self._connect, self._hello = connect, hello
        self._on_message, self._on_lost, self._clock = on_message, on_lost, clock
        self._backoff = backoff or Backoff()
        self._link: Link | None = None
        self._stands = asyncio.Event()
        self._falls = asyncio.Event()

    @property
    def stands(self) -> bool:
        """Whether the broker is there, as far as is known."""
        return self._link is not None

    async def run(self) -> None:
        """Connect, again and again, until cancelled."""
        while True:
            began_s = self._clock()
            try:
                async with self._connect() as link:
                    await self._serve(link)
            except LinkLostError as error:
                if self._clock() - began_s >= _STEADY_S:
                    self._backoff.reset()
                wait_s = self._backoff.next_s()
                _LOG.warning("MQTT: %s; trying again in %.1f s", error, wait_s)
                await asyncio.sleep(wait_s)

    async def send(self, publication: Publication) -> None:
        """Publish what may be lost, and is while there is no connection."""
        if (link := self._link) is not None:
            await self._tried(link, publication)

    async def deliver(self, publication: Publication) -> None:
        """Publish what must arrive: it waits for a connection, and is sent again until the broker has confirmed it."""
        while True:
            await self._stands.wait()
            if (link := self._link) is not None and await self._tried(link, publication):
                return

    async def _tried(self, link: Link, publication: Publication) -> bool:
        try:
            await link.publish(publication)
        except LinkLostError as error:
            # A link that was replaced meanwhile says nothing about the new one.
            if link is self._link:
                _LOG.warning("MQTT: %s", error)
                self._fall()
            return False
        return True

    async def _serve(self, link: Link) -> None:
        await link.publish(self._hello)
        _LOG.info("MQTT: connected")
        self._falls.clear()
        self._link = link
        self._stands.set()
        listening = asyncio.create_task(self._listen(link), name="voicestack-mqtt-listen")
        fallen = asyncio.create_task(self._falls.wait(), name="voicestack-mqtt-falls")
        try:
            await asyncio.wait({listening, fallen}, return_when=asyncio.FIRST_COMPLETED)
            if listening.done():
                await listening
            raise LinkLostError("the broker does not answer")
        finally:
            listening.cancel()
            fallen.cancel()
            await asyncio.gather(listening, fallen, return_exceptions=True)
            self._fall()
            await self._on_lost()

    async def _listen(self, link: Link) -> None:
        while True:
            await self._on_message(await link.receive())

    def _fall(self) -> None:
        self._link = None
        self._stands.clear()
        self._falls.set()


class Outbox:
    """Events on their way to the broker, in order, each until it is confirmed: `run` it in a task."""

    def __init__(self, uplink: Uplink, most: int = 64) -> None:
        self._uplink, self._most = uplink, most
        self._waiting: deque[Publication] = deque()
        self._news = asyncio.Event()
        self._moved = asyncio.Event()

    @property
    def full(self) -> bool:
        """Whether no more should be put in that can be done without."""
        return len(self._waiting) >= self._most

    def put(self, *publications: Publication) -> None:
        """Send these behind all others."""
        self._waiting.extend(publications)
        self._news.set()

    async def room(self) -> None:
        """Wait while it is full: the way in which a broker that is slow slows the speech down."""
        await self._until(lambda: not self.full)

    async def empty(self) -> None:
        """Wait until all were confirmed."""
        await self._until(lambda: not self._waiting)

    async def run(self) -> None:
        """Send, until cancelled."""
        while True:
            self._news.clear()
            while self._waiting:
                await self._uplink.deliver(self._waiting[0])
                self._waiting.popleft()
                self._moved.set()
            await self._news.wait()

    async def _until(self, done: Callable[[], bool]) -> None:
        while not done():
            self._moved.clear()
            await self._moved.wait()
