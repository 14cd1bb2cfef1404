import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("aiohttp", reason="the `serve` extra is not installed")
pytest.importorskip("websockets", reason="the `serve` extra is not installed")

from serving import served

from voicestack.realtime.bench.cli import Setup, bench
from voicestack.realtime.bench.server_process import ServerProcess, ServerProcessError

REPLIES = ["Yes, it is.", "No, it is not that."]


@contextmanager
def a_server(**config: Any) -> Iterator[str]:
    """Our own, in a thread of its own, as it would be in another process."""
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()
    url = ""

    async def serve() -> None:
        nonlocal url
        async with served(**config) as server:
            url = server.url
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(20)
        loop.close()


def measured(url: str, tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "out.json"
    code = bench(["--url", url, "--spread", "0", "--json", str(out), *arguments], Setup(replies=REPLIES))
    return code, json.loads(out.read_text("utf-8")) if out.exists() else {}


def test_a_server_is_measured_over_its_websocket(tmp_path: Path) -> None:
    """Two clients hear whole replies, and what is told of them is what the others are told of, too."""
    with a_server() as url:
        code, told = measured(url, tmp_path, "--transport", "ws", "--sessions", "2", "--seconds", "3")
    assert code == 0
    assert told["target"]["transport"] == "ws"
    assert told["replies"]["finished"] >= 1
    assert told["replies"]["failed"] == 0
    assert told["ttfb_ms"]["p50"] > 0


def test_a_server_is_measured_by_calling_it(tmp_path: Path) -> None:
    """A caller hears a reply by the packets that carry it; the server tells of its own underruns."""
    pytest.importorskip("aiortc", reason="the `webrtc` extra is not installed")
    with a_server() as url:
        code, told = measured(url, tmp_path, "--transport", "webrtc", "--seconds", "4")
    assert code == 0
    assert told["target"]["transport"] == "webrtc"
    assert told["replies"]["failed"] == 0
    assert told["ttfb_ms"]["p50"] > 0


@pytest.mark.parametrize("transport", ["ws", "webrtc"])
def test_a_full_server_is_told_as_refusals(tmp_path: Path, transport: str) -> None:
    """With the hint when to come again."""
    if transport == "webrtc":
        pytest.importorskip("aiortc", reason="the `webrtc` extra is not installed")
    with a_server(max_sessions=1) as url:
        arguments = ("--transport", transport, "--sessions", "2", "--seconds", "2")
        code, told = measured(url, tmp_path, *arguments)
    assert code == 0
    assert told["refused"]["count"] >= 1
    assert told["refused"]["retry_after_s"]["p50"] > 0


def test_a_server_that_does_not_begin_tells_why() -> None:
    """The last line it said is the error."""

    async def begin() -> None:
        async with ServerProcess(["--no-such-option"]):
            raise AssertionError("it began")

    with pytest.raises(ServerProcessError, match="ended with 2: .*no-such-option"):
        asyncio.run(begin())
