"""The head graphs against the logits and the draws of the published code."""

import numpy as np
import pytest
from generator_cases import (
    DELAYED,
    LOCALS,
    exported,
    greedy,
    local_heads,
    prefill_hidden,
    reference,
    two_choices,
)
from numpy.typing import NDArray

from voicestack.runtime import names
from voicestack.runtime.published import generator_info as graph
from voicestack.runtime.published.generator_info import Family, GeneratorInfo
from voicestack.runtime.published.local_heads import FrameRequest, LocalHeads, Settings, head_settings
from voicestack.runtime.published.sampling_rules import (
    DEFAULTS,
    ChannelSampling,
    PublishedSampling,
    draw_ranked,
    penalised,
    probabilities,
)
from voicestack.runtime.sessions import open_session

TOLERANCE, TEXT_TOLERANCE = 2e-4, 2e-3
WITH_LOCAL = (*LOCALS, "realtime")
FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]


def heads_of(case: str) -> tuple[LocalHeads, GeneratorInfo]:
    folder, info = exported(case)
    return local_heads(folder, info), info


def request(
    info: GeneratorInfo,
    hidden: FloatArray,
    settings: Settings,
    *,
    uniforms: FloatArray | None = None,
    forced: IntArray | None = None,
    seen: NDArray[np.bool_] | None = None,
) -> FrameRequest:
    nothing = np.zeros((info.n_vq, info.code_classes), np.bool_)
    draws = np.zeros(1 + info.n_vq, np.float32) if uniforms is None else uniforms
    return FrameRequest(hidden, draws, nothing if seen is None else seen, settings, forced)


def teacher(case: str, info: GeneratorInfo) -> IntArray:
    """The frames [S,1+n] the published code was told to have drawn."""
    arrays = reference(case)
    if "prefill_labels" in arrays:
        return np.asarray(arrays["prefill_labels"])
    return np.pad(arrays["prefill_local_codes"], ((0, 0), (1, 0)))


@pytest.mark.parametrize("case", DELAYED)
def test_delay_logits_are_the_published_ones(case: str) -> None:
    """Text and all codebooks at every row; the pad code is at minus infinity."""
    folder, _ = exported(case)
    found = open_session(folder / graph.DELAY_HEAD_FILE).call({names.HIDDEN: prefill_hidden(case)})
    arrays = reference(case)
    np.testing.assert_allclose(found[graph.TEXT_LOGITS], arrays["prefill_text_logits"], rtol=0, atol=TEXT_TOLERANCE)
    expected = arrays["prefill_audio_logits"].transpose(1, 0, 2)
    np.testing.assert_allclose(found[graph.LOGITS], expected, rtol=0, atol=TOLERANCE)
    assert np.isneginf(expected[..., -1]).all()


@pytest.mark.parametrize("case", WITH_LOCAL)
def test_local_logits_are_the_published_ones_when_told_what_was_drawn(case: str) -> None:
    """Every codebook at every row, given the codes before it; forced codes come back as they are."""
    heads, info = heads_of(case)
    settings, labels, arrays = head_settings(greedy(), info), teacher(case, info), reference(case)
    pairs = zip(prefill_hidden(case), labels, strict=True)
    frames = heads.draw(info.n_vq, [request(info, hidden, settings, forced=row) for hidden, row in pairs])
    np.testing.assert_array_equal(frames.codes, labels[:, 1:])
    expected = arrays["prefill_local_logits"] if info.family is Family.REALTIME else None
    if info.family is Family.LOCAL:
        # The pad's logit is not computed: it is never drawn.
        expected = arrays["prefill_audio_logits"].transpose(1, 0, 2)[..., : info.code_classes]
    expected = arrays["prefill_local_audio_logits"] if expected is None else expected
    np.testing.assert_allclose(frames.logits, expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", LOCALS)
def test_local_text_logits_are_the_published_ones(case: str) -> None:
    """All of the vocabulary for the first MossTTSLocal, the two that decide for the others."""
    heads, info = heads_of(case)
    settings, arrays = head_settings(greedy(), info), reference(case)
    found = heads.draw(1, [request(info, hidden, settings) for hidden in prefill_hidden(case)]).text_logits
    if info.family is Family.LOCAL:
        expected = arrays["prefill_text_logits"]
    else:
        expected = arrays["prefill_local_text_logits"]
        expected = expected[:, two_choices(info)] if info.family is Family.NANO else expected
    assert found is not None
    np.testing.assert_allclose(found, expected, rtol=0, atol=TEXT_TOLERANCE)


def test_nano_draws_exactly_what_the_published_fixed_sampler_draws() -> None:
    """Decision and codes of 24 frames from given uniforms, penalty 1.2, temperature 0.8, top 25, top 0.95."""
    heads, info = heads_of("nano")
    sampling = PublishedSampling(ChannelSampling(1.0), ChannelSampling(0.8, 0.95, 25), 1.2)
    settings, arrays = head_settings(sampling, info), reference("nano")
    uniforms = np.concatenate([arrays["fixed_text_u"][:, None], arrays["fixed_audio_u"]], axis=1)
    inputs = zip(arrays["fixed_global_hidden"], uniforms, arrays["fixed_seen_mask"] > 0, strict=True)
    frames = heads.draw(
        info.n_vq, [request(info, hidden, settings, uniforms=u, seen=seen) for hidden, u, seen in inputs]
    )
    assert frames.text is not None
    np.testing.assert_array_equal(frames.text == 0, arrays["fixed_should_continue"][:, 0] == 1)
    np.testing.assert_array_equal(frames.codes, arrays["fixed_frame_ids"])


@pytest.mark.parametrize("case", WITH_LOCAL)
@pytest.mark.parametrize("penalty", [1.0, 1.3])
def test_the_graph_draws_what_numpy_draws_from_its_logits(case: str, penalty: float) -> None:
    """The same penalty, temperature, top-k, top-p and walk, codebook by codebook, for streams of different wishes."""
    heads, info = heads_of(case)
    random = np.random.default_rng(5)
    hidden = np.tile(prefill_hidden(case), (3, 1))
    uniforms = random.random((len(hidden), 1 + info.n_vq), np.float32)
    seen = random.random((len(hidden), info.n_vq, info.code_classes)) < 0.3
    default = DEFAULTS[info.family]
    wishes = [
        PublishedSampling(rule, rule, penalty)
        for rule in (default.codes, ChannelSampling(0.9, 0.6, 12), ChannelSampling(1.2, 1.0, 30))
    ]
    settings = [head_settings(sampling, info) for sampling in wishes]
    requests = [
        request(info, hidden[i], settings[i % 3], uniforms=uniforms[i], seen=seen[i]) for i in range(len(hidden))
    ]
    frames = heads.draw(info.n_vq, requests)
    for i in range(len(hidden)):
        shares = probabilities(penalised(frames.logits[i], seen[i], penalty), wishes[i % 3].codes)
        np.testing.assert_array_equal(frames.codes[i], draw_ranked(shares, uniforms[i, 1:]))


@pytest.mark.parametrize("top_p", [0.5, 1.0])
def test_the_first_local_draws_its_token_as_numpy_does(top_p: float) -> None:
    """From the whole vocabulary, with the text's own rule, whatever the codes' rule."""
    heads, info = heads_of("local")
    rule = ChannelSampling(1.5, top_p, 50)
    settings = head_settings(PublishedSampling(rule, ChannelSampling(0)), info)
    hidden = prefill_hidden("local")
    uniforms = np.random.default_rng(2).random((len(hidden), 1 + info.n_vq), np.float32)
    pairs = zip(hidden, uniforms, strict=True)
    frames = heads.draw(1, [request(info, state, settings, uniforms=u) for state, u in pairs])
    assert frames.text is not None
    assert frames.text_logits is not None
    np.testing.assert_array_equal(frames.text, draw_ranked(probabilities(frames.text_logits, rule), uniforms[:, 0]))


@pytest.mark.parametrize(
    ("rule", "always_likeliest"),
    [(ChannelSampling(1.0), False), (ChannelSampling(0), True), (ChannelSampling(1.0, top_k=1), True)],
)
def test_a_decision_walks_go_on_before_end(rule: ChannelSampling, always_likeliest: bool) -> None:
    """Go on while the uniform is not above its probability; top-k 1 and temperature 0 take the likelier."""
    heads, info = heads_of("nano")
    settings = head_settings(PublishedSampling(rule, ChannelSampling(0)), info)
    # Scaled down so that the decisions are open.
    hidden = prefill_hidden("nano") * np.float32(0.02)
    uniforms = np.random.default_rng(3).random((len(hidden), 1 + info.n_vq), np.float32)
    pairs = zip(hidden, uniforms, strict=True)
    frames = heads.draw(1, [request(info, state, settings, uniforms=u) for state, u in pairs])
    assert frames.text_logits is not None
    go_on = probabilities(frames.text_logits, ChannelSampling(1.0))[:, 0]
    expected = frames.text_logits.argmax(1) if always_likeliest else uniforms[:, 0] > go_on
    np.testing.assert_array_equal(frames.text, expected)
    assert always_likeliest or len(set(frames.text.tolist() if frames.text is not None else ())) == 2


@pytest.mark.parametrize("case", LOCALS)
def test_a_shallower_head_gives_the_first_codes_of_the_full_one(case: str) -> None:
    """Depths 2 and 4 are exported too; depth 3 comes from the head of 4."""
    heads, info = heads_of(case)
    settings = head_settings(greedy(), info)
    requests = [request(info, hidden, settings) for hidden in prefill_hidden(case)[:8]]
    full = heads.draw(info.n_vq, requests)
    for depth in (1, 2, 3, 4):
        frames = heads.draw(depth, requests)
        np.testing.assert_array_equal(frames.codes, full.codes[:, :depth])
        np.testing.assert_allclose(frames.logits, full.logits[:, :depth], rtol=0, atol=1e-5)
