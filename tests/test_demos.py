"""The demos that need nothing but the base install run, in short, and say what they promise."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_bundle import write_tiny_bundle

from voicestack.realtime.cli import main

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def readme_sayings() -> list[list[str]]:
    """What the README's chapter on the command line says with the voice that ships."""
    chapter = (ROOT / "README.md").read_text("utf-8").partition("## Speaking from the command line")[2]
    lines = chapter.split("```")[1].splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("voicestack say ")]


def test_the_readme_says_something() -> None:
    """The chapter is found, and what it shows is to be tried."""
    assert len(readme_sayings()) >= 5


@pytest.mark.parametrize("arguments", readme_sayings(), ids=" ".join)
def test_what_the_readme_says_can_be_said(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every line of it speaks, as it stands."""
    monkeypatch.chdir(tmp_path)
    assert main([*arguments, "--out", "said.wav"]) == 0
    assert (tmp_path / "said.wav").stat().st_size > 24_000


@pytest.mark.slow
def test_memory_and_time_stay_where_they_are_when_old_speech_is_forgotten(tmp_path: Path) -> None:
    """A minute and a half of one stream, ten times what it may remember, takes no more memory at its end."""
    run("demos/history_hour.py", "--seconds", "90", "--history", "4:32,5:8", "--json", str(tmp_path / "hour.json"))
    parts = json.loads((tmp_path / "hour.json").read_text())["parts"]
    assert len(parts) == 10
    assert parts[-1]["peak_memory_mb"] - parts[2]["peak_memory_mb"] < 10


@pytest.mark.slow
def test_the_assistant_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    """The demo of a whole conversation ends by itself and leaves its sound."""
    run("demos/assistant.py", "--out", str(tmp_path / "talk.wav"))
    assert (tmp_path / "talk.wav").stat().st_size > 50_000


def test_the_examples_are_short_opus_files_of_the_same_bytes_each_time(tmp_path: Path) -> None:
    """Every text becomes a file that a player decodes, at the voice's rate and with the text as its title."""
    av = pytest.importorskip("av")
    write_tiny_bundle(tmp_path / "tiny")
    for out in ("once", "again"):
        told = run("demos/examples.py", "--voice", str(tmp_path / "tiny"), "--out", str(tmp_path / out))
    files = sorted((tmp_path / "once").iterdir())
    assert 6 <= len(files) == len(told.splitlines()) <= 8
    for path in files:
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()
        assert path.stat().st_size < 100_000
        with av.open(str(path)) as container:
            track = container.streams.audio[0]
            frames = [frame.to_ndarray() for frame in container.decode(track)]
            assert (track.codec_context.name, track.layout.name) == ("opus", "mono")
            assert len(track.metadata["title"]) > 20
        seconds = sum(frame.shape[-1] for frame in frames) / 48_000
        assert f"{path.name}: {seconds:.1f} s" in told
