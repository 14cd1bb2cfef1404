"""What whoever runs the server asks it: is it alive, is it ready, how is it doing, what does it offer."""

import json
from collections.abc import Sequence
from importlib.resources import files

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest

from .door import Door, Readiness
from .edge import HttpRoute, Reply, Request
from .guard import TICKET_S


class Probes:
    """Health, metrics, the description of the API, and tickets."""

    def __init__(self, door: Door, registry: CollectorRegistry, voices: Sequence[str]) -> None:
        """Args: voices are the names that a client may ask for."""
        self._door, self._registry = door, registry
        ProcessCollector(registry=registry)
        described = json.loads((files("voicestack.realtime.serve") / "openapi.json").read_bytes())
        described["components"]["schemas"]["VoiceName"]["enum"] = list(voices)
        self._openapi = json.dumps(described).encode()

    def routes(self) -> list[HttpRoute]:
        """Where they are to be mounted."""
        return [
            HttpRoute("GET", "/healthz", self.health, open_to_all=True, needs_voice=False),
            HttpRoute("GET", "/readyz", self.readiness, open_to_all=True, needs_voice=False),
            HttpRoute("GET", "/openapi.json", self.openapi, open_to_all=True, needs_voice=False),
            HttpRoute("GET", "/metrics", self.metrics, needs_voice=False),
            HttpRoute("POST", "/ticket", self.ticket),
        ]

    async def health(self, request: Request) -> Reply:
        """200 as long as the event loop turns."""
        return _json(200, {"status": "ok"})

    async def readiness(self, request: Request) -> Reply:
        """200 while it can speak, 503 while it loads or shuts down."""
        ready = self._door.readiness
        return _json(200 if ready is Readiness.READY else 503, {"status": ready.value})

    async def metrics(self, request: Request) -> Reply:
        """Everything that is counted, as Prometheus reads it."""
        return Reply(body=generate_latest(self._registry), content_type=CONTENT_TYPE_LATEST)

    async def openapi(self, request: Request) -> Reply:
        """The description of the HTTP API."""
        return Reply(body=self._openapi)

    async def ticket(self, request: Request) -> Reply:
        """A ticket for one request that cannot carry the token, as its query's `ticket`."""
        return _json(200, {"ticket": self._door.guard.ticket(), "expires_in": int(TICKET_S)})


def _json(status: int, data: object) -> Reply:
    return Reply(status, json.dumps(data).encode(), headers={"Cache-Control": "no-store"})
