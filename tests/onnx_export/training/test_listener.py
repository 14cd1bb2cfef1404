"""The listener's lessons: what is said in which frame, and the graph that comes of them."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("tqdm")

import torch
from onnxruntime import InferenceSession

from voicestack.onnx_export.training import data, listener
from voicestack.onnx_export.training.data import Utterance
from voicestack.onnx_export.training.paths import WorkFolder
from voicestack.runtime import InputError
from voicestack.runtime.listener import CLASSES, CONTEXT, EVIDENCE, FEATURES, FRAME_SAMPLES, SPECTRA

pytestmark = pytest.mark.torch


def test_a_frame_is_shared_by_what_is_said_in_it() -> None:
    """A quarter silence, the rest one phone; then half and half; a mark is silence, and part of a frame is left out."""
    pcm = np.zeros(3 * FRAME_SAMPLES + 100, np.int16)
    shares = listener.shares(Utterance("At.", [("at", ("AE1", "T"), ".")], [0.02, 0.12, 0.16], 1.0, pcm))
    at, t = CLASSES.index("AE"), CLASSES.index("T")
    assert shares.shape == (3, len(CLASSES))
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(shares[0, [0, at]], [0.25, 0.75], atol=1e-6)
    np.testing.assert_allclose(shares[1, [at, t]], [0.5, 0.5], atol=1e-6)
    assert shares[2, 0] == pytest.approx(1)


def test_it_learns_what_can_be_told_apart_and_the_graph_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two phones with spectra of their own; the graph tells each from how often it is said, but for rounding."""
    monkeypatch.setattr(listener, "_STEPS", 60)
    draws = np.random.default_rng(0)
    classes = draws.integers(1, 3, 400)
    heard = (draws.normal(size=(400, CONTEXT * FEATURES)) + 3 * classes[:, None]).astype(np.float32)
    said = np.eye(len(CLASSES), dtype=np.float32)[classes]
    network, prior = listener._train(torch.from_numpy(heard), torch.from_numpy(said))  # pyright: ignore[reportPrivateUsage]
    graph = listener._graph(network, prior)  # pyright: ignore[reportPrivateUsage]
    evidence = np.asarray(InferenceSession(graph.SerializeToString()).run([EVIDENCE], {SPECTRA: heard})[0])
    assert (evidence[:, 1:3].argmax(1) + 1 == classes).mean() > 0.95
    with torch.no_grad():
        expected = network(torch.from_numpy(heard)) - prior
    np.testing.assert_allclose(evidence[:, 1:3], expected[:, 1:3], atol=0.05)


def test_the_stage_is_done_once_and_makes_the_same_from_the_same_speech(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two work folders with the same shards get the same file; a second call returns it as it is."""
    monkeypatch.setattr(listener, "_STEPS", 3)
    draws = np.random.default_rng(0)
    pcm = draws.integers(-9000, 9000, 10 * FRAME_SAMPLES).astype(np.int16)
    made = []
    for name in ("one", "other"):
        folder = WorkFolder(tmp_path / name)
        folder.stage("shards")
        for shard in range(2):
            utterance = Utterance("At.", [("at", ("AE1", "T"), ".")], [0.02, 0.12, 0.16], 1.0, pcm)
            data.write_shard(folder.shards / f"shard_{shard:04}", [utterance])
        made.append(listener.make(folder))
        torch.rand(1)
    assert made[0].read_bytes() == made[1].read_bytes()
    made[0].write_bytes(b"finished")
    assert listener.make(WorkFolder(tmp_path / "one")).read_bytes() == b"finished"


def test_nothing_is_learned_without_speech(tmp_path: Path) -> None:
    """The shard that is kept for validation is not enough, and the stage that makes more is named."""
    with pytest.raises(InputError, match="stage `data`"):
        listener.make(WorkFolder(tmp_path))
