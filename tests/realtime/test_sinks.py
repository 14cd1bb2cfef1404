"""`voicestack say` with a sound card that fails."""

import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from desk_fakes import BLOCK, FRAME_SAMPLES, RATE_HZ, FakeCard, Room

from voicestack.realtime.cli import main
from voicestack.realtime.player import Callback, Player

WORDS = "one two three four"
FRAMES = 4


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


class CardRoom(Room):
    """A room whose card plays a block whenever it is waited for, and can be pulled out after some blocks."""

    def __init__(self, *broken: str, blocks: int = 1000) -> None:
        super().__init__()
        self.card: FakeCard
        self._broken = broken
        self._blocks = blocks

    def say(self, *options: str) -> int:
        return main(["say", WORDS, *options], self.desk(open_player=self._open))

    def _open(self, rate_hz: int, _excused: Callable[[], bool]) -> Player:
        def stream(callback: Callback) -> FakeCard:
            self.card = FakeCard(callback, self._broken)
            return self.card

        return Player(stream, rate_hz, sleep=lambda _: self._play())

    def _play(self) -> None:
        if self._blocks:
            self._blocks -= 1
            self.card.pull()
        else:
            self.card.active = False


def samples_in(path: str) -> np.ndarray:
    with wave.open(path) as file:
        assert file.getframerate() == RATE_HZ
        return np.frombuffer(file.readframes(file.getnframes()), "<i2")


def test_a_card_that_plays_to_the_end_leaves_no_file() -> None:
    """The whole text is heard, and nothing is said of files."""
    room = CardRoom()
    assert room.say() == 0
    assert room.card.closed
    assert "voicestack" not in room.err.getvalue()
    assert list(Path().iterdir()) == []


def test_a_card_that_does_not_start_leaves_all_of_it_in_a_file() -> None:
    """A device that is busy is found out with the first chunk; no chunk is lost."""
    room = CardRoom("start")
    assert room.say() == 0
    assert len(samples_in("voicestack.wav")) == FRAMES * FRAME_SAMPLES
    assert "writing what was not played to voicestack.wav: the fake card does not start" in room.err.getvalue()
    assert "wrote voicestack.wav: 0.32 s" in room.err.getvalue()
    assert room.card.closed


def test_a_card_that_is_pulled_out_leaves_the_rest_in_a_file() -> None:
    """After five blocks the card falls silent; what it did not take is in the file, from its first sample on."""
    room = CardRoom(blocks=5)
    assert room.say() == 0
    assert len(samples_in("voicestack.wav")) == FRAMES * FRAME_SAMPLES - 5 * BLOCK
    assert "the sound card stopped asking for samples" in room.err.getvalue()


def test_a_card_that_does_not_stop_is_told() -> None:
    """All was handed over, so there is no rest to write."""
    room = CardRoom("stop")
    assert room.say() == 0
    assert "the end may not have been heard: the fake card does not stop" in room.err.getvalue()
    assert list(Path().iterdir()) == []


def test_a_file_that_is_written_anyway_has_everything_once() -> None:
    """With --out nothing is written twice when the card fails."""
    room = CardRoom(blocks=5)
    assert room.say("--play", "--out", "a.wav") == 0
    assert len(samples_in("a.wav")) == FRAMES * FRAME_SAMPLES
    assert "cannot play, writing only a.wav: " in room.err.getvalue()
    assert [path.name for path in Path().iterdir()] == ["a.wav"]


def test_a_default_file_that_cannot_be_written_is_told_before_anything_is_spoken() -> None:
    """Where voicestack.wav is a folder, the line names it and --out."""
    Path("voicestack.wav").mkdir()
    room = Room()
    assert main(["say", WORDS], room.desk()) == 2
    assert room.err.getvalue() == (
        "voicestack: error: cannot write voicestack.wav: Is a directory; name another file with --out\n"
    )
    assert room.voice.heard == []
