"""Who is told of a doubtful word: whoever reads the chunks, the metrics, and the command line."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from async_tests import run
from desk_fakes import FRAME_SAMPLES, Room, hum
from scripted_worker import ScriptedWorker

from voicestack.realtime.cli import main
from voicestack.realtime.orders import Result, StepOrder
from voicestack.realtime.say_voice import SayVoice
from voicestack.realtime.voice import Voice
from voicestack.runtime import Chunk, Doubt, Reason, WordTiming

DOUBT = Doubt("there", 0.08, 0.16, Reason.UNCLEAR)


class Doubter(ScriptedWorker):
    """Doubts the word of every chunk."""

    def _step(self, step: StepOrder) -> Result:
        result = super()._step(step)
        return result if result.chunk is None else replace(result, chunk=replace(result.chunk, doubts=(DOUBT,)))


@run
async def test_a_session_hands_on_doubts_and_they_are_counted() -> None:
    """Each comes with its chunk, and is counted by its reason."""
    async with Voice.load(open_worker=Doubter) as voice, voice.session() as session:
        await session.push_text("there")
        await session.flush()
        doubts = [doubt async for chunk in session.audio() for doubt in chunk.doubts]
        count = voice.metrics.registry.get_sample_value
        assert set(doubts) == {DOUBT}
        assert count("voicestack_doubts_total", {"reason": "unclear"}) == len(doubts)
        assert count("voicestack_doubts_total", {"reason": "silent"}) is None


def doubted(*_: object, **__: object) -> Iterator[Chunk]:
    yield Chunk(hum(FRAME_SAMPLES), 0.0, (WordTiming("hello", 0.0),))
    yield Chunk(hum(FRAME_SAMPLES), 0.08, (WordTiming("there", 0.08),), doubts=(DOUBT,))


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Room:
    monkeypatch.chdir(tmp_path)
    return Room()


def test_words_are_followed_by_what_is_doubtful(room: Room) -> None:
    """The words stay alone on standard output."""
    desk = room.desk(load_voice=lambda _: SayVoice(doubted, lambda _: None, 24_000, FRAME_SAMPLES, 32))
    assert main(["say", "hello there", "--out", "a.wav", "--words"], desk) == 0
    assert [line.split()[-1] for line in room.out.getvalue().splitlines()] == ["hello", "there"]
    assert "doubtful: 'there' at 0.08 s (unclear)" in room.err.getvalue()


def test_json_has_the_doubts(room: Room) -> None:
    """Word, begin, end and reason."""
    desk = room.desk(load_voice=lambda _: SayVoice(doubted, lambda _: None, 24_000, FRAME_SAMPLES, 32))
    assert main(["say", "hello there", "--out", "a.wav", "--json"], desk) == 0
    assert json.loads(room.out.getvalue())["doubts"] == [["there", 0.08, 0.16, "unclear"]]
    assert "doubtful" not in room.err.getvalue()
