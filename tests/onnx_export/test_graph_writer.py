from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto

from voicestack.onnx_export.graph_writer import GraphWriter, WeightFile, byte_rows, rounded


def table(rows: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((rows, 40, 16)).astype(np.float32)


def test_equal_weights_are_stored_once(tmp_path: Path) -> None:
    """Equal arrays share one place, other arrays follow on aligned offsets."""
    weights, first = WeightFile(), table(1)[0]
    place = weights.place(first)
    other, _ = weights.place(first + 1)
    assert weights.place(first.copy()) == place == (0, first.size * 2)
    assert other % 64 == 0
    weights.save(tmp_path / "weights.bin")
    assert (tmp_path / "weights.bin").stat().st_size == 2 * first.size * 2


def test_the_rows_of_a_table_are_found_inside_it() -> None:
    """After a table is placed, each of its parts costs nothing."""
    weights, whole = WeightFile(), table(3)
    weights.place_table(whole)
    assert [weights.place(part) for part in whole] == [(part * 1280, 1280) for part in range(3)]


def test_the_leading_parts_of_a_table_are_found_inside_it() -> None:
    """So do those of its leading parts that are named, which begin where it begins."""
    weights, whole = WeightFile(), table(3)
    weights.place_table(whole, (2,))
    assert weights.place(whole[:2]) == (0, 2 * 1280)


def test_a_shape_of_its_own_has_a_place_of_its_own() -> None:
    """The same bytes in another shape are not taken for the same weight's part."""
    weights, array = WeightFile(), table(2)
    assert weights.place(array) != weights.place(array.reshape(-1, 16))


def test_a_weight_used_twice_is_one_initialiser() -> None:
    """Two nodes that use a weight share its initialiser and its Cast."""
    g = GraphWriter("g", WeightFile(), "weights.bin")
    x = g.input("x", TensorProto.FLOAT, ["batch", 640])
    weight = table(1).reshape(64, 10 * 1)[:, :10].repeat(64, 1)
    y = g.linear(g.linear(x, "w", weight), "w", weight)
    g.output("y", y, TensorProto.FLOAT, ["batch", 64])
    model = g.model()
    assert len(model.graph.initializer) == 1
    assert [node.op_type for node in model.graph.node].count("Cast") == 1
    assert model.graph.initializer[0].data_location == TensorProto.EXTERNAL


def test_a_table_in_bytes_is_near_the_table_and_rounds_to_itself() -> None:
    """A row errs by less than half a step of its largest value, one of zeros not at all; once more changes nothing."""
    whole = table(1)[0] * np.logspace(-3, 3, 40, dtype=np.float32)[:, None]
    whole[7] = 0
    once = rounded({"text_table.weight": whole})["text_table.weight"]
    steps = np.abs(whole).max(1, keepdims=True) / 127
    assert (np.abs(once - whole) <= 0.51 * steps + np.abs(whole) * 2**-11).all()
    assert (rounded({"text_table.weight": once})["text_table.weight"] == once).all()
    rows, scales = byte_rows(once)
    assert (rows * scales.astype(np.float32) == once).all()


def test_rows_gathered_from_bytes_are_those_of_the_rounded_table(tmp_path: Path) -> None:
    """ONNX Runtime gives the rows that `rounded` says; the file holds a byte a weight, and a scale a row."""
    whole = rounded({"text_table.weight": np.tile(table(1)[0], (20, 1))})["text_table.weight"]
    shared = WeightFile()
    g = GraphWriter("g", shared, "weights.bin")
    rows = g.input("rows", TensorProto.INT64, ["batch", 2])
    g.output("y", g.gather_bytes("text_table.weight", whole, rows), TensorProto.FLOAT, ["batch", 2, 16])
    onnx.save(g.model(), tmp_path / "g.onnx")
    shared.save(tmp_path / "weights.bin")
    assert (tmp_path / "weights.bin").stat().st_size == whole.size + len(whole) * 2
    session = onnxruntime.InferenceSession(tmp_path / "g.onnx", providers=["CPUExecutionProvider"])
    picked = np.array([[3, 799], [0, 41]])
    (made,) = session.run(None, {"rows": picked})
    np.testing.assert_array_equal(made, whole[picked])


def test_a_scalar_stays_a_scalar() -> None:
    """Constants keep their shape, a 0-d one included."""
    g = GraphWriter("g", WeightFile(), "weights.bin")
    g.output("y", g.op("Add", g.input("x", TensorProto.FLOAT, []), g.scalar(1)), TensorProto.FLOAT, [])
    onnx.checker.check_model(g.model())
    assert list(g.model().graph.initializer[0].dims) == []


@pytest.mark.parametrize("value", [7e4, float("nan"), float("-inf")])
def test_a_weight_that_float16_cannot_hold_is_named(value: float) -> None:
    """Overflow and non-finite values are one error that names the weight."""
    with pytest.raises(ValueError, match=r"layers\.0\.q\.weight"):
        rounded({"fine": np.ones(3, np.float32), "layers.0.q.weight": np.array([1, value], np.float32)})
