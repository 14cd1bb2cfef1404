from pathlib import Path

import pytest

pytest.importorskip("torch", reason="the `export` extra is not installed")
pytest.importorskip("tqdm", reason="the `export` extra is not installed")
pytest.importorskip("soxr", reason="the `train` extra is not installed")

from voicestack.onnx_export.training.ladder import DEPTHS, bitrate_kbps, run, rungs, table
from voicestack.onnx_export.training.paths import WorkFolder
from voicestack.runtime.errors import InputError


def lines(key: str, worse: float) -> list[dict[str, object]]:
    figures = {"similarity": 0.9, "pesq": 2.0, "stoi": 0.8, "log_mel_l1": 0.3}
    made: list[dict[str, object]] = []
    for depth in DEPTHS:
        for index in range(2):
            heard = {} if depth == 12 else {"heard": "yes", "words": 10, "edits": index}
            made.append({"system": f"{key} {depth}", "index": index, **figures, **heard, "pesq": 2.0 + index - worse})
    return made


def test_a_layer_is_ten_bits_a_frame() -> None:
    """32 layers of 1024 codes at 12.5 frames a second are 4 kbit/s."""
    assert bitrate_kbps(1) == 0.125
    assert bitrate_kbps(32) == 4.0


def test_each_decoder_has_its_own_figures() -> None:
    """Lines of another decoder are left alone, and a depth that nobody listened to has no word error rate."""
    records = [*lines("old", 1.0), *lines("new", 0.0)]
    old, new = rungs(records, "old"), rungs(records, "new")
    assert (old["8"]["pesq"], new["8"]["pesq"]) == (1.5, 2.5)
    assert new["8"]["wer_percent"] == 5.0
    assert new["12"]["wer_percent"] is None
    assert new["12"]["kbps"] == 1.5


def test_the_table_shows_both_decoders() -> None:
    """Every depth is one line, each figure before and after."""
    records = [*lines("old", 1.0), *lines("new", 0.0)]
    decoders = {name: {"layers": rungs(records, key)} for name, key in (("before", "old"), ("after", "new"))}
    shown = table({"sentences": 2, "teacher_wer_percent": 4.0, "decoders": decoders}).splitlines()
    assert len(shown) == len(DEPTHS) + 2
    assert "1.5 / 2.5" in shown[5]
    assert "- / -" in shown[7]


def test_a_checkpoint_to_compare_with_must_exist(tmp_path: Path) -> None:
    """The message names the file, before anything is loaded."""
    with pytest.raises(InputError, match="older.pt"):
        run(WorkFolder(tmp_path), before=tmp_path / "older.pt")
