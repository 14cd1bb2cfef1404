import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from voicestack.onnx_export.training.keep import keep, restore  # noqa: E402
from voicestack.onnx_export.training.listener import graph_file  # noqa: E402
from voicestack.onnx_export.training.paths import WorkFolder  # noqa: E402
from voicestack.runtime.errors import InputError  # noqa: E402

pytestmark = pytest.mark.torch


def put_analysis(folder: WorkFolder, code: float) -> None:
    """The analysis of a codec whose codebooks are all of one number; of 0 before they are fitted."""
    state = {"step": 1, "encoder": {}, "quantiser": {"codebooks": torch.full((2,), float(code))}}
    torch.save(state, folder.stage("codec") / "analysis.pt")


def test_kept_weights_come_back_in_single_precision(tmp_path: Path) -> None:
    """Kept weights come back as float32, whole numbers untouched, without optimiser, and never over a newer state.

    Of the codec's decoder only the one that is furthest on is kept.
    """
    old, new = WorkFolder(tmp_path / "old"), WorkFolder(tmp_path / "new")
    weights = {"a": torch.tensor([0.5, 2.0]), "count": torch.tensor([3]), "codebooks": torch.ones(2)}
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
    (tmp_path / "kept" / "joe").mkdir(parents=True)
    (tmp_path / "kept" / "joe" / "synthesis.pt").write_bytes(b"of an earlier time")
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


def test_each_voice_has_kept_weights_of_its_own(tmp_path: Path) -> None:
    """Another voice's work neither overwrites nor gets those of joe, and what else is kept with it stays."""
    folders = {name: WorkFolder(tmp_path / name) for name in ("joe", "ann")}
    kept = tmp_path / "kept"
    (kept / "ann").mkdir(parents=True)
    (kept / "ann" / "style.npy").write_bytes(b"of hers")
    for step, (name, folder) in enumerate(folders.items()):
        folder.name_voice(name)
        torch.save({"step": step, "model": {}, "data": {}}, folder.stage("generator") / "generator.pt")
        keep(folder, kept)
    assert {path.relative_to(kept).as_posix() for path in kept.rglob("*.*")} == {
        *("joe/generator.pt", "joe/facts.json", "ann/generator.pt", "ann/facts.json", "ann/style.npy")
    }
    fresh = WorkFolder(tmp_path / "fresh")
    fresh.name_voice("ann")
    restore(fresh, kept)
    assert torch.load(fresh.root / "generator" / "generator.pt", weights_only=True)["step"] == 1


def test_a_listener_is_kept_as_it_is(tmp_path: Path) -> None:
    """It comes back byte by byte, never over another, and a work folder without one leaves the kept one alone."""
    old, new, kept = WorkFolder(tmp_path / "old"), WorkFolder(tmp_path / "new"), tmp_path / "kept"
    (old.stage("listener") / "listener.onnx").write_bytes(b"hears well")
    keep(old, kept)
    deaf = WorkFolder(tmp_path / "deaf")
    torch.save({"step": 1, "model": {}}, deaf.stage("generator") / "generator.pt")
    keep(deaf, kept)
    assert (kept / "joe" / "listener.onnx").read_bytes() == b"hears well"
    restore(new, kept)
    assert graph_file(new).read_bytes() == b"hears well"
    graph_file(new).write_bytes(b"hears better")
    restore(new, kept)
    assert graph_file(new).read_bytes() == b"hears better"


def test_the_summary_of_an_evaluation_is_kept_with_the_weights(tmp_path: Path) -> None:
    """So a bundle made of kept weights can say how it was judged; the single sentences are left out."""
    old, new, kept = WorkFolder(tmp_path / "old"), WorkFolder(tmp_path / "new"), tmp_path / "kept"
    judged = {"summary": {"sentences": 2}, "sentences": [{"heard": "so"}, {"heard": "well"}]}
    (old.stage("listener") / "listener.onnx").write_bytes(b"hears well")
    for name in ("joe", "joe-float16"):
        old.stage("evaluate")
        old.evaluation(name).write_text(json.dumps({**judged, "name": name}), "utf-8")
    keep(old, kept)
    restore(new, kept)
    assert json.loads(new.evaluation("joe").read_text("utf-8")) == {"summary": {"sentences": 2}}


def test_what_a_work_folder_lacks_stays_as_it_was_kept(tmp_path: Path) -> None:
    """A folder with a generator only replaces that; a folder without weights is refused, and nothing is deleted."""
    whole, part, kept = WorkFolder(tmp_path / "whole"), WorkFolder(tmp_path / "part"), tmp_path / "kept"
    for step, folder, stages in ((1, whole, ("generator", "delay")), (2, part, ("generator",))):
        for stage in stages:
            torch.save({"step": step, "model": {}, "data": {"hours": step}}, folder.stage(stage) / f"{stage}.pt")
        keep(folder, kept)
    steps = {
        name: torch.load(kept / "joe" / f"{name}.pt", weights_only=True)["step"] for name in ("generator", "delay")
    }
    assert steps == {"generator": 2, "delay": 1}
    facts = json.loads((kept / "joe" / "facts.json").read_text("utf-8"))
    assert facts == {"generator": {"hours": 2}, "delay": {"hours": 1}}
    before = {path: path.read_bytes() for path in (kept / "joe").iterdir()}
    with pytest.raises(InputError, match="--work"):
        keep(WorkFolder(tmp_path / "mistyped"), kept)
    assert {path: path.read_bytes() for path in (kept / "joe").iterdir()} == before


def test_kept_weights_are_not_put_beside_a_codec_of_ones_own(tmp_path: Path) -> None:
    """A generator of another codec's codes makes noise; beside the kept codec it comes back."""
    old, own, kept = WorkFolder(tmp_path / "old"), WorkFolder(tmp_path / "own"), tmp_path / "kept"
    put_analysis(old, 1)
    put_analysis(own, 0)
    torch.save({"step": 1, "model": {}}, old.stage("generator") / "generator.pt")
    keep(old, kept)
    restore(own, kept)
    assert not (own.root / "generator").exists()
    (old.root / "generator" / "generator.pt").unlink()
    restore(old, kept)
    assert (old.root / "generator" / "generator.pt").exists()


def test_a_codec_is_kept_only_with_all_that_was_learned_of_it(tmp_path: Path) -> None:
    """One without codebooks is unfinished; beside another one what is kept would make noise."""
    old, new, kept = WorkFolder(tmp_path / "old"), WorkFolder(tmp_path / "new"), tmp_path / "kept"
    put_analysis(old, 1)
    put_analysis(new, 0)
    torch.save({"step": 1, "decoder": {}}, old.stage("codec") / "synthesis.pt")
    torch.save({"step": 1, "model": {}}, old.stage("generator") / "generator.pt")
    keep(old, kept)
    before = {path: path.read_bytes() for path in (kept / "joe").iterdir()}
    with pytest.raises(InputError, match="no codebooks yet"):
        keep(new, kept)
    put_analysis(new, 2)
    with pytest.raises(InputError, match="another codec than .* no decoder and no generator of it"):
        keep(new, kept)
    assert {path: path.read_bytes() for path in (kept / "joe").iterdir()} == before
    torch.save({"step": 3, "decoder": {}}, new.root / "codec" / "synthesis.pt")
    torch.save({"step": 3, "model": {}}, new.stage("generator") / "generator.pt")
    keep(new, kept)
    assert torch.load(kept / "joe" / "generator.pt", weights_only=True)["step"] == 3
