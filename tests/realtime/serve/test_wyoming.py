"""The Wyoming server over real connections, with a client of a few lines."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

pytest.importorskip("soxr", reason="sound on the wire needs the `serve` extra")

import fuzz_wyoming
from async_tests import run
from hypothesis import given
from hypothesis import strategies as st
from scripted_worker import FRAME, RATE, ScriptedWorker

from voicestack.realtime.scheduler import Limits
from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.service import Service
from voicestack.realtime.serve.wyoming_core import Decoder, WyomingEvent, encoded
from voicestack.realtime.serve.wyoming_edge import WyomingEdge
from voicestack.realtime.voice import Voice, VoiceConfig
from voicestack.runtime import InputError

FORM = {"rate": RATE, "width": 2, "channels": 1}


class Client:
    """Writes events, and reads them with their payloads."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    def send(self, kind: str, **data: object) -> None:
        self._writer.write(encoded(kind, data))

    def send_bytes(self, data: bytes) -> None:
        self._writer.write(data)

    async def read(self) -> tuple[str, dict[str, Any], bytes] | None:
        """The next event; None at the end."""
        if not (line := await self._reader.readline()):
            return None
        header = json.loads(line)
        data = await self._reader.readexactly(header.get("data_length", 0))
        payload = await self._reader.readexactly(header.get("payload_length", 0))
        return header["type"], json.loads(data or b"{}"), payload

    async def until(self, kind: str) -> list[tuple[str, dict[str, Any], bytes]]:
        """The events up to one of a kind."""
        events = []
        while (event := await self.read()) is not None:
            events.append(event)
            if event[0] == kind:
                return events
        raise AssertionError(f"closed before {kind}, after {[event[0] for event in events]}")

    def leave(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def served(
    limits: ServeLimits | None = None,
    worker: ScriptedWorker | None = None,
    *,
    sessions: int = 64,
    starved_s: float = 60.0,
) -> AsyncIterator[WyomingEdge]:
    worker = worker or ScriptedWorker()
    config = VoiceConfig(max_sessions=sessions, limits=Limits(starved_s=starved_s))
    async with Voice.load(open_worker=lambda: worker, config=config) as voice:
        edge = WyomingEdge(Service(voice, "scripted", limits or ServeLimits()), port=0)
        serving = asyncio.create_task(edge.run())
        await edge.listening.wait()
        try:
            yield edge
        finally:
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving


@asynccontextmanager
async def connected(edge: WyomingEdge) -> AsyncIterator[Client]:
    reader, writer = await asyncio.open_connection("127.0.0.1", edge.port)
    try:
        yield Client(reader, writer)
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def soon(condition: Callable[[], bool]) -> None:
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it did not come about")


async def nobody_left(edge: WyomingEdge) -> None:
    await soon(lambda: not edge.connections)


def sound(events: list[tuple[str, dict[str, Any], bytes]]) -> bytes:
    return b"".join(payload for kind, _, payload in events if kind == "audio-chunk")


@run
async def test_the_voice_is_described() -> None:
    """One program with one voice, which takes text that is still being written."""
    async with served() as edge, connected(edge) as client:
        client.send("describe")
        ((_, info, _),) = await client.until("info")
        (program,) = info["tts"]
        assert program["supports_synthesize_streaming"]
        assert [voice["name"] for voice in program["voices"]] == ["scripted"]


@run
async def test_a_text_is_spoken() -> None:
    """Between start and stop there is all of its sound, with its format and its times; twice on one connection."""
    async with served() as edge, connected(edge) as client:
        for text in ("hello there", "again"):
            client.send("synthesize", text=text, voice={"name": "scripted"})
            events = await client.until("audio-stop")
            assert events[0] == ("audio-start", FORM, b"")
            assert len(sound(events)) == 2 * len(text) * FRAME
            at_ms = 0.0
            for _, data, payload in events[1:-1]:
                assert data == {**FORM, "timestamp": int(at_ms)}
                at_ms += len(payload) / 2 / RATE * 1000


@run
async def test_a_text_that_is_still_written_is_spoken_once() -> None:
    """Pieces end anywhere, the whole text that comes beside them is not for us, and the end is told twice."""
    async with served() as edge, connected(edge) as client:
        client.send("synthesize-start")
        for piece in ("hel", "lo th", "ere"):
            client.send("synthesize-chunk", text=piece)
        first = await client.until("audio-chunk")
        client.send("synthesize", text="hello there" * 1000)
        client.send("synthesize-stop")
        events = first + await client.until("synthesize-stopped")
        assert [kind for kind, _, _ in events if kind != "audio-chunk"] == [
            "audio-start",
            "audio-stop",
            "synthesize-stopped",
        ]
        assert len(sound(events)) == 2 * len("hello there") * FRAME


@run
async def test_nothing_to_speak_has_an_end_too() -> None:
    """A client that waits for the stop does not wait for ever."""
    async with served() as edge, connected(edge) as client:
        client.send("synthesize", text=" ")
        assert [kind for kind, _, _ in await client.until("audio-stop")] == ["audio-start", "audio-stop"]
        client.send("synthesize-start")
        client.send("synthesize-stop")
        assert (await client.until("synthesize-stopped"))[-2][0] == "audio-stop"


@run
async def test_what_is_not_for_us_is_left_alone() -> None:
    """Events of other programs, with their payloads; a ping is answered."""
    async with served() as edge, connected(edge) as client:
        client.send_bytes(encoded("audio-chunk", {"rate": 1}, b"x" * 1000) + encoded("transcribe") + encoded("later"))
        client.send("ping", text="hello?")
        assert await client.read() == ("pong", {"text": "hello?"}, b"")


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "JSON"),
        (b"x" * 70_000, "65536 bytes"),
        (b'{"type": "x", "payload_length": 70000}\n', "payload_length"),
        (b'{"type": "x", "data_length": -1}\n', "data_length"),
        (b'{"data": {}}\n', "type"),
        (encoded("synthesize", {"text": "x" * 5000}), "characters"),
        (encoded("synthesize", {"text": 3}), "string"),
        (encoded("synthesize", {"text": "a", "text_format": "ssml"}), "plain text"),
        (encoded("synthesize-chunk", {"text": "a"}), "without synthesize-start"),
        (encoded("synthesize-start") * 2, "came twice"),
    ],
)
def test_what_is_wrong_is_told_before_the_connection_is_closed(data: bytes, match: str) -> None:
    """A client that waits for sound is not left waiting."""

    @run
    async def wrong() -> None:
        async with served() as edge, connected(edge) as client:
            client.send_bytes(data)
            with suppress(ConnectionResetError):
                ((_, told, _),) = await client.until("error")
                assert match in told["text"]
                assert await client.read() is None
            await nobody_left(edge)

    wrong()


@run
async def test_who_finds_no_room_is_told() -> None:
    """A session is taken by who speaks, not by who is connected; the refusal is an error event."""
    async with served(sessions=1) as edge, connected(edge) as first, connected(edge) as second:
        first.send("synthesize-start")
        first.send("synthesize-chunk", text="hello")
        await first.until("audio-start")
        second.send("synthesize", text="hello")
        ((_, told, _),) = await second.until("error")
        assert "try again" in told["text"]
        first.send("synthesize-stop")
        await first.until("synthesize-stopped")
        async with connected(edge) as third:
            third.send("synthesize", text="hello")
            await third.until("audio-stop")


@run
async def test_a_speech_that_fails_is_told() -> None:
    """In the place of a stop that would say that it was whole."""

    def fault(key: int, frame: int) -> None:
        if frame == 3:
            raise ValueError("a bad frame")

    async with served(worker=ScriptedWorker(fault=fault)) as edge, connected(edge) as client:
        client.send("synthesize", text="hello")
        assert "audio-stop" not in [kind for kind, _, _ in await client.until("error")]
        assert await client.read() is None


@run
async def test_a_writer_that_stays_away_is_told() -> None:
    """After the voice's patience with a text that is not finished."""
    async with served(starved_s=0.1) as edge, connected(edge) as client:
        client.send("synthesize-start")
        client.send("synthesize-chunk", text="hello")
        assert "starved" in (await client.until("error"))[-1][1]["text"]


@run
async def test_who_does_not_ask_for_anything_is_sent_away() -> None:
    """Soon when it never did, later when it did; not while it listens."""
    async with served(ServeLimits(first_s=0.1, idle_s=0.3)) as edge:
        async with connected(edge) as silent, connected(edge) as dribbling:
            dribbling.send_bytes(b'{"type":')
            assert (await silent.until("error"))[0][0] == "error"
            assert (await dribbling.until("error"))[0][0] == "error"
        async with connected(edge) as client:
            client.send("describe")
            await client.until("info")
            client.send("synthesize", text="hello")
            await client.until("audio-stop")
            await client.until("error")
        await nobody_left(edge)


@run
async def test_a_client_that_leaves_costs_nothing() -> None:
    """What it asked for is not made any more."""
    worker = ScriptedWorker(step_s=0.001)
    async with served(worker=worker) as edge:
        async with connected(edge) as client:
            client.send("synthesize", text="x" * 4000)
            await client.until("audio-chunk")
            client.leave()
        await nobody_left(edge)
        await soon(lambda: not worker.open)
        assert worker.begun[0].made < 4000


@run
async def test_a_client_that_does_not_read_is_cut_off() -> None:
    """Others go on meanwhile, and it holds nothing afterwards."""
    async with served(ServeLimits(send_s=0.2)) as edge:
        async with connected(edge) as slow, connected(edge) as other:
            for _ in range(3):
                slow.send("synthesize", text="x" * 4000)
            other.send("synthesize", text="hello")
            await other.until("audio-stop")
            await soon(lambda: edge.connections < 2)
        await nobody_left(edge)


@run
async def test_a_server_that_ends_leaves_nobody_waiting() -> None:
    """Connections are closed, whether they speak or not, and nobody is let in."""
    async with served(worker=ScriptedWorker(step_s=0.002)) as edge:
        port = edge.port
        quiet = Client(*await asyncio.open_connection("127.0.0.1", port))
        speaking = Client(*await asyncio.open_connection("127.0.0.1", port))
        quiet.send("describe")
        await quiet.until("info")
        speaking.send("synthesize", text="x" * 4000)
        await speaking.until("audio-start")
    assert await quiet.read() is None
    with pytest.raises(AssertionError, match="closed before"):
        await speaking.until("audio-stop")
    with pytest.raises(OSError, match="onnect"):
        await asyncio.open_connection("127.0.0.1", port)
    quiet.leave()
    speaking.leave()


@run
async def test_a_port_that_is_taken_is_told() -> None:
    """By one error that names it."""
    async with served() as edge:
        with pytest.raises(InputError, match=str(edge.port)):
            await WyomingEdge(edge.service, port=edge.port).run()


@given(
    events=st.lists(st.tuples(st.text(max_size=5), st.dictionaries(st.text(max_size=3), st.integers() | st.text()))),
    payload=st.binary(max_size=50),
    cuts=st.lists(st.integers(0, 2000)),
)
def test_events_are_read_however_they_are_cut(
    events: list[tuple[str, dict[str, Any]]], payload: bytes, cuts: list[int]
) -> None:
    """What is written in one piece and read in many is the same."""
    data = b"".join(encoded(kind, fields, payload) for kind, fields in events)
    decoder, at = Decoder(ServeLimits()), sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    found = [event for begin, end in zip(at, at[1:], strict=False) for event in decoder.feed(data[begin:end])]
    assert found == [WyomingEvent(kind, fields) for kind, fields in events]


@given(st.binary(max_size=300))
def test_bytes_that_are_no_events_are_refused_and_nothing_else(data: bytes) -> None:
    """Whatever they are."""
    with suppress(InputError):
        Decoder(ServeLimits(message_bytes=100)).feed(data)


def test_no_event_is_an_error_of_ours() -> None:
    """A short run of the fuzzer."""
    assert fuzz_wyoming.fuzz(400, seed=1).tried == 400


@run
async def test_a_flood_of_events_holds_nobody_up_and_is_read_no_faster_than_allowed() -> None:
    """Many that come in one piece: all are answered in time, and between any two of them others have their turn."""
    limits = ServeLimits(messages_per_s=200, message_burst=20)
    async with served(limits) as edge, connected(edge) as client:
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        ticking, began_s = asyncio.create_task(others()), asyncio.get_running_loop().time()
        client.send_bytes(encoded("describe", {}) * 60)
        for _ in range(60):
            assert (event := await client.read()) is not None
            assert event[0] == "info"
        ticking.cancel()
        assert asyncio.get_running_loop().time() - began_s >= 0.9 * (60 - 20) / 200
        assert turns > 60
