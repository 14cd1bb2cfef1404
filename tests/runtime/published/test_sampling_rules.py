"""The published sampling rules, and what each family's penalty looks at."""

import numpy as np
import pytest
from generator_cases import exported, reference
from numpy.typing import NDArray

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.sampling_rules import (
    ChannelSampling,
    PublishedSampling,
    draw,
    draw_ranked,
    penalised,
    probabilities,
)
from voicestack.runtime.published.seen_codes import SeenCodes

FAMILIES = ("local_v1", "local_v15", "nano", "realtime", "delay_own", "delay_pooled")


def seen_by(family: str) -> NDArray[np.bool_]:
    """What a family's penalty has seen of the reference's histories, [5,80] or the pooled set for five codebooks."""
    arrays = reference("sampling")
    if family == "delay_pooled":
        # The first codebook is not pooled; the five of the reference are all behind it.
        pool = SeenCodes(6, 80, pooled=True)
        pool.mark(np.pad(arrays["history_pooled"][0], ((0, 0), (1, 0))))
        return pool.mask[1:]
    own = SeenCodes(5, 80)
    own.mark(arrays["history"].T)
    return own.mask


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("row", range(8))
def test_the_distribution_drawn_from_is_the_published_one(family: str, row: int) -> None:
    """For each of eight settings of temperature, top-p, top-k and penalty, to 1e-6."""
    arrays = reference("sampling")
    temperature, top_p, top_k, penalty = arrays["params"][row].tolist()
    rule = ChannelSampling(temperature, top_p, int(top_k))
    logits = penalised(arrays["logits"], seen_by(family), penalty)
    shares = probabilities(logits, rule, keep_ties=not family.startswith("delay"))
    np.testing.assert_allclose(shares, arrays[f"{family}_probs_{row}"], rtol=0, atol=1e-6)


def test_a_window_forgets_older_frames() -> None:
    """Realtime's penalty over the last three of eleven frames, marked one by one."""
    arrays = reference("sampling")
    seen = SeenCodes(5, 80, window=3)
    for frame in arrays["history"].T:
        seen.mark(frame[None])
    scores = penalised(arrays["logits"], seen.mask, 1.5)
    np.testing.assert_allclose(scores, arrays["realtime_window3_scores"], rtol=0, atol=1e-6)
    seen.forget()
    assert not seen.mask.any()


def test_draws_from_given_uniforms_are_the_published_ones() -> None:
    """From the likeliest down as Nano's graphs, and in the order of the ids as Nano's host code."""
    arrays = reference("sampling")
    logits = penalised(arrays["nano_fixed_logits"], arrays["nano_fixed_seen"], 1.2)
    shares = probabilities(logits, ChannelSampling(0.8, 0.95, 25))
    np.testing.assert_array_equal(draw_ranked(shares, arrays["nano_fixed_u"]), arrays["nano_fixed_token"])
    np.testing.assert_array_equal(draw(shares, arrays["nano_fixed_u"]), arrays["nano_host_token"])


def test_ties_at_the_edge_of_top_k_stay_except_for_delay() -> None:
    """Two of three equal logits are in the top two: all three stay, or exactly two."""
    logits = np.array([[1.0, 1.0, 1.0, 0.0]], np.float32)
    kept = probabilities(logits, ChannelSampling(1.0, top_k=2))
    exact = probabilities(logits, ChannelSampling(1.0, top_k=2), keep_ties=False)
    np.testing.assert_allclose(kept, [[1 / 3, 1 / 3, 1 / 3, 0]], atol=1e-6)
    np.testing.assert_allclose(exact, [[0.5, 0.5, 0, 0]], atol=1e-6)


def test_top_p_keeps_what_crosses_it() -> None:
    """At least one stays, however likely it is."""
    logits = np.log(np.array([[0.6, 0.3, 0.1]], np.float32))
    np.testing.assert_allclose(probabilities(logits, ChannelSampling(1.0, 0.1)), [[1, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(probabilities(logits, ChannelSampling(1.0, 0.7)), [[2 / 3, 1 / 3, 0]], atol=1e-6)


@pytest.mark.parametrize("uniform", [0.0, 0.25, 0.5, np.nextafter(np.float32(1), np.float32(0))])
def test_a_draw_never_gives_what_has_no_probability(uniform: float) -> None:
    """At both ends of the uniforms too."""
    shares = np.array([[0.0, 0.5, 0.0, 0.5, 0.0]], np.float32)
    uniforms = np.array([uniform], np.float32)
    assert draw(shares, uniforms)[0] in (1, 3)
    assert draw_ranked(shares, uniforms)[0] in (1, 3)


def test_only_delay_and_the_first_local_count_the_prompt() -> None:
    """The others look at what was generated."""
    counts = {}
    for case in ("delay_nvq8", "local", "local_v1.5", "nano", "realtime"):
        info = exported(case)[1]
        seen = SeenCodes.of(info)
        seen.mark_prompt(np.tile(np.arange(info.n_vq), (2, 1)))
        counts[case] = int(seen.mask.sum())
    # Delay: one of the first codebook, and the union of the others for each of the others.
    assert counts == {"delay_nvq8": 1 + 7 * 7, "local": 8, "local_v1.5": 0, "nano": 0, "realtime": 0}


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ((-1.0,), "temperature"),
        ((float("nan"),), "temperature"),
        ((1.0, 0.0), "top_p"),
        ((1.0, 1.1), "top_p"),
        ((1.0, 1.0, -1), "top_k"),
    ],
)
def test_a_rule_out_of_range_is_refused(values: tuple[float, ...], field: str) -> None:
    """The field and the value are named."""
    with pytest.raises(InputError, match=f"{field} must be"):
        ChannelSampling(*values)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="repetition_penalty must be above 0"):
        PublishedSampling(ChannelSampling(0), ChannelSampling(0), 0)
