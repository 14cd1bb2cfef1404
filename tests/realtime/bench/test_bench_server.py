"""`voicestack bench --url` against a small server that speaks a beep."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from voicestack.realtime.bench.cli import Setup, bench

pytest.importorskip("aiohttp")

RATE = 24_000
BEEP = (8000 * np.sin(np.arange(RATE // 5) * 0.1)).astype("<i2").tobytes()
REPLIES = ("Yes.", "No.")


@dataclass
class Server:
    """Answers by `statuses`, one after the other, the last again and again; with WAV only, if `pcm` is False."""

    statuses: list[int] = field(default_factory=lambda: [200])
    pcm: bool = True
    sound: bytes = BEEP
    requests: list[dict[str, Any]] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                fields = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
                self.heads.append(head)
                body = json.loads(await reader.readexactly(int(fields["content-length"])))
                self.requests.append(body)
                await self._send(writer, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _send(self, writer: asyncio.StreamWriter, body: dict[str, Any]) -> None:
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        if body["response_format"] == "pcm" and not self.pcm:
            status = 400
        writer.write(f"HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\nRetry-After: 0.05\r\n\r\n".encode())
        data = self.sound if status == 200 else b"sorry"
        if status == 200 and not self.pcm:
            header = b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0" + RATE.to_bytes(4, "little")
            data = header + (2 * RATE).to_bytes(4, "little") + b"\x02\0\x10\0data\xff\xff\xff\xff" + data
        for at in range(0, len(data), 3001):
            piece = data[at : at + 3001]
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """The server in a thread of its own, as it would be in another process."""
    loop = asyncio.new_event_loop()
    ready, stop = threading.Event(), asyncio.Event()

    async def serve() -> None:
        listener = await asyncio.start_server(server.answer, "127.0.0.1", 0)
        server.port = listener.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        listener.close()
        handlers = asyncio.all_tasks() - {asyncio.current_task()}
        for task in handlers:
            task.cancel()
        await asyncio.gather(*handlers, return_exceptions=True)

    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    assert ready.wait(10)
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def run(server: Server, tmp_path: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "out.json"
    common = ["--url", server.url, "--seconds", "0.8", "--spread", "0", "--json", str(out)]
    code = bench([*common, *arguments], Setup(replies=REPLIES))
    return code, json.loads(out.read_text("utf-8")) if out.exists() else {}


def test_a_server_is_measured_by_the_same_ruler(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its sound is heard and timed; what only the engine knows is left out."""
    with serving(Server()) as server:
        code, told = run(server, tmp_path, "--sessions", "2", "--model", "m", "--server-voice", "v")
    assert code == 0
    assert told["ttfb_ms"]["p50"] > 0
    assert told["ttfa_ms"]["p50"] >= told["ttfb_ms"]["p50"]
    assert told["replies"]["finished"] > 0
    assert told["target"]["transport"] == "http"
    assert told["waterfall_ms"] == {}
    assert "overhead" not in told
    assert told["rtf"] > 0
    first = server.requests[0]
    assert first == {"model": "m", "voice": "v", "input": "Yes.", "response_format": "pcm", "stream": True}
    assert server.heads[0].startswith("POST /v1/audio/speech ")
    assert "of answering per second" in capsys.readouterr().out


def test_a_server_without_pcm_is_asked_for_wav(tmp_path: Path) -> None:
    """Once it has refused, not each time."""
    with serving(Server(pcm=False)) as server:
        code, told = run(server, tmp_path)
    assert code == 0
    assert told["replies"]["failed"] == 0
    assert [request["response_format"] for request in server.requests].count("pcm") == 1


def test_a_busy_server_refuses_with_its_hint(tmp_path: Path) -> None:
    """429 is a refusal, and whoever is refused comes again."""
    with serving(Server([200, 429, 200])) as server:
        _, told = run(server, tmp_path)
    assert told["refused"] == {
        "count": 1,
        "retry_after_s": {"p50": 0.05, "p90": 0.05, "p95": 0.05, "p99": 0.05, "max": 0.05},
    }
    assert told["replies"]["finished"] > 0


def test_a_server_that_breaks_later_is_counted(tmp_path: Path) -> None:
    """With the first thing it said."""
    with serving(Server([200, 500, 200])) as server:
        _, told = run(server, tmp_path)
    assert told["replies"]["failed"] == 1
    assert "answered 500: sorry" in told["first_error"]


@pytest.mark.parametrize(("server", "told"), [(Server([404]), "answered 404: sorry"), (Server(sound=b""), "any sound")])
def test_a_server_that_cannot_speak_is_one_line(
    server: Server, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And exit code 2."""
    with serving(server):
        code, _ = run(server, tmp_path)
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert told in line


def test_a_server_that_is_not_there_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its address."""
    assert run(Server(port=1), tmp_path)[0] == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "http://127.0.0.1:1/v1/audio/speech cannot be used" in line


def test_a_key_is_sent_only_when_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No variable is read that was not asked for."""
    monkeypatch.setenv("MY_KEY", "open-sesame")
    monkeypatch.setenv("OPENAI_API_KEY", "not-for-you")
    with serving(Server()) as server:
        run(server, tmp_path)
        assert "authorization" not in "".join(server.heads).lower()
        run(server, tmp_path, "--key-env", "MY_KEY")
    assert "Authorization: Bearer open-sesame" in server.heads[-1]


def test_text_that_is_written_slowly_is_sent_when_it_is_complete(tmp_path: Path) -> None:
    """Such a server cannot begin earlier, and the waiting is its listener's."""
    with serving(Server()) as server:
        _, told = run(server, tmp_path, "--text-rate", "100")
    assert {request["input"] for request in server.requests} <= set(REPLIES)
    assert told["ttfb_after_word_ms"]["p50"] is not None


def test_a_server_cannot_be_interrupted() -> None:
    """The option is not offered."""
    with pytest.raises(SystemExit):
        bench(["interrupt", "--url", "http://localhost:1"])
