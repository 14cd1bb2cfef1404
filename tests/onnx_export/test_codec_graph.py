import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from tiny_bundle import write_tiny_bundle

from voicestack.runtime import names
from voicestack.runtime.bundle import Bundle
from voicestack.runtime.sessions import Array

FRAMES = 12


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    folder = tmp_path_factory.mktemp("bundle")
    write_tiny_bundle(folder)
    return Bundle.load(folder)


def decode(bundle: Bundle, codes: NDArray[np.int64], chunks: list[int]) -> Array:
    """Pcm [B,samples] of codes [B,F,n_vq] decoded in chunks of so many frames."""
    states = bundle.manifest.codec.states
    feeds: dict[str, Array] = {
        names.STATE_PREFIX + s.name: np.zeros((len(codes), *s.shape), np.float32) for s in states
    }
    pieces = []
    for part in np.split(codes, np.cumsum(chunks)[:-1], 1):
        outputs = bundle.codec_decoder().call(feeds | {names.CODES: part})
        feeds = {names.STATE_PREFIX + s.name: outputs[names.NEXT_STATE_PREFIX + s.name] for s in states}
        pieces.append(outputs[names.PCM])
    return np.concatenate(pieces, 1)


def random_codes(batch: int) -> NDArray[np.int64]:
    return np.random.default_rng(0).integers(0, 1025, (batch, FRAMES, 32))


@settings(max_examples=30)
@given(cuts=st.sets(st.integers(1, FRAMES - 1)))
def test_any_chunking_gives_the_same_sound(bundle: Bundle, cuts: set[int]) -> None:
    """However the frames are cut into calls, the samples are those of one call."""
    codes = random_codes(2)
    chunks = np.diff([0, *sorted(cuts), FRAMES]).tolist()
    whole = decode(bundle, codes, [FRAMES])
    assert whole.shape == (2, FRAMES * 1920)
    assert float(np.abs(decode(bundle, codes, chunks) - whole).max()) < 1e-5


def test_streams_of_a_batch_do_not_touch(bundle: Bundle) -> None:
    """A stream sounds the same alone as in a batch."""
    codes = random_codes(3)
    together = decode(bundle, codes, [FRAMES])
    for row in range(3):
        alone = decode(bundle, codes[row : row + 1], [FRAMES])
        assert float(np.abs(alone[0] - together[row]).max()) < 1e-5


def test_later_codes_change_only_later_samples(bundle: Bundle) -> None:
    """The decoder is causal: sound before a changed frame stays as it was, sound after it changes."""
    codes = random_codes(1)
    changed = codes.copy()
    changed[:, 6] = 5
    difference = np.abs(decode(bundle, codes, [FRAMES]) - decode(bundle, changed, [FRAMES]))[0]
    assert float(difference[: 6 * 1920].max()) < 1e-6
    assert float(difference[6 * 1920 :].max()) > 1e-3


def test_a_null_code_is_a_zero_vector(bundle: Bundle) -> None:
    """Null codes below a depth give the sound of that depth: other codes there sound different."""
    codes = random_codes(1) % 1024
    shallow = codes.copy()
    shallow[:, :, 8:] = 1024
    other = shallow.copy()
    other[:, :, 8] = 3
    sounds = [decode(bundle, each, [FRAMES]) for each in (codes, shallow, other)]
    assert float(np.abs(sounds[0] - sounds[1]).max()) > 1e-3
    assert float(np.abs(sounds[1] - sounds[2]).max()) > 1e-3
