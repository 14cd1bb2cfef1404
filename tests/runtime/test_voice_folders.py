import os
import sys
from pathlib import Path

import pytest

from voicestack.runtime import InputError, default_voice_path, find_voice, installed_voices, voices_folder


@pytest.fixture(autouse=True)
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with one voice in it, and a working folder with none."""
    monkeypatch.setenv("VOICESTACK_VOICES", str(tmp_path / "voices"))
    add(tmp_path / "voices" / "ann")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "voices"


def add(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "bundle.json").write_text("{}")


def test_voices_are_found_by_name(installed: Path) -> None:
    """One that was installed, the one that ships, and this without a name."""
    assert find_voice("ann") == installed / "ann"
    assert find_voice("joe") == find_voice() == default_voice_path()
    assert installed_voices() == {"ann": installed / "ann", "joe": default_voice_path()}


def test_an_installed_voice_goes_before_the_one_that_ships_under_the_same_name(installed: Path) -> None:
    """But whoever names none gets the one that ships."""
    add(installed / "joe")
    assert find_voice("joe") == installed / "joe"
    assert find_voice() == default_voice_path()


def test_a_folder_wins_over_a_name() -> None:
    """Where there is a folder of that name, or whatever a Path says."""
    assert find_voice(Path("ann")) == Path("ann")
    Path("ann").mkdir()
    assert find_voice("ann") == Path("ann")


@pytest.mark.parametrize("text", ["./ann", "voices/ann", f"voices{os.sep}ann"])
def test_what_holds_a_separator_is_never_a_name(text: str) -> None:
    """Whether a bundle is there is told by whoever loads it."""
    assert find_voice(text) == Path(text)


def test_a_name_nobody_has_is_told_with_those_there_are() -> None:
    """A file of that name is no voice, and a folder without a manifest none either."""
    Path("bob").write_text("")
    (voices_folder() / "bob").mkdir()
    with pytest.raises(InputError, match=r"there is no voice 'bob'; the voices are ann, joe; name one of them"):
        find_voice("bob")


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"XDG_DATA_HOME": "/data"}, "/data/voicestack/voices"),
        ("linux", {"XDG_DATA_HOME": "data"}, "/home/me/.local/share/voicestack/voices"),
        ("linux", {}, "/home/me/.local/share/voicestack/voices"),
        ("darwin", {"XDG_DATA_HOME": "/data"}, "/home/me/Library/Application Support/voicestack/voices"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/voicestack/voices"),
        ("win32", {}, "/home/me/AppData/Local/voicestack/voices"),
    ],
)
def test_voices_are_where_the_platform_wants_them(
    platform: str, variables: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the user's data folder, which need not be there yet."""
    for name in ("VOICESTACK_VOICES", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(Path, "home", lambda: Path("/home/me"))
    assert voices_folder() == Path(folder)
    assert find_voice("joe") == default_voice_path()
