"""Matrices of few bits: what is stored, how far it is from the weights, and that generators run on it."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from generator_cases import CAPACITY, CASES, checkpoint, exported, greedy, prefill_hidden, prompts, reference
from numpy.typing import NDArray
from published_bundles import DATA

from voicestack.onnx_export.cli import export, verify
from voicestack.onnx_export.published.export import export_generator
from voicestack.onnx_export.published.form import Form
from voicestack.onnx_export.published.low_bits import BLOCK, LowBits, to_low_bits
from voicestack.runtime import names
from voicestack.runtime.published import PublishedBundle
from voicestack.runtime.published.generator import open_generator
from voicestack.runtime.published.realtime_generator import RealtimeGenerator
from voicestack.runtime.published.row_backbone import RowBackbone
from voicestack.runtime.sessions import open_session

FloatArray = NDArray[np.float32]
HIDDEN_ERRORS = {8: 0.03, 4: 0.3}
"""Root mean square of what changes in the hidden states, relative to theirs."""


def numbers(*shape: int) -> FloatArray:
    return np.random.default_rng(3).standard_normal(shape, np.float32)


def weights_of(stored: LowBits, bits: int, width: int) -> FloatArray:
    """The matrix that a stored one stands for."""
    whole: NDArray[Any] = stored.values.astype(np.float32)
    zero: NDArray[Any] = np.full((1, 1, 1), 128, np.float32)
    if bits == 4 and stored.zeros is not None:
        whole = np.stack([stored.values & 15, stored.values >> 4], -1).reshape(*stored.scales.shape, BLOCK)
        halves = np.stack([stored.zeros & 15, stored.zeros >> 4], -1).reshape(len(stored.zeros), -1)
        zero = halves[:, : stored.scales.shape[1], None].astype(np.float32)
    matrix: FloatArray = ((whole - zero) * stored.scales[..., None]).reshape(len(whole), -1)[:, :width]
    return matrix


@pytest.mark.parametrize(("bits", "error"), [(8, 0.006), (4, 0.09)])
@pytest.mark.parametrize("shape", [(40, 64), (7, 33), (3, 100), (16, 32)])
def test_what_is_stored_is_close_to_the_weights(bits: int, error: float, shape: tuple[int, int]) -> None:
    """Whatever the width; the error told is the error made."""
    matrix = numbers(*shape)
    stored = to_low_bits(matrix, bits)
    found = weights_of(stored, bits, shape[1]) - matrix
    assert np.sqrt(np.square(found).mean() / np.square(matrix).mean()) == pytest.approx(stored.error, rel=1e-3)
    assert 0 < stored.error < error


@pytest.mark.parametrize("bits", [8, 4])
def test_zeros_stay_zeros(bits: int) -> None:
    """A block of zeros, and a whole matrix of them."""
    matrix = numbers(4, 96)
    matrix[1, :40], matrix[2] = 0, 0
    np.testing.assert_array_equal(weights_of(to_low_bits(matrix, bits), bits, 96)[2], 0)
    assert to_low_bits(matrix * 0, bits).error == 0


@pytest.mark.parametrize("bits", [8, 4])
def test_a_large_matrix_needs_little_more_memory_than_itself(bits: int) -> None:
    """The work is done some rows at a time: less than the matrix once more, its stored form included."""
    matrix = numbers(8192, 2048)
    tracemalloc.start()
    to_low_bits(matrix, bits)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < matrix.nbytes * 2.2


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("case", CASES)
def test_a_quantised_generator_stays_close_and_speaks(case: str, bits: int, tmp_path: Path) -> None:
    """Hidden states behind the reference's rows are near the exact ones, and greedy rows come out."""
    errors: dict[str, float] = {}
    info = export_generator(checkpoint(case), tmp_path, form=Form(bits=bits), errors=errors)
    assert info == exported(case)[1] or info.head_depths == (info.n_vq,)
    graph = RowBackbone(open_session(tmp_path / names.BACKBONE_FILE), info, 1, CAPACITY)
    rows, exact = reference(case)["prefill_ids"], prefill_hidden(case)
    slot = graph.cache.join()
    hidden = np.stack([graph.append(slot, row[None]) for row in rows])
    error = float(np.sqrt(np.square(hidden - exact).mean() / np.square(exact).mean()))
    assert 0 < error < HIDDEN_ERRORS[bits]
    generator = open_generator(tmp_path, info, capacity=CAPACITY)
    spoken = reference(case)["turn1_ids"] if case == "realtime" else prompts(case, "clone")[0]
    streams = generator.prefill([spoken], greedy())
    if isinstance(generator, RealtimeGenerator):
        generator.push_text(streams[0], reference(case)["text1"].tolist())
    given = [generator.step(streams)[0] for _ in range(8)]
    # So small a random model may decide otherwise when its weights are rounded to 4 bits, and end.
    assert streams[0].ended or sum(row is not None for row in given) > 3
    assert len(errors) > info.backbone.layers * 4
    assert all(0 < value < (0.01 if bits == 8 else 0.11) for value in errors.values())


def test_embeddings_and_norms_are_not_rounded(tmp_path: Path) -> None:
    """What MatMulNBits does not read is stored as it is."""
    export_generator(checkpoint("nano"), tmp_path, form=Form(bits=4))
    model = onnx.load(tmp_path / names.BACKBONE_FILE, load_external_data=False)
    rounded = {name for node in model.graph.node if node.op_type == "MatMulNBits" for name in node.input[1:]}
    kinds = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    assert rounded
    assert {kinds["code_tables"], kinds["transformer.wte.weight"]} == {onnx.TensorProto.FLOAT}
    assert {name for name, kind in kinds.items() if kind == onnx.TensorProto.UINT8} <= rounded
    assert not [node for node in model.graph.node if node.op_type == "MatMul"]


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_the_error_of_each_matrix_is_told_and_kept(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table at the end of the export, the same figures in the manifest, and verify rounds as the export did."""
    out = tmp_path / "bundle"
    assert export([str(DATA / "nano"), str(out), "--quantize", kind]) == 0
    told = capsys.readouterr()
    assert f"generator of family nano ({kind}, float32)" in told.err
    first, *lines = told.out.splitlines()
    assert first.startswith(f"error of the {kind} weights")
    kept = json.loads((out / "bundle.json").read_text())["quantisation"]
    assert kept["bits"] == int(kind[3])
    assert kept["block_size"] == BLOCK
    layer = next(line for line in lines if line.startswith("  transformer.h.1 "))
    assert f"mlp.fc_in {kept['errors']['transformer.h.1.mlp.fc_in']:.2%}" in layer
    assert PublishedBundle.load(out).manifest.quantisation is not None
    assert verify([str(out), "--against", str(DATA / "nano")]) == 0
