from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tiny_bundle import TINY_DELAY, TINY_GENERATOR, write_tiny_bundle

from voicestack.runtime import names
from voicestack.runtime.bundle import Bundle

Feeds = dict[str, NDArray[Any]]


@pytest.fixture(scope="module", params=["local", "delay"])
def bundle(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    write_tiny_bundle(folder, generator=TINY_GENERATOR if request.param == "local" else TINY_DELAY)
    return Bundle.load(folder)


def head_feeds(batch: int, depth: int, seed: int = 0) -> Feeds:
    draw = np.random.default_rng(seed)
    return {
        names.HIDDEN: draw.standard_normal((batch, TINY_GENERATOR.d_model), np.float32),
        names.UNIFORMS: draw.random((batch, 33), np.float32)[:, : 1 + depth],
        names.CHANNEL_BIAS: np.zeros((batch, names.CHANNEL_CLASSES), np.float32),
        names.INV_TEMPERATURE: np.ones((batch, 1 + depth), np.float32),
        names.RANK_BIAS: np.zeros((batch, names.TOP_K), np.float32),
        names.TOP_P: np.ones((batch, 1), np.float32),
        names.RECENT_CODES: np.full((batch, depth, names.PENALTY_WINDOW), 1024),
        names.PENALTY: np.ones((batch, 1), np.float32),
    }


def run(bundle: Bundle, depth: int, feeds: Feeds) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    if width := bundle.manifest.residual_width:
        carried = np.random.default_rng(1).standard_normal((len(feeds[names.HIDDEN]), 31, width))
        feeds = feeds | {
            names.RESIDUALS: np.broadcast_to(carried[:1], carried.shape)[:, : depth - 1].astype(np.float32)
        }
    outputs = bundle.head(depth).call(feeds)
    return outputs[names.CHANNEL], outputs[names.CODES]


def greedy(feeds: Feeds) -> Feeds:
    rank_bias = np.zeros_like(feeds[names.RANK_BIAS])
    rank_bias[:, 1:] = names.MASKED
    return feeds | {names.RANK_BIAS: rank_bias}


def test_a_row_gives_the_same_stack_alone_and_in_a_batch(bundle: Bundle) -> None:
    """Who else is in the batch changes neither channel nor codes."""
    feeds = head_feeds(7, 16)
    channel, codes = run(bundle, 16, feeds)
    for row in range(7):
        alone = run(bundle, 16, {name: value[row : row + 1] for name, value in feeds.items()})
        assert alone[0][0] == channel[row]
        assert (alone[1][0] == codes[row]).all()


def test_a_shallow_head_gives_the_first_layers_of_the_deep_one(bundle: Bundle) -> None:
    """Depths 8 and 16 are prefixes of depth 32 given the same uniforms."""
    channel, codes = run(bundle, 32, head_feeds(4, 32))
    for depth in (8, 16):
        shallow = run(bundle, depth, head_feeds(4, depth))
        assert (shallow[0] == channel).all()
        assert (shallow[1] == codes[:, :depth]).all()


def test_greedy_ignores_the_uniforms(bundle: Bundle) -> None:
    """With one rank left the uniforms change nothing, channel 0 included."""
    feeds = greedy(head_feeds(4, 8))
    first = run(bundle, 8, feeds)
    second = run(bundle, 8, feeds | {names.UNIFORMS: 1 - feeds[names.UNIFORMS]})
    assert (first[0] == second[0]).all()
    assert (first[1] == second[1]).all()


@pytest.mark.parametrize("uniform", [0.0, 0.5, 1 - 2**-24])
def test_only_codes_of_the_codebook_come_out(bundle: Bundle, uniform: float) -> None:
    """Even at the ends of the uniforms' range no code is null and no class unknown."""
    feeds = head_feeds(4, 32)
    feeds[names.UNIFORMS][:] = uniform
    channel, codes = run(bundle, 32, feeds)
    assert ((codes >= 0) & (codes < 1024)).all()
    assert ((channel >= 0) & (channel < names.CHANNEL_CLASSES)).all()


def test_top_p_leaves_the_first_rank(bundle: Bundle) -> None:
    """A tiny top-p is greedy in the codes, whatever the uniforms."""
    feeds = head_feeds(4, 8) | {names.CHANNEL_BIAS: np.array([[0, 1e9, 0]] * 4, np.float32)}
    narrow = run(bundle, 8, feeds | {names.TOP_P: np.full((4, 1), 1e-6, np.float32)})
    assert (narrow[1] == run(bundle, 8, greedy(feeds))[1]).all()


def test_a_masked_class_is_never_drawn(bundle: Bundle) -> None:
    """A class biased with MASKED does not come out at any uniform."""
    feeds = head_feeds(64, 8)
    feeds[names.UNIFORMS][:, 0] = np.linspace(0, 1 - 2**-24, 64)
    for masked in names.Channel:
        bias = np.zeros((64, names.CHANNEL_CLASSES), np.float32)
        bias[:, masked] = names.MASKED
        channel, _ = run(bundle, 8, feeds | {names.CHANNEL_BIAS: bias})
        assert set(channel) == set(names.Channel) - {masked}


def test_a_heavy_penalty_drops_the_recent_codes(bundle: Bundle) -> None:
    """A greedy first code named as recent, also twice, is not taken again; a row without penalty keeps it."""
    feeds = greedy(head_feeds(2, 8))
    _, codes = run(bundle, 8, feeds)
    feeds[names.RECENT_CODES][:, 0, :2] = codes[:, :1]
    feeds[names.PENALTY][0] = 50
    _, after = run(bundle, 8, feeds)
    assert after[0, 0] != codes[0, 0]
    assert (after[1] == codes[1]).all()


def test_codes_follow_their_probabilities(bundle: Bundle) -> None:
    """Over many uniforms the first layer's codes come as often as equal steps of the cumulative probability say."""
    feeds = head_feeds(1, 8)
    feeds = {name: np.repeat(value, 512, 0) for name, value in feeds.items()}
    feeds[names.UNIFORMS][:, 1] = (np.arange(512) + 0.5) / 512
    feeds[names.TOP_P][:] = 0.5
    _, codes = run(bundle, 8, feeds)
    _, starts = np.unique(codes[:, 0], return_index=True)
    runs = np.diff(np.sort([*starts, 512]))
    # One run of uniforms a code, each at most as long as the one before: ranks are sorted by probability.
    assert (np.diff(codes[:, 0]) != 0).sum() == len(runs) - 1
    assert (np.diff(runs) <= 1).all()
