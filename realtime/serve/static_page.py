"""The page: files that ship with this package, kept in memory, revalidated by their hash."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable

from .edge import HttpRoute, Reply, Request
from .failures import RefusedError

_TYPES = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "png": "image/png",
    "ico": "image/x-icon",
    "woff2": "font/woff2",
    "webmanifest": "application/manifest+json",
    "json": "application/json",
}
"""What may be asked for; other files in the folder are not served."""
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "connect-src 'self'",
        "media-src 'self' blob: mediastream:",
        "manifest-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
SECURITY = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


@dataclass(frozen=True, slots=True)
class _File:
    data: bytes
    content_type: str
    etag: str


class StaticPage:
    """Serves a folder of the package: its index.html at `/`, everything at `/page/`."""

    def __init__(self, folder: Traversable | None = None) -> None:
        self._files = dict(_read(folder or files("voicestack.realtime.serve") / "page", ""))

    def routes(self) -> list[HttpRoute]:
        """Where it is to be mounted."""
        return [
            HttpRoute("GET", "/", self.index, open_to_all=True, needs_voice=False),
            HttpRoute("GET", "/page/{name:.+}", self.file, open_to_all=True, needs_voice=False),
        ]

    async def index(self, request: Request) -> Reply:
        """The page itself."""
        return self._reply("index.html", request)

    async def file(self, request: Request) -> Reply:
        """What it is made of."""
        return self._reply(request.path_values["name"], request)

    def _reply(self, name: str, request: Request) -> Reply:
        # Looked up among what was read, so that no name leads out of the folder.
        file = self._files.get(name)
        if file is None:
            raise RefusedError(404, "unknown_url", "there is no such file of the page")
        headers = {**SECURITY, "ETag": file.etag, "Cache-Control": "no-cache"}
        known = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if file.etag in known or known == ["*"]:
            return Reply(304, content_type=file.content_type, headers=headers)
        return Reply(200, file.data, file.content_type, headers)


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, _File]]:
    if not folder.is_dir():
        return
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
        elif (content_type := _TYPES.get(entry.name.rpartition(".")[2])) is not None:
            data = entry.read_bytes()
            yield prefix + entry.name, _File(data, content_type, f'"{hashlib.sha256(data).hexdigest()[:32]}"')
