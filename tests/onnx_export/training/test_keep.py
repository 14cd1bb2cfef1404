from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from voicestack.onnx_export.training.keep import keep, restore  # noqa: E402
from voicestack.onnx_export.training.paths import WorkFolder  # noqa: E402

pytestmark = pytest.mark.torch


def test_kept_weights_come_back_in_single_precision(tmp_path: Path) -> None:
    """Kept weights come back as float32, whole numbers untouched, without optimiser, and never over a newer state.

    Of the codec's decoder only the one that is furthest on is kept.
    """
    old, new = WorkFolder(tmp_path / "old"), WorkFolder(tmp_path / "new")
    weights = {"a": torch.tensor([0.5, 2.0]), "count": torch.tensor([3])}
    for name, parts in (
        ("analysis", ("encoder", "quantiser")),
        ("synthesis", ("decoder",)),
        ("adversarial", ("decoder",)),
    ):
        state = {"step": 7, "optimiser": {"lr": 1.0}, **dict.fromkeys(parts, weights)}
        torch.save(state, old.stage("codec") / f"{name}.pt")
    torch.save(
        {"step": 9, "muon": {}, "model": weights, "data": {"hours": 1.5}}, old.stage("generator") / "generator.pt"
    )
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "synthesis.pt").write_bytes(b"of an earlier time")
    keep(old, tmp_path / "kept")
    restore(new, tmp_path / "kept")
    assert sorted(path.name for path in (new.root / "codec").iterdir()) == ["adversarial.pt", "analysis.pt"]
    state = torch.load(new.root / "generator" / "generator.pt", weights_only=True)
    assert set(state) == {"step", "model", "data"}
    assert state["data"] == {"hours": 1.5}
    assert state["model"]["a"].dtype == torch.float32
    assert state["model"]["count"].dtype == torch.int64
    torch.testing.assert_close(state["model"]["a"], weights["a"])
    torch.save({"step": 10}, new.root / "generator" / "generator.pt")
    restore(new, tmp_path / "kept")
    assert torch.load(new.root / "generator" / "generator.pt", weights_only=True) == {"step": 10}
