"""The weight file of published graphs: equal tensors once, one tensor in memory at a time."""

import dataclasses
import weakref
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from generator_cases import CASES, checkpoint, exported
from numpy.typing import NDArray

from voicestack.onnx_export.published.backbone import build_backbone
from voicestack.onnx_export.published.export import export_generator
from voicestack.onnx_export.published.family import read_config
from voicestack.onnx_export.published.form import Form
from voicestack.onnx_export.published.streamed_graph import StreamedGraph
from voicestack.onnx_export.published.weight_stream import WeightStream
from voicestack.runtime import names

FloatArray = NDArray[np.float32]


def numbers(seed: int, *shape: int) -> FloatArray:
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def test_equal_tensors_are_stored_once(tmp_path: Path) -> None:
    """The second of two gets the place of the first; another shape or value a place of its own."""
    with WeightStream(tmp_path / "w.bin") as stream:
        first = stream.place("a", numbers(1, 40, 20))
        assert stream.place("b", numbers(1, 40, 20)) == first
        assert stream.place("c", numbers(1, 20, 40)) != first
        assert stream.place("d", numbers(2, 40, 20)) != first


def test_the_parts_of_a_table_are_found_in_it(tmp_path: Path) -> None:
    """With and without the zero row behind each."""
    parts = [numbers(seed, 10, 60) for seed in range(3)]
    with WeightStream(tmp_path / "w.bin") as stream:
        start, length = stream.place_rows("table", iter(parts), zero_rows=True)
        assert length == 3 * 11 * 60 * 4
        assert stream.place("part", parts[1]) == (start + 11 * 60 * 4, 10 * 60 * 4)
        padded = np.pad(parts[2], ((0, 1), (0, 0)))
        assert stream.place("padded part", padded) == (start + 22 * 60 * 4, 11 * 60 * 4)
    stored = np.fromfile(tmp_path / "w.bin", np.float32, offset=start).reshape(3, 11, 60)
    np.testing.assert_array_equal(stored[:, :10], np.stack(parts))
    assert not stored[:, 10].any()


def test_a_value_that_float16_cannot_hold_is_named(tmp_path: Path) -> None:
    """Rather than stored as infinity."""
    with WeightStream(tmp_path / "w.bin", "float16") as stream, pytest.raises(ValueError, match="weight big .*float16"):
        stream.place("big", np.full((3, 3), 1e5, np.float32))


@pytest.mark.parametrize("bits", [None, 8, 4])
@pytest.mark.parametrize("case", CASES)
def test_few_tensors_are_in_memory_at_once(case: str, bits: int | None, tmp_path: Path) -> None:
    """However many there are: never more than the three that are packed into one, and the next."""
    source, alive, most = checkpoint(case), 0, 0

    def gone() -> None:
        nonlocal alive
        alive -= 1

    def load(name: str) -> FloatArray:
        nonlocal alive, most
        array = source.tensor(name).copy()
        weakref.finalize(array, gone)
        alive += 1
        most = max(most, alive)
        return array

    with WeightStream(tmp_path / "w.bin") as stream:
        build_backbone(StreamedGraph("backbone", stream, load, bits=bits), read_config(source))
    assert 1 <= most <= 4


@pytest.mark.parametrize("case", CASES)
def test_what_backbone_and_head_share_is_stored_once(case: str) -> None:
    """The weight file is hardly larger than the tensors that differ."""
    source = checkpoint(case)
    config = read_config(source)
    different = {(source.tensor(name).tobytes(), source.shape(name)) for name in config.tensors()}
    total = sum(len(data) for data, _ in different)
    size = (exported(case)[0] / "generator.bin").stat().st_size
    # Zero rows, alignment, and the text rows that a head takes for itself.
    assert size < total * 1.06 + 4096


def test_half_precision_weights_halve_the_file_and_stay_close(tmp_path: Path) -> None:
    """Computing stays in float32, so the error is that of rounding the weights."""
    folder, info = exported("nano")
    assert export_generator(checkpoint("nano"), tmp_path, form=Form(dtype="float16")) == dataclasses.replace(
        info, head_depths=(6,)
    )
    ratio = (tmp_path / "generator.bin").stat().st_size / (folder / "generator.bin").stat().st_size
    assert ratio == pytest.approx(0.5, abs=0.02)
    shape = (1, info.backbone.kv_heads, 4, info.backbone.head_dim)
    caches = {
        of(layer): np.zeros(shape, np.float32)
        for layer in range(info.backbone.layers)
        for of in (names.past_key, names.past_value)
    }
    feeds = {
        names.TEXT: np.array([[1, 2, 3]]),
        names.CODES: np.zeros((1, 3, info.n_vq), np.int64),
        names.SEQLENS_K: np.array([2], np.int32),
        names.QUERY_SEQLENS: np.array([3], np.int32),
        names.TOTAL_LENGTH: np.array(3, np.int32),
    }
    half, single = (
        np.asarray(ort.InferenceSession(path / names.BACKBONE_FILE).run([names.HIDDEN], feeds | caches)[0])
        for path in (tmp_path, folder)
    )
    error = np.abs(half - single).max()
    assert 0 < error < 0.02
