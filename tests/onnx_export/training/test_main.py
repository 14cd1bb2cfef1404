import sys
from pathlib import Path

import pytest

from voicestack.onnx_export.training.__main__ import main


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (["data", "--part", "3"], "3 is not I/N"),
        (["data", "--part", "2/2"], "2/2 is not I/N"),
        (["data", "--part=-1/2"], "-1/2 is not I/N"),
        (["data", "--part", "0/0"], "0/0 is not I/N"),
        (["data", "--hours", "0"], "0 is not above 0"),
        (["data", "--hours", "nan"], "nan is not above 0"),
        (["generator", "--steps", "0"], "0 is not above 0"),
        (["evaluate", "--limit", "-3"], "--limit"),
        (["failures", "--sentences", "many"], "--sentences"),
    ],
)
def test_a_wrong_call_is_told_before_anything_is_done(
    call: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With exit code 2, as of every command line; no folder is made."""
    work = tmp_path / "work"
    monkeypatch.setattr(sys, "argv", ["training", "--work", str(work), *call])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert told in capsys.readouterr().err
    assert not work.exists()


@pytest.mark.parametrize("call", [["evaluate", "--voice", "./nowhere"], ["--voice-name", "joe", "keep"]])
def test_what_cannot_be_used_ends_in_one_line(call: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A voice that is not there, a work folder that is a file: the name of it, and no traceback."""
    pytest.importorskip("torch", reason="the `export` extra is not installed")
    pytest.importorskip("soxr", reason="the `train` extra is not installed")
    work = tmp_path / "work"
    if "keep" in call:
        work.write_text("not a folder")
    monkeypatch.setattr(sys, "argv", ["training", "--work", str(work), *call])
    with pytest.raises(SystemExit, match=r"error: .*(nowhere|work)"):
        main()
