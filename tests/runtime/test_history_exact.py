import numpy as np
import pytest
from history_model import CONFIG, NULL, ModelStream
from numpy.typing import NDArray

from voicestack.onnx_export.specs import GeneratorConfig
from voicestack.runtime import Bundle, default_voice_path
from voicestack.runtime.backbone import Backbone
from voicestack.runtime.cue_clock import COLUMN_ROWS
from voicestack.runtime.history_shift import turned_back
from voicestack.runtime.kv_cache import KVCache
from voicestack.runtime.names import ROPE_THETA

PREFIX, LENGTH = 4, 60
IntArray = NDArray[np.int64]


def made(bundle: Bundle, slots: int = 3, capacity: int = 128) -> tuple[Backbone, KVCache]:
    spec = bundle.manifest.backbone
    cache = KVCache(slots, spec.layers, spec.kv_heads, spec.head_dim, capacity)
    return Backbone(bundle.backbone(), cache, bundle.manifest.n_vq, spec.d_model), cache


def some_rows(count: int = LENGTH, seed: int = 0) -> tuple[IntArray, IntArray]:
    draw = np.random.default_rng(seed)
    return draw.integers(0, COLUMN_ROWS, (count, len(COLUMN_ROWS))), draw.integers(0, 1024, (count, 32))


def held(cache: KVCache, row: int, part: slice) -> list[NDArray[np.float32]]:
    return [buffer[row, :, part].copy() for buffer in (*cache.keys, *cache.values)]


def same(got: list[NDArray[np.float32]], expected: list[NDArray[np.float32]], atol: float) -> None:
    for left, right in zip(got, expected, strict=True):
        np.testing.assert_allclose(left, right, rtol=0, atol=atol)


def begun(cache: KVCache, backbone: Backbone, *streams: tuple[IntArray, IntArray]) -> None:
    for text_ids, codes in streams:
        backbone.prefill(cache.join(), text_ids.tolist(), codes)


def test_a_block_encoded_anew_is_as_if_it_had_always_been_shallow(tiny: Bundle) -> None:
    """Rows encoded anew with null codes hold what a fresh prefill of those rows gives; no other row is touched."""
    text_ids, codes = some_rows()
    backbone, cache = made(tiny)
    begun(cache, backbone, some_rows(seed=1), (text_ids, codes), some_rows(seed=2))
    before = [held(cache, row, slice(0, LENGTH)) for row in range(3)]
    shallow = codes.copy()
    shallow[10:35, 8:] = NULL
    backbone.rewrite(1, 10, text_ids[10:35], shallow[10:35])
    fresh, other = made(tiny)
    begun(other, fresh, (text_ids[:35], shallow[:35]))
    same(held(cache, 1, slice(0, 35)), held(other, 0, slice(0, 35)), 1e-5)
    assert np.abs(held(cache, 1, slice(10, 35))[0] - before[1][0][:, 10:35]).max() > 0.1
    same(held(cache, 1, slice(35, LENGTH)), [each[:, 35:] for each in before[1]], 0)
    same(held(cache, 1, slice(0, 10)), [each[:, :10] for each in before[1]], 0)
    same(held(cache, 0, slice(0, LENGTH)) + held(cache, 2, slice(0, LENGTH)), before[0] + before[2], 0)
    assert cache.lengths == [LENGTH] * 3


def test_only_rows_that_exist_can_be_encoded_anew(tiny: Bundle) -> None:
    """Rows beyond the last are a ValueError."""
    backbone, cache = made(tiny)
    begun(cache, backbone, some_rows(20))
    text_ids, codes = some_rows(11)
    with pytest.raises(ValueError, match="row 0 has 20 positions, so not 11 from 10 on"):
        backbone.rewrite(0, 10, text_ids, codes)


@pytest.mark.parametrize("voice", ["tiny", "shipped"])
def test_kept_rows_stand_where_a_fresh_prefill_would_put_them(voice: str, tiny: Bundle) -> None:
    """After a drop, first-layer keys, which know only row and place, are those of the kept rows by themselves."""
    bundle = tiny if voice == "tiny" else Bundle.load(default_voice_path(), verify_hashes=False)
    text_ids, codes = some_rows(100)
    backbone, cache = made(bundle)
    begun(cache, backbone, (text_ids, codes))
    cache.drop(0, 0, 40, turned_back)
    fresh, other = made(bundle)
    begun(other, fresh, (text_ids[40:], codes[40:]))
    assert cache.lengths[0] == other.lengths[0] == 60
    for buffers, others in ((cache.keys, other.keys), (cache.values, other.values)):
        np.testing.assert_allclose(buffers[0][0, :, :60], others[0][0, :, :60], rtol=0, atol=1e-4)


def test_scores_after_a_drop_are_those_of_masked_rows(tiny: Bundle) -> None:
    """Rows spoken after drops have the hidden states of a model that only stops seeing what is dropped."""
    text_ids, codes = some_rows(110)
    backbone, cache = made(tiny)
    begun(cache, backbone, (text_ids[:70], codes[:70]))
    model = ModelStream()
    for ids, stack in zip(text_ids[:70], codes[:70], strict=True):
        model.append(ids, stack)
    for step in range(70, 110):
        if step % 10 == 0:
            cache.drop(0, PREFIX, 12, turned_back)
            del model.entries[PREFIX : PREFIX + 12]
        (hidden,) = backbone.decode([0], [text_ids[step].tolist()], [codes[step]])
        model.append(text_ids[step], codes[step])
        np.testing.assert_allclose(hidden, model.hidden, rtol=0, atol=1e-4)
    assert cache.lengths[0] == len(model.entries) == 110 - 4 * 12


def test_an_hour_of_turns_leaves_the_prefix_where_it_should_be() -> None:
    """Turning a key back 1800 times by 25 is as good as once by 45000."""
    keys = np.random.default_rng(0).standard_normal((2, PREFIX, 64)).astype(np.float32)
    turned = keys
    for _ in range(1800):
        turned = turned_back(turned, 25)
    np.testing.assert_allclose(turned, turned_back(keys, 45_000), rtol=0, atol=1e-4)


def test_the_rotary_base_is_the_exporters() -> None:
    """The runtime turns keys by the frequencies that the exporter writes into the graph."""
    assert GeneratorConfig().rope_theta == CONFIG.rope_theta == ROPE_THETA
