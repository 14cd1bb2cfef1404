"""`voicestack verify --against`: a bundle beside its checkpoint, in plain torch."""

import sys
from pathlib import Path

import numpy as np
import pytest
from codec_cases import write_checkpoint
from generator_cases import changed_checkpoint
from published_bundles import CODECS, DATA, GENERATORS, bundle_path, reference_path

from voicestack.onnx_export.cli import export, verify
from voicestack.onnx_export.published.checkpoint import Checkpoint

pytestmark = pytest.mark.torch
Capture = pytest.CaptureFixture[str]


def lines_of(capsys: Capture) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("case", [*CODECS, *GENERATORS])
def test_a_bundle_is_its_checkpoint(case: str, capsys: Capture) -> None:
    """Every stored weight is the checkpoint's, and every graph computes what torch computes."""
    assert verify([str(bundle_path(case)), "--against", str(DATA / case)]) == 0
    *lines, last = lines_of(capsys)
    assert last == f"{len(lines)} checks, all ok"
    told = " ".join(lines)
    wanted = ["codec_decoder.onnx", "codec_encoder.onnx", "pcm", "codes"]
    if case in GENERATORS:
        wanted = ["backbone.onnx", "head", "hidden", "logits"]
    assert all(word in told for word in wanted)


def test_both_parts_and_a_reference_at_once(capsys: Capture) -> None:
    """A generator's folder, a codec's folder and a reference file, one after the other."""
    folders = [word for case in ("nano", "codec_nano") for word in ("--against", str(DATA / case))]
    path = bundle_path("nano", "codec_nano")
    assert verify([str(path), "--reference", str(reference_path("nano")), *folders]) == 0
    told = "\n".join(lines_of(capsys))
    assert all(part in told for part in ("gen_clone_codes", "hidden, ", "pcm, ", "all ok"))


@pytest.mark.parametrize(("case", "graph"), [("nano", "backbone.onnx"), ("codec_nano", "codec_encoder.onnx")])
def test_half_precision_is_measured_with_a_limit_of_its_own(
    case: str, graph: str, tmp_path: Path, capsys: Capture
) -> None:
    """Its stored weights are the rounded ones, exactly; of a generator and of a codec."""
    out = tmp_path / "half"
    assert export([str(DATA / case), str(out), "--dtype", "float16"]) == 0
    assert verify([str(out), "--against", str(DATA / case)]) == 0
    assert f"ok      identical           {graph}" in "\n".join(lines_of(capsys))


@pytest.mark.parametrize(
    ("case", "tensor", "graph", "outputs"),
    [
        ("nano", "transformer.h.0.mlp.fc_in.weight", "backbone.onnx", {"hidden"}),
        ("nano", "transformer.h.1.ln_2.bias", None, {"hidden"}),
        ("nano", "local_transformer.h.0.attn.c_proj.weight", "head_6.onnx", {"logits", "text_logits"}),
        ("delay_nvq8", "language_model.layers.1.self_attn.k_norm.weight", None, {"hidden"}),
        ("delay_nvq8", "lm_heads.3.weight", "head.onnx", {"logits"}),
        ("local", "local_to_speech_embedding_mlps.2.up_proj.weight", "head_8.onnx", {"logits"}),
    ],
)
def test_other_weights_of_a_generator_differ(
    case: str, tensor: str, graph: str | None, outputs: set[str], tmp_path: Path, capsys: Capture
) -> None:
    """A changed tensor is named where it is stored by itself; a small one inside a graph shows in what it computes."""
    weights = Checkpoint.open(DATA / case).tensor(tensor).copy()
    weights[0] += 1
    changed_checkpoint(case, tmp_path, tensors={tensor: weights})
    assert verify([str(bundle_path(case)), "--against", str(tmp_path)]) == 1
    wrong = [line for line in lines_of(capsys) if line.startswith("DIFFERS")]
    assert [line for line in wrong if graph and f"  {graph}, " in line and " values of " in line] or not graph
    found = {name for name in ("hidden", "text_logits", "logits") if any(f"  {name}, " in line for line in wrong)}
    assert outputs <= found | {"text_logits"}
    assert found <= outputs


@pytest.mark.parametrize(
    ("tensor", "told"),
    [
        ("decoder.1.transformer.layers.0.self_attn.in_proj.weight", ["codec_decoder.onnx", "pcm"]),
        ("quantizer.quantizers.2.codebook.weight", ["codec_decoder.onnx", "pcm", "codes"]),
    ],
)
def test_other_weights_of_a_codec_differ(tensor: str, told: list[str], tmp_path: Path, capsys: Capture) -> None:
    """In the graphs that store them (the encoder has so small a codebook inside), and in what these compute."""
    checkpoint = Checkpoint.open(DATA / "codec_nano")
    tensors = {name: checkpoint.tensor(name) for name in sorted(checkpoint.names)}
    tensors[tensor] = tensors[tensor][::-1].copy()
    folder = write_checkpoint(tmp_path / "other", checkpoint.config, tensors)
    assert verify([str(bundle_path("codec_nano")), "--against", str(folder)]) == 1
    wrong = [line for line in lines_of(capsys) if line.startswith("DIFFERS")]
    assert [name for name in told if any(f"  {name}, " in line for line in wrong)] == told
    assert len(wrong) == len(told)


def test_a_checkpoint_of_another_size_is_told(tmp_path: Path, capsys: Capture) -> None:
    """A part the bundle has not, another family, and a bundle that misses a weight."""
    assert verify([str(bundle_path("nano")), "--against", str(DATA / "codec_nano")]) == 2
    assert "this is a codec, and " in capsys.readouterr().err
    assert verify([str(bundle_path("nano")), "--against", str(DATA / "local")]) == 2
    assert "voicestack: error: " in capsys.readouterr().err
    assert verify([str(bundle_path("codec_nano")), "--against", str(tmp_path)]) == 2
    assert "config.json" in capsys.readouterr().err


def test_without_torch_the_extra_is_named(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line; a reference can still be replayed."""
    for module in [name for name in sys.modules if name.startswith("voicestack.onnx_export.published.verify")]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert verify([str(bundle_path("nano")), "--against", str(DATA / "nano")]) == 2
    assert "the package torch is missing; install voicestack with its `export` extra" in capsys.readouterr().err
    assert verify([str(bundle_path("nano")), "--reference", str(reference_path("nano"))]) == 0


def test_the_same_random_inputs_every_time(capsys: Capture) -> None:
    """Two runs print the same lines."""
    told = []
    for _ in range(2):
        verify([str(bundle_path("nano")), "--against", str(DATA / "nano")])
        told.append(lines_of(capsys))
    assert told[0] == told[1]
    assert not np.any([line.startswith("DIFFERS") for line in told[0]])
