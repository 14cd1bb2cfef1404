"""Commands beside `say`, found through entry points."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint, entry_points

import pytest
from desk_fakes import Room

from voicestack.realtime import cli
from voicestack.realtime.cli import COMMANDS, main

heard: list[list[str]] = []


def sing(arguments: Sequence[str]) -> int:
    """Sing a song."""
    heard.append(list(arguments))
    return 7


@pytest.fixture(autouse=True)
def _registered(monkeypatch: pytest.MonkeyPatch) -> None:
    heard.clear()
    entries = {"sing": EntryPoint("sing", f"{__name__}:sing", COMMANDS)}
    entries["dance"] = EntryPoint("dance", "no_such_package.cli:dance", COMMANDS)
    monkeypatch.setattr(EntryPoint, "load", lambda self: sing if self.name == "sing" else _fail())
    monkeypatch.setattr(cli, "_other_commands", lambda: entries)


def _fail() -> None:
    raise ImportError("No module named 'no_such_package'")


def test_a_registered_command_gets_the_rest_of_the_line() -> None:
    """Whatever it is, options and all; its exit code is ours."""
    assert main(["sing", "--loud", "-", "--help"]) == 7
    assert heard == [["--loud", "-", "--help"]]


def test_help_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with the first line of its docstring."""
    with pytest.raises(SystemExit) as leaving:
        main(["--help"])
    assert leaving.value.code == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "say speak a text" in told
    assert "sing sing a song" in told
    assert "dance not installed" in told


def test_a_command_that_cannot_be_loaded_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """And exit code 2."""
    assert main(["dance"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("voicestack: error: dance cannot be loaded (No module named 'no_such_package')")


def test_a_command_nobody_knows_is_told_with_those_that_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    """In one line."""
    with pytest.raises(SystemExit) as leaving:
        main(["hum"])
    assert leaving.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "invalid choice: 'hum'" in line
    assert "sing" in line


@pytest.mark.parametrize("arguments", [["say", "hello", "--out", "{}"], ["--version"], []])
def test_speaking_does_not_wait_for_other_commands(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """Asking every installed distribution costs 30 ms; only who asks for another command pays them."""
    monkeypatch.setattr(cli, "_other_commands", lambda: pytest.fail("asked for commands"))
    words = [word.format(f"{tmp_path}/a.wav") for word in arguments]
    if words[:1] == ["say"]:
        assert main(words, Room().desk()) == 0
        return
    with pytest.raises(SystemExit):
        main(words)
    capsys.readouterr()


def test_export_and_verify_are_registered() -> None:
    """By the distribution itself."""
    entries = {entry.name: entry.value for entry in entry_points(group=COMMANDS)}
    assert entries["export"] == "voicestack.onnx_export.cli:export"
    assert entries["verify"] == "voicestack.onnx_export.cli:verify"
