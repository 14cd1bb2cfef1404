"""A voice with its matrices in 8 bits: smaller, close to what it was, and told how close."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from tiny_bundle import (
    TINY_CODEC,
    TINY_DELAY,
    TINY_GENERATOR,
    random_codec_weights,
    random_generator_weights,
    write_tiny_bundle,
)

from voicestack.onnx_export.low_bit_graph import LowBitFile
from voicestack.onnx_export.specs import GeneratorConfig
from voicestack.runtime import Bundle, SamplingParams, Speaker, names
from voicestack.runtime.manifest import read_manifest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("int8")
    write_tiny_bundle(folder, shared=LowBitFile())
    return folder


def rounded_in(path: Path) -> set[str]:
    """The matrices that a graph multiplies with in 8 bits."""
    model = onnx.load(path, load_external_data=False)
    return {node.input[1].removesuffix(".bits") for node in model.graph.node if node.op_type == "MatMulNBits"}


def test_it_is_a_bundle_like_any_other_and_speaks(folder: Path, tmp_path: Path) -> None:
    """The same runtime loads it; its weights are smaller."""
    write_tiny_bundle(tmp_path)
    assert (folder / names.WEIGHTS_FILE).stat().st_size < (tmp_path / names.WEIGHTS_FILE).stat().st_size
    chunks = Speaker(Bundle.load(folder)).speak("Hello there.", sampling=SamplingParams(seed=1), depth=8)
    assert sum(len(chunk.pcm) for chunk in chunks) > 10_000


def test_the_manifest_tells_how_and_how_far_each_matrix_was_rounded(folder: Path) -> None:
    """All matrices of the generator's linear layers but the one that decides between three classes, and no other."""
    told = read_manifest(folder / names.MANIFEST_FILE).provenance["quantisation"]
    graphs = [names.BACKBONE_FILE, *map(names.head_file, names.HEAD_DEPTHS)]
    assert set(told["errors"]) == set().union(*(rounded_in(folder / name) for name in graphs))
    assert {"layers.1.qkv", "local_layers.0.down", "code_in"} <= set(told["errors"])
    assert not rounded_in(folder / names.CODEC_DECODER_FILE)
    assert not {"channel_out"} & set(told["errors"])
    assert all(0 < error < 0.01 for error in told["errors"].values())
    assert (told["bits"], told["block_size"]) == (8, 32)


def test_a_matrix_is_stored_once_for_all_graphs(folder: Path) -> None:
    """The heads of all depths name the same place in the weight file."""
    places = set()
    for depth in names.HEAD_DEPTHS:
        graph = onnx.load(folder / names.head_file(depth), load_external_data=False).graph
        (tensor,) = (tensor for tensor in graph.initializer if tensor.name == "local_layers.0.qk.bits")
        places.add(tuple((entry.key, entry.value) for entry in tensor.external_data))
    assert len(places) == 1


@pytest.mark.torch
@pytest.mark.parametrize("config", [TINY_GENERATOR, TINY_DELAY])
def test_its_graphs_are_close_to_what_torch_computes(config: GeneratorConfig, tmp_path: Path) -> None:
    """Within the limits for 8 bits, outside of those for float; a wrong weight is outside of both."""
    pytest.importorskip("torch")
    from voicestack.onnx_export import parity

    write_tiny_bundle(tmp_path, generator=config, shared=LowBitFile())
    weights = random_generator_weights(config), config, random_codec_weights(), TINY_CODEC
    results = parity.verify(tmp_path, *weights, parity.LOW_BITS)
    assert not all(result.within(parity.FLOAT) for result in results)
    for name, graph in (("layers.1.o.weight", "backbone"), ("codebooks", "head_32")):
        other = weights[0] | {name: np.flip(weights[0][name], -1).copy()}
        with pytest.raises(parity.ParityError, match=graph):
            parity.verify(tmp_path, other, *weights[1:], parity.LOW_BITS)
