"""Voices by name, wherever one may be chosen."""

import asyncio
from pathlib import Path

import pytest
from desk_fakes import Room
from tiny_bundle import write_tiny_bundle

from voicestack.realtime import Voice
from voicestack.realtime.bench.cli import bench
from voicestack.realtime.cli import main
from voicestack.realtime.desk import load_voice
from voicestack.realtime.serve.settings import parse
from voicestack.runtime import InputError, default_voice_path


@pytest.fixture(autouse=True)
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed voice; the working folder is another."""
    monkeypatch.setenv("VOICESTACK_VOICES", str(tmp_path / "voices"))
    write_tiny_bundle(tmp_path / "voices" / "tiny")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "voices" / "tiny"


def test_say_speaks_with_an_installed_voice(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name; another name is one line that lists the voices."""
    assert main(["say", "Hello.", "--voice", "tiny", "--out", "a.wav"], Room().desk(load_voice=load_voice)) == 0
    assert Path("a.wav").stat().st_size > 1000
    room = Room()
    assert main(["say", "Hello.", "--voice", "toni", "--out", "b.wav"], room.desk(load_voice=load_voice)) == 2
    (line,) = room.err.getvalue().splitlines()
    assert "there is no voice 'toni'; the voices are joe, tiny;" in line


def test_a_server_serves_an_installed_voice(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By its name, which is what its clients know it by; another name ends it with one line."""
    settings = parse(["--voice", "tiny"], {})
    assert (settings.voice, settings.voice_name) == (tiny, "tiny")
    assert parse([], {"VOICESTACK_VOICE": "joe"}).voice == default_voice_path()
    with pytest.raises(SystemExit):
        parse(["--voice", "toni"], {})
    assert "there is no voice 'toni'; the voices are joe, tiny;" in capsys.readouterr().err


def test_bench_measures_an_installed_voice(capsys: pytest.CaptureFixture[str]) -> None:
    """By its name."""
    assert bench(["throughput", "--voice", "tiny", "--batch", "2", "--seconds", "0.1"]) == 0
    assert "voice tiny" in capsys.readouterr().out
    assert bench(["throughput", "--voice", "toni"]) == 2
    assert "there is no voice 'toni'" in capsys.readouterr().err


def test_sessions_share_an_installed_voice() -> None:
    """`Voice.load` takes the name, and says at once that there is none of it."""

    async def frames() -> int:
        async with Voice.load("tiny") as voice:
            return voice.capacity()

    assert asyncio.run(frames()) > 0
    with pytest.raises(InputError, match="there is no voice 'toni'"):
        Voice.load("toni")


def test_voices_are_listed(tiny: Path) -> None:
    """Name, size, licence and folder of each; one whose manifest is broken is listed as that."""
    (tiny.parent / "broken").mkdir()
    (tiny.parent / "broken" / "bundle.json").write_text("[]")
    room = Room()
    assert main(["voices"], room.desk()) == 0
    lines = {line.split()[0]: line for line in room.out.getvalue().splitlines()}
    assert list(lines) == ["broken", "joe", "tiny"]
    assert "Apache-2.0" in lines["tiny"]
    assert lines["tiny"].endswith(str(tiny))
    assert f" {sum(file.stat().st_size for file in tiny.iterdir()) / 1e6:.1f} MB " in lines["tiny"]
    assert "unreadable" in lines["broken"]


def test_a_voice_that_cannot_be_read_does_not_hide_the_others(tiny: Path) -> None:
    """Its line says so; those behind it follow."""
    broken = tiny.with_name("broken")
    write_tiny_bundle(broken)
    (broken / "weights.bin").unlink()
    (broken / "weights.bin").symlink_to(tiny.parent / "nowhere")
    room = Room()
    assert main(["voices"], room.desk()) == 0
    lines = room.out.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["broken", "joe", "tiny"]
    assert "unreadable" in lines[0]
