"""`voicestack say`, with a voice that hums one frame a word."""

import json
import os
import threading
import time
import wave
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
from desk_fakes import FRAME_SAMPLES, Room, Screen, hum
from numpy.typing import NDArray

from voicestack.realtime.cli import main
from voicestack.realtime.console import Console
from voicestack.realtime.desk import Desk
from voicestack.realtime.player import Player
from voicestack.realtime.say_voice import Manner, SayVoice
from voicestack.runtime import BundleError, Chunk, Event, default_voice_path


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def room() -> Room:
    return Room()


def frames_in(path: str) -> float:
    with wave.open(path) as file:
        count: int = file.getnframes()
    return count / FRAME_SAMPLES


def test_a_text_becomes_a_wav_file_and_a_report(room: Room) -> None:
    """The file has a frame a word, and the report names it and the figures."""
    assert main(["say", "hello there", "--out", "hello.wav"], room.desk()) == 0
    assert frames_in("hello.wav") == 2
    assert "wrote hello.wav: 0.16 s" in room.err.getvalue()
    for figure in ("TTFB", "TTFA", "RTF", "0 underruns", "cold start"):
        assert figure in room.err.getvalue()
    assert room.out.getvalue() == ""


def test_without_a_sound_card_it_writes_a_file_and_says_so(room: Room) -> None:
    """The default is to play; where that is not possible, voicestack.wav is made instead."""
    assert main(["say", "hello"], room.desk()) == 0
    assert frames_in("voicestack.wav") == 1
    assert "cannot play, writing voicestack.wav instead: no sound card in this test" in room.err.getvalue()


def test_json_is_one_line_with_every_figure(room: Room) -> None:
    """Standard output is one JSON object and nothing else."""
    assert main(["say", "hello there", "--out", "a.wav", "--json", "--words", "--depth", "8"], room.desk()) == 0
    (line,) = room.out.getvalue().splitlines()
    fields = json.loads(line)
    assert fields["words"] == [["hello", 0.0], ["there", 0.08]]
    assert (fields["frames"], fields["depth"], fields["audio_s"], fields["underruns"]) == (2, 8, 0.16, 0)
    assert {"ttfb_ms", "ttfa_ms", "cold_start_ms", "rtf"} <= fields.keys()
    assert fields["cold_start_ms"] > fields["ttfb_ms"] >= 0


def test_words_are_printed_with_their_times(room: Room) -> None:
    """One line a word."""
    assert main(["say", "hello there", "--out", "a.wav", "--words"], room.desk()) == 0
    assert [line.split() for line in room.out.getvalue().splitlines()] == [
        ["0.00", "s", "hello"],
        ["0.08", "s", "there"],
    ]


def test_the_options_reach_the_voice(room: Room) -> None:
    """Seed, seconds, depth and rate are what the runtime is asked for, and the depth is prepared before."""
    assert main(["say", "x", "--out", "a.wav", "--seed", "7", "--seconds", "1.5", "--depth", "16"], room.desk()) == 0
    assert room.voice.calls == room.voice.prepared == [Manner(seed=7, depth=16, seconds=1.5)]
    assert main(["say", "x", "--out", "a.wav", "--rate", "0.8"], room.desk()) == 0
    assert room.voice.calls[-1] == Manner(rate=0.8)


def test_a_pipe_is_spoken_while_it_is_open(room: Room) -> None:
    """The second word is written only after the first one was spoken, and its wait is no underrun."""
    reader, writer = os.pipe()
    codes: list[int] = []
    thread = threading.Thread(
        target=lambda: codes.append(main(["say", "-", "--out", "a.wav", "--json"], room.desk(stdin_descriptor=reader)))
    )
    thread.start()
    for word in ("first", "second"):
        os.write(writer, word.encode() + b" ")
        wait_for(word, room.voice.heard)
        time.sleep(0.1)
    os.close(writer)
    thread.join(10)
    os.close(reader)
    assert codes == [0]
    fields = json.loads(room.out.getvalue())
    assert [word for word, _ in fields["words"]] == ["first", "second"]
    assert fields["underruns"] == 0
    assert fields["rtf"] < 0.5


def wait_for(word: str, heard: list[str], seconds: float = 10.0) -> None:
    deadline_s = time.monotonic() + seconds
    while word not in heard:
        assert time.monotonic() < deadline_s, "the pipe was not spoken while it was open"
        time.sleep(0.001)


def test_time_to_first_byte_of_a_pipe_begins_with_its_text(room: Room) -> None:
    """A writer who thinks for 200 ms does not make the voice slow."""
    reader, writer = os.pipe()

    def write_and_close() -> None:
        os.write(writer, b"late")
        os.close(writer)

    threading.Timer(0.2, write_and_close).start()
    assert main(["say", "-", "--out", "a.wav", "--json"], room.desk(stdin_descriptor=reader)) == 0
    os.close(reader)
    assert json.loads(room.out.getvalue())["ttfb_ms"] < 100


def test_a_terminal_sees_progress_and_a_file_does_not(room: Room) -> None:
    """The line is drawn over itself and gone before the report."""
    room.err = Screen(terminal=True)
    assert main(["say", "hello there", "--out", "a.wav"], room.desk()) == 0
    assert "s of speech," in room.err.getvalue()
    assert "\r\x1b[Kwrote a.wav" in room.err.getvalue()
    silent = Room()
    assert main(["say", "hello there", "--out", "a.wav"], silent.desk()) == 0
    assert "\x1b" not in silent.err.getvalue()


def test_playing_and_writing_at_once(room: Room) -> None:
    """With --play and --out the file is written and the card gets the same samples."""
    heard: list[int] = []

    class Card:
        underruns = 3

        def write(self, pcm: NDArray[np.float32]) -> None:
            heard.append(len(pcm))

        def finish(self) -> None:
            heard.append(-1)

        def close(self) -> None:
            heard.append(-2)

    def card(_rate: int, _excused: object) -> Player:
        return Card()  # type: ignore[return-value]

    assert main(["say", "hello there", "--play", "--out", "a.wav", "--json"], room.desk(open_player=card)) == 0
    assert heard == [FRAME_SAMPLES, FRAME_SAMPLES, -1, -2]
    assert frames_in("a.wav") == 2
    assert json.loads(room.out.getvalue())["underruns"] == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["say", "", "--out", "a.wav"], "text"),
        (["say", "hello", "--seed", "-1"], "seed"),
        (["say", "hello", "--out", "no/such/a.wav"], "its folder does not exist"),
        (["say", "hello", "--out", "."], "is a folder"),
        (["say", "hello", "--out", "x" * 300], "File name too long; name another file with --out"),
    ],
)
def test_bad_input_is_one_line_and_code_2(room: Room, arguments: list[str], told: str) -> None:
    """No traceback, no file, one line that names what is wrong."""
    assert main(arguments, room.desk()) == 2
    (line,) = room.err.getvalue().splitlines()
    assert line.startswith("voicestack: error: ")
    assert told in line
    assert list(Path().iterdir()) == []


@pytest.mark.parametrize("arguments", [[], ["say"], ["say", "x", "--seed", "many"], ["sing", "x"]])
def test_a_wrong_call_is_one_line_and_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The usage is spared; its message and the way to help stay."""
    with pytest.raises(SystemExit) as leaving:
        main(arguments)
    assert leaving.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "error: " in line
    assert "--help" in line


def test_what_is_wrong_with_the_file_is_told_before_the_voice_is_loaded(room: Room) -> None:
    """Nobody waits for a voice that has nowhere to speak to."""
    loaded: list[bool] = []
    desk = room.desk(load_voice=lambda _: loaded.append(True))
    assert main(["say", "hello", "--out", "/proc/x.wav"], desk) == 2
    assert "cannot write /proc/x.wav: " in room.err.getvalue()
    assert loaded == []


@pytest.mark.parametrize("option", ["--words", "--json"])
def test_sound_and_text_do_not_share_standard_output(option: str) -> None:
    """--out /dev/stdout takes all of it."""
    reader, writer = os.pipe()
    with open(writer, "w") as stdout:
        room = Room()
        desk = room.desk(console=Console(stdout, room.err))
        assert main(["say", "hello", "--out", f"/dev/fd/{writer}", option], desk) == 2
    os.close(reader)
    assert f"is standard output, where {option} prints; leave out one of the two" in room.err.getvalue()


def test_a_closed_standard_input_is_told(room: Room) -> None:
    """With `<&-` the text is not empty, there is none."""
    assert main(["say", "-", "--out", "a.wav"], room.desk(stdin_descriptor=None)) == 2
    assert "standard input, which is closed" in room.err.getvalue()


def test_a_closed_standard_input_has_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python puts None in its place, and another file may have its number."""
    monkeypatch.setattr("sys.stdin", None)
    assert Desk().stdin_descriptor is None


def test_a_text_may_begin_with_a_dash(room: Room) -> None:
    """After -- nothing is an option, as --help says."""
    assert main(["say", "--out", "a.wav", "--", "-hello"], room.desk()) == 0
    assert room.voice.heard == ["-hello"]


def test_the_version_is_that_of_the_installed_distribution(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints it and leaves."""
    with pytest.raises(SystemExit) as leaving:
        main(["--version"])
    assert leaving.value.code == 0
    assert capsys.readouterr().out == f"voicestack {version('voicestack')}\n"


@pytest.mark.parametrize(
    ("seconds", "told"), [("0.17", False), ("0.3", True), ("0.1", True)], ids=["near", "too short", "too long"]
)
def test_a_length_that_was_missed_by_a_tenth_is_told(room: Room, seconds: str, told: bool) -> None:
    """Two words are 0.16 s of humming, whatever was asked for."""
    assert main(["say", "hello there", "--out", "a.wav", "--seconds", seconds], room.desk()) == 0
    assert (f"asked for {float(seconds):.2f} s but made 0.16 s" in room.err.getvalue()) == told


def test_a_broken_voice_is_one_line_even_if_its_message_has_more(room: Room) -> None:
    """A BundleError is told like any other error."""

    def broken(_: Path | None) -> SayVoice:
        raise BundleError("weights.bin is truncated:\n  install it again")

    assert main(["say", "hello"], room.desk(load_voice=broken)) == 2
    assert room.err.getvalue() == "voicestack: error: weights.bin is truncated: install it again\n"


@pytest.mark.parametrize(
    ("frames", "told"), [(2, "interrupted; a.wav holds 0.16 s"), (0, "interrupted; no file was written")]
)
def test_an_interrupted_call_leaves_a_valid_file(room: Room, frames: int, told: str) -> None:
    """Control-C keeps what was spoken so far and says how much that is."""

    def interrupted(*_: object, **__: object) -> Iterator[Chunk]:
        for _frame in range(frames):
            yield Chunk(hum(FRAME_SAMPLES), 0.0, (), Event.SPOKEN)
        raise KeyboardInterrupt

    desk = room.desk(load_voice=lambda _: SayVoice(interrupted, lambda _: None, 24_000, FRAME_SAMPLES, 32))
    assert main(["say", "hello", "--out", "a.wav"], desk) == 130
    assert room.err.getvalue() == f"voicestack: {told}\n"
    assert Path("a.wav").exists() == bool(frames)
    if frames:
        assert frames_in("a.wav") == frames


def test_a_voice_that_says_nothing_is_an_error(room: Room) -> None:
    """Without a sample there is no file and no report."""

    def mute(*_: object, **__: object) -> Iterator[Chunk]:
        yield from ()

    desk = room.desk(load_voice=lambda _: SayVoice(mute, lambda _: None, 24_000, FRAME_SAMPLES, 32))
    assert main(["say", "hello", "--out", "a.wav"], desk) == 2
    assert "nothing that can be spoken" in room.err.getvalue()


@pytest.mark.skipif(not (default_voice_path() / "bundle.json").exists(), reason="no voice is in this checkout yet")
def test_the_embedded_voice_speaks(room: Room) -> None:
    """The real voice, through the same command."""
    desk = room.desk()
    desk.load_voice = type(desk)().load_voice
    assert main(["say", "Hello there.", "--out", "a.wav", "--json", "--seed", "1"], desk) == 0
    fields = json.loads(room.out.getvalue())
    assert 0.3 < fields["audio_s"] < 4
    assert [word for word, _ in fields["words"]] == ["Hello", "there"]
