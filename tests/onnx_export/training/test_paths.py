from pathlib import Path

import pytest

from voicestack.onnx_export.training.paths import FIRST_VOICE, WorkFolder, whole_file
from voicestack.onnx_export.training.voices import recipe_of
from voicestack.runtime import InputError


def test_a_work_folder_knows_its_voice(tmp_path: Path) -> None:
    """It is told once, stays told, and without a word it is that of the voice that ships."""
    assert WorkFolder(tmp_path).voice_name == FIRST_VOICE
    WorkFolder(tmp_path / "new").name_voice("ann")
    assert WorkFolder(tmp_path / "new").voice_name == "ann"


@pytest.mark.parametrize("stage", [None, "shards", "codec", "generator"])
def test_a_work_folder_is_never_given_to_another_voice(tmp_path: Path, stage: str | None) -> None:
    """Neither when it was named, nor when it has been worked in without a name; its own may be told again."""
    folder = WorkFolder(tmp_path)
    if stage is None:
        folder.name_voice(FIRST_VOICE)
    else:
        folder.stage(stage)
    folder.name_voice(FIRST_VOICE)
    with pytest.raises(InputError, match=f"is the work folder of {FIRST_VOICE}; give another --work to train ann"):
        folder.name_voice("ann")
    assert folder.voice_name == FIRST_VOICE


def test_a_voice_without_a_recipe_is_named_with_those_that_have_one(tmp_path: Path) -> None:
    """The folder, its voice, and which would do."""
    folder = WorkFolder(tmp_path)
    assert recipe_of(folder).name == FIRST_VOICE
    folder.name_voice("nobody")
    with pytest.raises(InputError, match=f"of nobody, of which there is no recipe; .*{FIRST_VOICE}"):
        recipe_of(folder)


def test_a_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    """What was there stays until then, and what broke off leaves nothing behind."""
    path = tmp_path / "figures.json"
    path.write_text("old")
    with pytest.raises(InputError), whole_file(path) as aside:
        _break_off(aside)
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "old")]
    with whole_file(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
    assert [(file, file.read_text()) for file in tmp_path.iterdir()] == [(path, "new")]


def _break_off(aside: Path) -> None:
    aside.write_text("ha")
    raise InputError("broken off")
