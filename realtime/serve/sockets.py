"""What asyncio's own sockets need to be told, whatever is spoken on them."""

import asyncio
import contextlib
import socket

_SOCKET_BYTES = 65_536
"""What the kernel may hold for a reader; left alone it takes 85 seconds of sound from us before anybody notices."""


class Turned(asyncio.Protocol):
    """A connection there is no room for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Turn it away."""
        if isinstance(transport, asyncio.Transport):
            transport.abort()


def bound(transport: asyncio.WriteTransport, high_bytes: int = 0) -> None:
    """Let neither the kernel nor asyncio take much more than its reader does."""
    transport.set_write_buffer_limits(high=high_bytes)
    raw_socket = transport.get_extra_info("socket")
    if raw_socket is not None:
        with contextlib.suppress(OSError):
            raw_socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SOCKET_BYTES)
