import copy

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime.bundle import Bundle
from voicestack.runtime.codec import Codec
from voicestack.runtime.errors import InputError

FRAME = 1920
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def codec(tiny: Bundle) -> Codec:
    return Codec(tiny.codec_decoder(), tiny.manifest)


def some_codes(frames: int, depth: int = 32, seed: int = 0) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, 1024, (frames, depth))


def offline(codec: Codec, codes: NDArray[np.int64]) -> NDArray[np.float32]:
    """All of a stream decoded at once."""
    state = codec.begin()
    return np.concatenate([*codec.decode([(state, codes)]), codec.flush(state)])


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 5), min_size=1, max_size=6), depth=st.integers(1, 32))
def test_any_chunking_equals_offline_decoding(codec: Codec, sizes: list[int], depth: int) -> None:
    """Frames decoded in pieces of any size give the sound of one piece, and as many samples as frames need."""
    codes = some_codes(sum(sizes), depth)
    state = codec.begin()
    pieces = [codec.decode([(state, piece)])[0] for piece in np.split(codes, np.cumsum(sizes)[:-1])]
    streamed = np.concatenate([*pieces, codec.flush(state)])
    whole = offline(codec, codes)
    assert streamed.shape == whole.shape == (FRAME * sum(sizes) if sum(sizes) else 0,)
    np.testing.assert_allclose(streamed, whole, atol=TOLERANCE)


def test_streams_in_one_call_sound_as_alone(codec: Codec) -> None:
    """Streams of different length, depth and age share a call without touching each other."""
    stacks = [some_codes(frames, depth, seed) for seed, (frames, depth) in enumerate([(4, 32), (4, 8), (2, 16)])]
    states = [codec.begin() for _ in stacks]
    first = codec.decode([(state, codes[:1]) for state, codes in zip(states, stacks, strict=True)])
    rest = codec.decode([(state, codes[1:]) for state, codes in zip(states, stacks, strict=True)])
    for begin, end, state, codes in zip(first, rest, states, stacks, strict=True):
        sound = np.concatenate([begin, end, codec.flush(state)])
        np.testing.assert_allclose(sound, offline(codec, codes), atol=TOLERANCE)


def test_a_prefix_depth_is_the_stack_with_null_codes(codec: Codec) -> None:
    """Codes of depth 8 sound as full stacks whose deeper layers are null."""
    codes = some_codes(3, 8)
    padded = np.full((3, 32), 1024)
    padded[:, :8] = codes
    np.testing.assert_array_equal(offline(codec, codes), offline(codec, padded))


def test_the_depth_may_change_in_the_middle(codec: Codec) -> None:
    """A stream goes on at another depth with its own past."""
    codes = some_codes(4)
    changed = codes.copy()
    changed[2:, 8:] = 1024
    state = codec.begin()
    streamed = np.concatenate([codec.decode([(state, part)])[0] for part in (codes[:2], codes[2:, :8])])
    np.testing.assert_allclose(streamed, offline(codec, changed)[: len(streamed)], atol=TOLERANCE)


def test_the_state_is_all_there_is(codec: Codec) -> None:
    """A copied state goes on as the original would, whatever was decoded in between."""
    codes = some_codes(4)
    state = codec.begin()
    codec.decode([(state, codes[:2])])
    snapshot = copy.deepcopy(state)
    expected = codec.decode([(state, codes[2:])])[0]
    np.testing.assert_array_equal(codec.decode([(snapshot, codes[2:])])[0], expected)


def test_the_delay_is_left_out_at_the_start(codec: Codec) -> None:
    """The first frame gives 720 samples less, those the decoder's overlap holds back, and the flush brings them."""
    state = codec.begin()
    assert len(codec.decode([(state, some_codes(1))])[0]) == FRAME - 720
    assert len(codec.decode([(state, some_codes(1))])[0]) == FRAME
    assert len(codec.flush(state)) == 720


def test_the_flush_fades_out(codec: Codec) -> None:
    """The tail of a stream that stops at full volume falls to nothing over 30 ms."""
    tail = np.abs(offline(codec, some_codes(5))[-720:])
    assert tail[-24:].max() < 0.01 * tail[:240].max()


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.full((1, 32), 5000), "from 0 to 1024, got 5000 to 5000"),
        (np.full((2, 8), -1), "from 0 to 1024"),
        (np.zeros((1, 32), np.float32), "whole numbers"),
        (np.zeros((1, 0), np.int64), "1 to 32 layers"),
        (np.zeros((1, 33), np.int64), "1 to 32 layers"),
        (np.zeros(32, np.int64), "1 to 32 layers"),
    ],
)
def test_codes_that_cannot_be_are_refused_before_anything_is_decoded(
    codec: Codec, codes: NDArray[np.int64], message: str
) -> None:
    """Codes out of range, no integers or of no depth are an InputError, and the other streams stay as they were."""
    state, other = codec.begin(), codec.begin()
    with pytest.raises(InputError, match=message):
        codec.decode([(other, some_codes(1)), (state, codes)])
    assert other.to_skip == 720


def test_a_stream_comes_once_in_a_call(codec: Codec) -> None:
    """The same state twice in one call has no order, and is refused."""
    state = codec.begin()
    with pytest.raises(InputError, match="twice"):
        codec.decode([(state, some_codes(1)), (state, some_codes(2))])
