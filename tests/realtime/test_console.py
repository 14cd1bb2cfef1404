"""`voicestack say` where standard output or standard error is closed, full or left by its reader."""

import io
import os
import wave
from pathlib import Path

import pytest
from desk_fakes import FRAME_SAMPLES, Room, Screen

from voicestack.realtime.cli import main
from voicestack.realtime.console import Console


class Lost(Screen):
    """A stream on which every line fails."""

    def __init__(self, error: OSError, terminal: bool = False) -> None:
        super().__init__(terminal)
        self.error = error
        self.tries = 0

    def write(self, _: str) -> int:
        self.tries += 1
        raise self.error


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def frames_in(path: str) -> float:
    with wave.open(path) as file:
        count: int = file.getnframes()
    return count / FRAME_SAMPLES


def say(room: Room, *options: str) -> int:
    return main(["say", "one two three", "--out", "a.wav", *options], room.desk())


def test_a_reader_who_leaves_does_not_stop_the_speech() -> None:
    """With `| head -1` the file becomes complete, that is told once, and it is no failure."""
    gone = Lost(BrokenPipeError(32, "Broken pipe"))
    room = Room(out=gone)
    assert say(room, "--words") == 0
    assert frames_in("a.wav") == 3
    assert room.err.getvalue().count("cannot write to standard output, going on without it: Broken pipe") == 1
    assert gone.tries == 1


@pytest.mark.parametrize("option", ["--words", "--json"])
def test_a_full_standard_output_is_named(option: str) -> None:
    """What was asked for could not be printed, so it is a failure, although the file is complete."""
    room = Room(out=Lost(OSError(28, "No space left on device")))
    assert say(room, option) == 2
    assert frames_in("a.wav") == 3
    assert "cannot write to standard output, going on without it: No space left on device" in room.err.getvalue()


def test_a_lost_standard_error_stops_nothing() -> None:
    """Neither the progress nor the report is worth an end of the speech."""
    room = Room(err=Lost(BrokenPipeError(32, "Broken pipe"), terminal=True))
    assert say(room, "--words") == 0
    assert frames_in("a.wav") == 3
    assert len(room.out.getvalue().splitlines()) == 3


def test_streams_that_were_closed_from_the_start_are_nowhere() -> None:
    """With `>&-` or `2>&-` Python has None in the place of a stream."""
    console = Console(None, None)
    console.print("a result")
    console.tell("a report")
    assert console.lost is None
    console.stdout.close()
    console._stderr.close()


def test_a_broken_pipe_is_quiet_when_python_exits() -> None:
    """What could not be written is gone, and flushing the stream once more raises nothing."""
    reader, writer = os.pipe()
    os.close(reader)
    stream = io.TextIOWrapper(open(writer, "wb"))
    console = Console(stream, Screen())
    console.print("into the void")
    assert isinstance(console.lost, BrokenPipeError)
    stream.close()


def test_the_progress_line_is_gone_before_a_result_is_printed() -> None:
    """On a terminal both streams share the last line."""
    screen = Screen(terminal=True)
    console = Console(screen, screen)
    console.progress.show("half way", 0.0)
    console.print("a result")
    assert screen.getvalue() == "\r\x1b[Khalf way\r\x1b[Ka result\n"
