"""Graphs for CUDA: valid, and in float32 on the CPU what the graphs for the CPU are."""

import json
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import onnx
import pytest
from generator_cases import CAPACITY, CASES, DELAYED, LOCALS, checkpoint, generate, greedy, opened, prompts
from generator_cases import reference as arrays_of
from numpy.typing import NDArray
from published_bundles import DATA

from voicestack.onnx_export.cli import export, verify
from voicestack.onnx_export.published.export import export_generator
from voicestack.onnx_export.published.form import Form
from voicestack.runtime import names
from voicestack.runtime.published import PublishedBundle
from voicestack.runtime.published.generator import AnyGenerator, open_generator
from voicestack.runtime.published.generator_info import GeneratorInfo, Number, Target
from voicestack.runtime.published.realtime_generator import RealtimeGenerator
from voicestack.runtime.published.row_backbone import RowBackbone
from voicestack.runtime.published.sampling_rules import ChannelSampling, PublishedSampling
from voicestack.runtime.sessions import open_session

_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
FORMS = (Form(), Form(Target.CUDA), Form(Target.CUDA, "float16"), Form(bits=8), Form(Target.CUDA, "float16", 4))


@cache
def for_cuda(case: str) -> tuple[Path, GeneratorInfo]:
    """A case's graphs for CUDA in float32, which no GPU runs: to be compared with those for the CPU."""
    folder = tempfile.TemporaryDirectory()
    _FOLDERS.append(folder)
    return Path(folder.name), export_generator(checkpoint(case), Path(folder.name), form=Form(Target.CUDA))


def opened_for_cuda(case: str, slots: int = 2) -> AnyGenerator:
    return open_generator(*for_cuda(case), slots=slots, capacity=CAPACITY)


def all_nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    """Those of the graphs inside a graph, too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from all_nodes(attribute.g)


@pytest.mark.parametrize("form", FORMS, ids=lambda form: f"{form.target} {form.computes_in} {form.bits}")
@pytest.mark.parametrize("case", CASES)
def test_every_graph_is_valid(case: str, form: Form, tmp_path: Path) -> None:
    """ONNX's checker accepts it, all shapes can be inferred, and CUDA's has nothing that the 1.31 packages lack."""
    info = export_generator(checkpoint(case), tmp_path, form=form)
    assert info.takes_query_lengths == (form.target is Target.CPU)
    for path in tmp_path.glob("*.onnx"):
        model = onnx.load(path, load_external_data=False)
        nodes = list(all_nodes(model.graph))
        for node in nodes:
            # ONNX Runtime's own, though it stands in ONNX's domain, where the checker looks for it in vain.
            if node.op_type == "SimplifiedLayerNormalization":
                node.domain = "com.microsoft"
        onnx.save(model, path)
        onnx.checker.check_model(str(path), full_check=True)
        onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
        if form.target is Target.CUDA:
            assert names.QUERY_SEQLENS not in {value.name for value in model.graph.input}
            attention = [node for node in nodes if node.op_type == "GroupQueryAttention"]
            assert all(len(node.input) == 9 for node in attention)
            known = {"num_heads", "kv_num_heads", "scale", "do_rotary", "rotary_interleaved"}
            assert all({attribute.name for attribute in node.attribute} <= known for node in attention)


@pytest.mark.parametrize(("case", "run"), [(c, r) for c in (*DELAYED, *LOCALS) for r in ("clone", "cont", "batch")])
def test_the_same_codes_as_for_the_cpu(case: str, run: str) -> None:
    """Greedy, and drawn from the same uniforms."""
    rule = ChannelSampling(1.0, 0.9, 20)
    for sampling in (greedy(), PublishedSampling(rule, rule, 1.1)):
        both = []
        for generator in (opened(case), opened_for_cuda(case)):
            both.append(generate(generator, generator.prefill(prompts(case, run), sampling, seed=5), 25))
        for ours, theirs in zip(*both, strict=True):
            np.testing.assert_array_equal(np.array(ours.rows), np.array(theirs.rows))
            np.testing.assert_allclose(np.stack(ours.hidden), np.stack(theirs.hidden), rtol=0, atol=1e-4)


def test_the_same_codes_of_two_clocked_turns() -> None:
    """Realtime's two turns of the reference are the published ones on CUDA's graphs, too."""
    generator, arrays = opened_for_cuda("realtime"), arrays_of("realtime")
    assert isinstance(generator, RealtimeGenerator)
    stream = generator.prefill([arrays["turn1_ids"]], greedy())[0]
    for turn in (1, 2):
        if turn == 2:
            generator.next_turn(stream, arrays["turn2_ids"])
        generator.push_text(stream, arrays[f"text{turn}"].tolist())
        generator.end_text(stream)
        expected = arrays[f"gen_two_turn_turn{turn}_codes"][0]
        rows = [generator.step([stream])[0] for _ in expected]
        np.testing.assert_array_equal(np.array([row[1:] for row in rows if row is not None]), expected)


@pytest.mark.parametrize("case", CASES)
def test_idle_streams_between_others_stay_as_they_are(case: str) -> None:
    """Without the number of new rows of each stream, a call spans neighbours only."""
    rows, (folder, info) = arrays_of(case)["prefill_ids"], for_cuda(case)
    graph = RowBackbone(open_session(folder / names.BACKBONE_FILE), info, 4, CAPACITY)
    alone = RowBackbone(open_session(folder / names.BACKBONE_FILE), info, 1, CAPACITY)
    slot = alone.cache.join()
    expected = [alone.append(slot, row[None]) for row in rows[:12]]
    for index, length in enumerate((5, 9, 2, 7)):
        assert graph.cache.join() == index
        graph.append(index, rows[:length])
    hidden = graph.step([0, 2, 3], [rows[5], rows[2], rows[7]])
    np.testing.assert_allclose(hidden, [expected[i] for i in (5, 2, 7)], rtol=0, atol=1e-5)
    assert graph.cache.leave(0) == 3
    hidden = graph.step([0, 1, 2], [rows[8], rows[9], rows[3]])
    np.testing.assert_allclose(hidden, [expected[i] for i in (8, 9, 3)], rtol=0, atol=1e-5)


def three_rows(bundle: PublishedBundle) -> list[NDArray[np.int64]]:
    generator = bundle.generator(capacity=CAPACITY)
    return generate(generator, generator.prefill(prompts("nano", "clone"), greedy()), 3)[0].rows


def test_a_bundle_for_cuda_says_so_and_runs_on_the_cpu_with_a_warning(tmp_path: Path) -> None:
    """Target, floor and number format are in the manifest; in float16 the hidden states stay close."""
    pytest.importorskip("torch")
    out = tmp_path / "bundle"
    assert export([str(DATA / "nano"), str(out), "--target", "cuda"]) == 0
    manifest = json.loads((out / "bundle.json").read_text())
    assert (manifest["target"], manifest["dtype"], manifest["onnxruntime_floor"]) == ("cuda", "float16", "1.31")
    bundle = PublishedBundle.load(out)
    assert bundle.generator_info.computes_in is Number.FLOAT16
    with pytest.warns(RuntimeWarning, match=r"exported for CUDA, and this ONNX Runtime .* runs on the CPU"):
        assert three_rows(bundle)
    assert verify([str(out), "--against", str(DATA / "nano")]) == 0
