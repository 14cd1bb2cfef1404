"""The server as a whole: what is mounted where, and its life from the open port to the last word spoken."""

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from importlib import import_module
from typing import Any, TextIO

from voicestack.runtime import VoicestackError

from ..lifecycle import State
from ..voice import Voice, VoiceConfig
from .aiohttp_edge import HttpServer
from .call import Assistant
from .door import Door, Readiness, WireMetrics
from .edge import HttpRoute, WsRoute
from .guard import Guard
from .limits import ServeLimits
from .logs import log
from .openai_speech import OpenAiSpeech
from .peers import Peers
from .probes import Probes
from .service import Service
from .settings import Settings
from .static_page import StaticPage
from .ws_shell import routes as websocket_routes

INTERRUPTED = 130
_LOOK_S = 0.05
_AGAIN_S = 2.0
_log = logging.getLogger(__name__)
_TAIL_S = 1.0
"""How long what was handed out may still be on its way to somebody's ear."""


class App:
    """One server of one voice; `run` it, and `stop` it from a signal or a test.

    Attributes:
        port: the one it listens on, once it does.
        door: what tells whether it is ready.
        routes: what it answers, once it listens.
    """

    def __init__(
        self,
        settings: Settings,
        voice: Voice | None = None,
        limits: ServeLimits | None = None,
        *,
        assistant: Callable[[], Assistant] | None = None,
    ) -> None:
        """Args: assistant makes who answers in a call, one for each."""
        self._assistant = assistant
        self._settings, self._limits = settings, limits or ServeLimits()
        self._voice = voice or _voice(settings)
        self._service = Service(self._voice, settings.voice_name, self._limits)
        clock, registry = self._service.clock, self._voice.metrics.registry
        self.door = Door(Guard(settings.policy, clock), self._limits, WireMetrics(registry), clock)
        self.port = 0
        self.routes: Sequence[HttpRoute | WsRoute] = ()
        self.listening = asyncio.Event()
        self.ready = asyncio.Event()
        self._server: HttpServer | None = None
        self._stop = asyncio.Event()
        self._running: asyncio.Task[Any] | None = None

    @property
    def connections(self) -> int:
        """How many are open on its port."""
        return 0 if self._server is None else self._server.connections

    async def run(self) -> None:
        """Serve until stopped, and let what is being spoken end. Raises VoicestackError when that cannot be done."""
        self._running = asyncio.current_task()
        try:
            async with AsyncExitStack() as stack:
                peers = Peers(self._service, self._settings.ice_servers, assistant=self._assistant)
                self.routes = self._routes(peers)
                server = self._server = HttpServer(self.door, self._limits, self.routes)
                self.port = await stack.enter_async_context(server.listening(self._settings.host, self._settings.port))
                self.listening.set()
                await stack.enter_async_context(self._voice)
                stack.push_async_callback(server.say_goodbye)
                stack.push_async_callback(peers.aclose)
                await stack.enter_async_context(self._edges())
                self.door.readiness = Readiness.READY
                self.ready.set()
                log("ready", voice=self._service.voice_name, port=self.port, capacity=self._voice.capacity())
                await self._stop.wait()
                await self._drain()
        except asyncio.CancelledError:
            # Stopped while it was loading: nothing is being spoken.
            if not self._stop.is_set():
                raise
        log("stopped")

    def stop(self) -> None:
        """Shut down; at once while it is loading."""
        if self._stop.is_set():
            return
        self._stop.set()
        if self.door.readiness is Readiness.LOADING and self._running is not None:
            self._running.cancel()
        self.door.readiness = Readiness.DRAINING

    def _routes(self, peers: Peers) -> Sequence[HttpRoute | WsRoute]:
        speech = OpenAiSpeech(self._service)
        return [
            *StaticPage().routes(),
            *Probes(self.door, self._voice.metrics.registry, speech.names).routes(),
            *speech.routes(),
            HttpRoute("POST", "/offer", peers.offer),
            *websocket_routes(self._service),
        ]

    @asynccontextmanager
    async def _edges(self) -> AsyncGenerator[None]:
        """What listens elsewhere than on our port."""
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_kept_running(name, edge), name=f"voicestack-{name}")
                for name, edge in self._asked_for()
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()

    def _asked_for(self) -> list[tuple[str, Any]]:
        settings, edges = self._settings, list[tuple[str, Any]]()
        # Each needs a package that not everybody installs.
        if settings.mqtt_url is not None:
            mqtt = import_module(".mqtt", __package__)
            edges.append(("mqtt", mqtt.MqttEdge(self._service, settings.mqtt_url, settings.mqtt_prefix)))
        if settings.wyoming_port is not None:
            wyoming = import_module(".wyoming_edge", __package__)
            edges.append(("wyoming", wyoming.WyomingEdge(self._service, settings.host, settings.wyoming_port)))
        return edges

    async def _drain(self) -> None:
        """Let in nobody, and wait until nothing is being spoken, though not for ever."""
        log("draining", sessions=self._voice.sessions, at_most_s=self._limits.drain_s)
        closed = asyncio.create_task(self._voice.drain(), name="voicestack-drain")
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._limits.drain_s):
                    quiet_looks = 0
                    while not closed.done() and quiet_looks * _LOOK_S < _TAIL_S:
                        await asyncio.sleep(_LOOK_S)
                        quiet_looks = 0 if self._speaking() else quiet_looks + 1
        finally:
            closed.cancel()

    def _speaking(self) -> bool:
        registry = self._voice.metrics.registry
        states = (State.SPEAKING, State.STARVED, State.DRAINING)
        return any(registry.get_sample_value("voicestack_sessions", {"state": state}) for state in states)


async def _kept_running(name: str, edge: Any) -> None:
    """Run an edge, again after it broke, which nobody else is to notice.

    One that cannot be run, because of a port that is taken or a package that is missing, ends the server with a word:
    it was asked for.
    """
    while True:
        try:
            await edge.run()
            return
        except (VoicestackError, OSError, ImportError):
            raise
        except Exception:
            _log.exception("%s broke, and begins anew", name)
            await asyncio.sleep(_AGAIN_S)


def _voice(settings: Settings) -> Voice:
    config = VoiceConfig() if settings.max_sessions is None else VoiceConfig(max_sessions=settings.max_sessions)
    return Voice.load(settings.voice, config=config)


async def run_until_signalled(settings: Settings, told: TextIO, make: Callable[[Settings], App] = App) -> None:
    """Run a server until TERM or INT; a second signal ends the process at once."""
    app, loop = make(settings), asyncio.get_running_loop()

    def signalled() -> None:
        if app.door.readiness is Readiness.DRAINING:
            print("voicestack serve: ended at once", file=told, flush=True)
            os._exit(INTERRUPTED)
        app.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        with suppress(NotImplementedError):  # Windows
            loop.add_signal_handler(number, signalled)
    announcer = asyncio.create_task(_announce(app, settings, told), name="voicestack-announcer")
    try:
        await app.run()
    finally:
        announcer.cancel()


async def _announce(app: App, settings: Settings, told: TextIO) -> None:
    await app.listening.wait()
    print("\n".join(["voicestack serve", *settings.lines(app.port)]), file=told, flush=True)
