"""`voicestack say --url`: the command line through a server."""

import asyncio
import io
import json
import os
import threading
import time
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from desk_fakes import Room
from scripted_worker import FRAME, RATE

pytest.importorskip("aiohttp")
pytest.importorskip("websockets")
pytest.importorskip("soxr")
pytest.importorskip("av")
pytest.importorskip("aiortc")

from serving import served

from voicestack.realtime.cli import main
from voicestack.realtime.serve.guard import Policy
from voicestack.realtime.serve.limits import ServeLimits

FAST: dict[str, Any] = {"lead_s": (50.0, 60.0), "queue_s": 100.0}
TOKEN = "a-token-of-the-tests"


class Background:
    """A server in a thread, for the command line, which blocks."""

    def __init__(self, limits: ServeLimits | None = None) -> None:
        self.url, self._limits = "", limits
        self._up, self._down = threading.Event(), asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="server-of-a-test")

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        async with served(policy=Policy(token=TOKEN), limits=self._limits, **FAST) as server:
            self.url = server.url
            self._up.set()
            await self._down.wait()

    def __enter__(self) -> "Background":
        self._thread.start()
        if not self._up.wait(20):
            raise RuntimeError("the server did not come up")
        return self

    def __exit__(self, *_: object) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join()


@pytest.fixture
def say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """`voicestack say` in an empty folder with a token file."""
    monkeypatch.chdir(tmp_path)
    Path("token").write_text(TOKEN + "\n")
    return lambda room, *arguments, **desk: main(["say", *arguments, "--token-file", "token"], room.desk(**desk))


def test_say_speaks_through_a_server(say: Callable[..., int]) -> None:
    """Into a file, with words and the figures of any other voice."""
    room = Room()
    with Background() as server:
        assert say(room, "hello there", "--url", server.url, "--out", "a.wav", "--json", "--depth", "8") == 0
        told = json.loads(room.out.getvalue())
        assert told["words"] == [["hello", 0.0], ["there", 0.48]]
        assert (told["frames"], told["depth"], told["underruns"]) == (11, 8, 0)
        with wave.open("a.wav") as file:
            assert (file.getframerate(), file.getnframes()) == (RATE, 11 * FRAME)
        room = Room()
        assert say(room, "   ", "--url", server.url, "--out", "b.wav") == 2
        assert "nothing that can be spoken" in room.err.getvalue()
        assert say(room, "x", "--url", server.url, "--seconds", "3") == 2
        assert "takes no --seconds" in room.err.getvalue()
        assert say(room, "x", "--url", server.url, "--voice", "bundle") == 2
        assert "leave out one of the two" in room.err.getvalue()
    room = Room()
    assert say(room, "x", "--url", server.url) == 2
    assert "start one by voicestack serve" in room.err.getvalue()


def test_say_speaks_more_than_a_server_holds(say: Callable[..., int]) -> None:
    """Sentence by sentence, as one file."""
    room, text = Room(), "One two. Three four. Five" * 3
    with Background(ServeLimits(buffered_chars=20)) as server:
        assert say(room, text, "--url", server.url, "--out", "a.wav", "--json") == 0
    told = json.loads(room.out.getvalue())
    assert told["frames"] == len(text)
    assert [start_s for _, start_s in told["words"]] == sorted(start_s for _, start_s in told["words"])


def test_say_speaks_a_pipe_while_it_is_open(say: Callable[..., int]) -> None:
    """The first words are there before the last are written."""
    read, write = os.pipe()
    room = Room()
    with Background() as server, os.fdopen(read, "rb"):

        def writer() -> None:
            os.write(write, b"hello ")
            deadline_s = time.monotonic() + 10
            while "hello" not in room.out.getvalue() and time.monotonic() < deadline_s:
                time.sleep(0.005)
            os.write(write, b"there")
            os.close(write)

        thread = threading.Thread(target=writer)
        thread.start()
        assert say(room, "-", "--url", server.url, "--out", "a.wav", "--words", stdin_descriptor=read) == 0
        thread.join()
    assert [line.split()[-1] for line in io.StringIO(room.out.getvalue())] == ["hello", "there"]


def test_a_token_file_must_hold_one_and_needs_a_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one line, before anything is done."""
    monkeypatch.chdir(tmp_path)
    Path("empty").write_text("\n")
    for arguments in (["--token-file", "empty"], ["--token-file", "empty", "--url", "http://x"]):
        room = Room()
        assert main(["say", "x", *arguments], room.desk()) == 2
        assert "--token-file" in room.err.getvalue()
