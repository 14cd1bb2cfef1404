from dataclasses import replace

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from sampling_reference import draw_channel, draw_code
from tiny_bundle import TINY_FACTS, TINY_GENERATOR, random_generator_weights

from voicestack.onnx_export.graph_writer import WeightFile, Weights, rounded
from voicestack.onnx_export.head_graph import build_head
from voicestack.runtime import names
from voicestack.runtime.bundle import Bundle
from voicestack.runtime.cued_feed import CuedFeed
from voicestack.runtime.sampling import SamplingParams, head_settings, uniforms
from voicestack.runtime.sessions import open_session
from voicestack.runtime.stack_head import HeadRow, StackHead

NO_BIAS = CuedFeed().channel_bias * 0
D_MODEL = TINY_GENERATOR.d_model


def some_row(seed: int, depth: int, params: SamplingParams | None = None) -> HeadRow:
    """A row of random content; its recent codes include null ones and ones seen twice."""
    draw = np.random.default_rng(seed)
    recent = draw.integers(0, 1025, (32, names.PENALTY_WINDOW))
    recent[:, ::5] = 1024
    recent[:, 1] = recent[:, 2]
    return HeadRow(
        draw.standard_normal(D_MODEL).astype(np.float32),
        uniforms(draw, 32),
        NO_BIAS,
        recent,
        head_settings(params or SamplingParams(), TINY_FACTS.sampling, depth),
    )


@pytest.fixture(scope="module")
def blind_weights() -> Weights:
    """Weights of a head that ignores its input and its codes: its logits are its biases, which a test can know."""
    weights = rounded(random_generator_weights())
    weights["codebooks"] *= 0
    weights["channel_out.weight"] *= 0
    weights["local_bias"] *= 6
    return rounded(weights)


@pytest.fixture(scope="module")
def blind_head(blind_weights: Weights, tmp_path_factory: pytest.TempPathFactory) -> StackHead:
    folder = tmp_path_factory.mktemp("blind")
    shared = WeightFile()
    onnx.save(build_head(blind_weights, TINY_GENERATOR, 8, shared), folder / names.head_file(8))
    shared.save(folder / names.WEIGHTS_FILE)
    return StackHead(lambda depth: open_session(folder / names.head_file(depth)), D_MODEL)


@pytest.fixture(scope="module")
def head(tiny: Bundle) -> StackHead:
    return StackHead(tiny.head, D_MODEL)


@pytest.mark.parametrize(
    "params",
    [
        SamplingParams(),
        SamplingParams(temperature=0),
        SamplingParams(temperature=1.5, top_k=64, top_p=1.0, repetition_penalty=3.0),
        SamplingParams(temperature=0.3, top_k=5, top_p=0.2, repetition_penalty=1.0),
        SamplingParams(band_temperatures=((3, 0.5), (32, 2.0)), top_k=64, top_p=0.7),
    ],
)
def test_sampling_agrees_with_numpy(params: SamplingParams, blind_head: StackHead, blind_weights: Weights) -> None:
    """From the same logits and uniforms the graph draws the codes that plain numpy draws."""
    for seed in range(20):
        row = some_row(seed, 8, params)
        channels, codes = blind_head.draw(8, [row])
        expected = [
            draw_code(blind_weights["local_bias"][layer], row.recent_codes[layer], layer, uniform, row.settings)
            for layer, uniform in enumerate(row.uniforms[1:9])
        ]
        assert codes[0].tolist() == expected
        bias = blind_weights["channel_out.bias"]
        assert channels[0] == draw_channel(bias, row.channel_bias, row.uniforms[0], row.settings)


def test_a_masked_channel_is_never_drawn(blind_head: StackHead) -> None:
    """A class whose bias is the mask does not occur, whatever the uniform."""
    bias = np.array([0, names.MASKED, names.MASKED], np.float32)
    rows = [replace(some_row(seed, 8), channel_bias=bias) for seed in range(30)]
    assert set(blind_head.draw(8, rows)[0]) == {names.HOLD}


@pytest.mark.parametrize("count", [1, 5, 6, 7, 13])
def test_a_batch_of_any_size_draws_as_each_row_alone(head: StackHead, count: int) -> None:
    """Rows share calls, in groups when there are many, and each gives what it gives alone."""
    rows = [some_row(seed, 16) for seed in range(count)]
    channels, codes = head.draw(16, rows)
    alone = [head.draw(16, [row]) for row in rows]
    assert channels == [channel for (channel,), _ in alone]
    np.testing.assert_array_equal(codes, [stack for _, (stack,) in alone])


def test_shallow_heads_draw_the_coarse_codes_of_deep_ones(head: StackHead) -> None:
    """The same row gives the same first codes at depths 8, 16 and 32."""
    drawn: dict[int, NDArray[np.int64]] = {depth: head.draw(depth, [some_row(3, depth)])[1][0] for depth in (8, 16, 32)}
    assert drawn[8].tolist() == drawn[32][:8].tolist()
    assert drawn[16].tolist() == drawn[32][:16].tolist()
