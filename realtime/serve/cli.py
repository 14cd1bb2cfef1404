"""`voicestack serve`: found by the command line through the package's entry points."""

import asyncio
import sys
from collections.abc import Sequence

from voicestack.runtime import VoicestackError

from ..first_error import first_error
from .settings import BAD_INPUT, parse

_EXTRAS = {"aiohttp": "serve", "soxr": "serve", "aiomqtt": "mqtt", "paho": "mqtt"}
"""Packages that not everybody installs, and the extra of this one that brings each."""


def serve(arguments: Sequence[str] | None = None) -> int:
    """Serve a voice: a page, WebRTC, OpenAI's API, WebSockets, MQTT and Wyoming.

    Returns 0 after it was told to stop, 2 after one line about what was wrong.
    """
    settings = parse(arguments)
    try:
        # Importing takes half a second that `voicestack --help` has no use for.
        from .app import run_until_signalled
        from .logs import configure

        configure()
        asyncio.run(run_until_signalled(settings, sys.stderr))
    except KeyboardInterrupt:
        # It came before anybody listened for it.
        return 0
    except BaseException as failed:
        error = first_error(failed)
        if isinstance(error, ModuleNotFoundError) and (extra := _EXTRAS.get((error.name or "").partition(".")[0])):
            _tell(f"the package {error.name} is missing; install voicestack with its `{extra}` extra")
        elif isinstance(error, VoicestackError | OSError):
            _tell(" ".join(str(error).split()))
        else:
            raise
        return BAD_INPUT
    return 0


def _tell(line: str) -> None:
    print(f"voicestack: error: {line}", file=sys.stderr, flush=True)
