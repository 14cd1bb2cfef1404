"""Caches in ONNX Runtime's own memory, and the choice of what runs a bundle's graphs."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from generator_cases import CAPACITY, backbone, checkpoint, exported, reference

from voicestack.onnx_export.published.export import export_generator
from voicestack.onnx_export.published.form import Form
from voicestack.runtime import names
from voicestack.runtime.kv_cache import KVCache
from voicestack.runtime.published import providers, row_backbone
from voicestack.runtime.published.device_cache import CPU, DeviceCache
from voicestack.runtime.published.generator_info import Number, Target
from voicestack.runtime.published.row_backbone import RowBackbone
from voicestack.runtime.sessions import GraphSession, open_session


@pytest.mark.parametrize("number", Number)
def test_rows_are_read_written_and_moved_as_in_the_other_cache(number: Number) -> None:
    """By the indices that all users of a cache use; what was never written is zero."""
    random = np.random.default_rng(0)
    plain, device = KVCache(3, 2, 2, 8, 5), DeviceCache(3, 2, 2, 8, 5, number=number, device=CPU)
    for cache in (plain, device):
        for _ in range(3):
            cache.join()
        cache.lengths[:] = [1, 4, 2]
    part = random.standard_normal((2, 4, 8)).astype(np.float16)
    for cache in (plain, device):
        cache.values[1][2, :, :4] = part
        assert cache.leave(0) == 2
    for layer in range(2):
        for ours, theirs in ((device.keys, plain.keys), (device.values, plain.values)):
            assert ours[layer][0].dtype == np.dtype(number)
            np.testing.assert_array_equal(ours[layer][0], theirs[layer][0])
    assert device.lengths == plain.lengths


class _SaysItIsOnTheGpu(GraphSession):
    """A session whose arrays are bound anew for every run, as a GPU's have to be."""

    @property
    def on_gpu(self) -> bool:
        return True


def test_inputs_are_bound_anew_for_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The way through a GPU gives the same hidden states, here with the CPU in its place."""
    info = export_generator(checkpoint("nano"), tmp_path, form=Form(Target.CUDA))
    path = tmp_path / names.BACKBONE_FILE
    monkeypatch.setattr(row_backbone, "CUDA", CPU)
    session = _SaysItIsOnTheGpu(ort.InferenceSession(path, providers=["CPUExecutionProvider"]), path)
    rows = reference("nano")["prefill_ids"]
    states = []
    for graph in (RowBackbone(session, info, 2, CAPACITY), backbone("nano", slots=2)):
        first, second = graph.cache.join(), graph.cache.join()
        states.append([graph.append(first, rows[:6]), graph.append(second, rows[:3])])
        states[-1] += graph.step([first, second], [rows[6], rows[3]]) + graph.step([second], [rows[4]])
    np.testing.assert_allclose(states[0], states[1], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("available", "on_gpu", "asked", "warned"),
    [
        (["CPUExecutionProvider"], False, ["CPUExecutionProvider"], "has no CUDA"),
        (["CUDAExecutionProvider", "CPUExecutionProvider"], False, None, "found no GPU it can use"),
        (["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"], True, None, None),
    ],
)
def test_a_bundle_for_cuda_asks_for_cuda_where_it_is(
    available: list[str], on_gpu: bool, asked: list[str] | None, warned: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And warns, once a graph, when that is not there; what is for the CPU never asks."""
    requested: list[list[str]] = []

    class Opened:
        def __init__(self) -> None:
            self.on_gpu = on_gpu

    def opened(path: Path, wanted: Any = ("CPUExecutionProvider",)) -> Any:
        requested.append(list(wanted))
        return Opened()

    monkeypatch.setattr(providers, "open_session", opened)
    monkeypatch.setattr(ort, "get_available_providers", lambda: available)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        providers.open_for(Path("backbone.onnx"), Target.CPU)
        assert not caught
        providers.open_for(Path("backbone.onnx"), Target.CUDA)
    assert requested == [["CPUExecutionProvider"], asked or ["CUDAExecutionProvider", "CPUExecutionProvider"]]
    assert [str(each.message) for each in caught if warned is None or warned not in str(each.message)] == []
    assert len(caught) == (warned is not None)


def test_a_session_on_the_cpu_is_not_on_a_gpu() -> None:
    """As ONNX Runtime itself says which provider is first."""
    assert not open_session(exported("nano")[0] / names.BACKBONE_FILE).on_gpu
