from pathlib import Path

import pytest

for package in ("torch", "tqdm", "soxr"):
    pytest.importorskip(package, reason=f"{package} is not installed")

from voicestack.onnx_export.training import doubts  # noqa: E402
from voicestack.onnx_export.training.paths import WorkFolder  # noqa: E402
from voicestack.runtime import InputError  # noqa: E402
from voicestack.runtime.listener import Listener  # noqa: E402

pytestmark = pytest.mark.torch


def test_faults_put_in_by_hand_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of the grossest; untouched words are seldom doubted, and what is two sentences is not used."""
    texts = [
        "The train to the city leaves in ten minutes.",
        "Please close the window before you go.",
        "One. And two more.",
    ]
    monkeypatch.setattr(doubts, "sentences", lambda: texts)
    layers = doubts.run(WorkFolder(tmp_path))["layers"]
    assert set(layers) == {"8", "16"}
    for found in layers.values():
        assert found["sentences"] == 2
        assert found["words"] == 16
        assert found["doubted_untouched_percent"] < 10
        assert set(found["told_percent"]) == set(doubts.FAULTS)
        assert all(found["told_percent"][name] == 100 for name in ("ends early", "hangs", "babbles on"))


def test_a_voice_without_a_listener_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is written."""
    monkeypatch.setattr(Listener, "of", lambda _: None)
    with pytest.raises(InputError, match="has no listener"):
        doubts.run(WorkFolder(tmp_path))
    assert not (tmp_path / "doubts").exists()
