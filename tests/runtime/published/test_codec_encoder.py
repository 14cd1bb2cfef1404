from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_cases import CODECS, CodecCase, load_case
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.codec_encoder import CodecEncoder
from voicestack.runtime.published.codec_stream import Window


@pytest.fixture(scope="module", params=CODECS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CodecCase:
    return load_case(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def encoder(case: CodecCase) -> CodecEncoder:
    return CodecEncoder.load(case.folder, case.info)


def test_a_clip_gets_the_published_codes(case: CodecCase, encoder: CodecEncoder) -> None:
    """Every code of every complete frame is the reference's; the incomplete last frame is not counted."""
    codes = encoder.encode_clip(case.sound)
    assert codes.dtype == np.int32
    assert len(case.sound) > case.whole_frames * case.info.hop
    np.testing.assert_array_equal(codes, case.codes("encode_codes")[: case.whole_frames])


def test_a_smaller_depth_is_a_prefix(case: CodecCase, encoder: CodecEncoder) -> None:
    """With k quantisers the reference gives the first k layers, and so do we."""
    np.testing.assert_array_equal(encoder.encode_clip(case.sound, 3), encoder.encode_clip(case.sound)[:, :3])
    for name in case.arrays:
        if name.startswith("encode_codes_nq"):
            depth = int(name.removeprefix("encode_codes_nq"))
            np.testing.assert_array_equal(encoder.encode_clip(case.sound, depth), case.codes(name)[: case.whole_frames])


@settings(max_examples=8)
@given(data=st.data())
def test_any_pieces_of_sound_give_the_same_codes(case: CodecCase, encoder: CodecEncoder, data: st.DataObject) -> None:
    """Sound that arrives in pieces of any length, frames or not, gives the codes of the whole clip."""
    places = st.integers(0, len(case.sound))
    cuts = sorted(data.draw(st.sets(places, max_size=8)))
    state = encoder.begin()
    codes = [encoder.encode([state], [piece])[0] for piece in np.split(case.sound, cuts)]
    np.testing.assert_array_equal(np.concatenate(codes), encoder.encode_clip(case.sound))
    assert len(state.pending) == len(case.sound) % case.info.hop


@pytest.mark.parametrize("chunk_frames", [1, 3, 8])
def test_chunks_make_no_difference_to_the_exact_window(
    case: CodecCase, encoder: CodecEncoder, chunk_frames: int
) -> None:
    """Encoding frame by frame, beyond every window, gives the codes of encoding at once."""
    np.testing.assert_array_equal(
        encoder.encode_clip(case.sound, chunk_frames=chunk_frames), encoder.encode_clip(case.sound)
    )


def test_the_reference_batch(case: CodecCase, encoder: CodecEncoder) -> None:
    """Clips of different lengths encoded together get the reference's codes; one shorter than a frame gets none."""
    clips = case.clips()
    results = encoder.encode([encoder.begin() for _ in clips], clips)
    assert [len(codes) for codes in results] == case.arrays["batch_lengths"].tolist()
    for row, codes in enumerate(results):
        np.testing.assert_array_equal(codes.T, case.arrays["batch_codes"][:, row, : len(codes)])


def test_mono_is_heard_on_all_channels(case: CodecCase, encoder: CodecEncoder) -> None:
    """A mono clip, with or without a channel axis, is repeated on the codec's channels."""
    mono = case.sound[:, 0]
    expected = encoder.encode_clip(np.repeat(mono[:, None], case.info.channels, axis=1))
    np.testing.assert_array_equal(encoder.encode_clip(mono), expected)
    np.testing.assert_array_equal(encoder.encode_clip(mono[:, None].astype(np.float64)), expected)


def test_silence_has_codes(case: CodecCase, encoder: CodecEncoder) -> None:
    """All zeros are a sound like any other."""
    codes = encoder.encode_clip(np.zeros((2 * case.info.hop, case.info.channels), np.float32))
    assert codes.shape == (2, case.info.n_vq)
    assert codes.min() >= 0
    assert codes.max() < case.info.codebook_size


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> tuple[CodecCase, CodecEncoder]:
    case = load_case("codec24k", tmp_path_factory.mktemp("ring"))
    return case, CodecEncoder.load(case.folder, case.info, Window.RING)


@pytest.mark.parametrize("chunk_frames", [1, 3, 8])
def test_the_ring_window_is_the_published_streaming(ring: tuple[CodecCase, CodecEncoder], chunk_frames: int) -> None:
    """With the ring window a chunked clip gets the reference's chunked codes, which differ from its full ones."""
    case, encoder = ring
    expected = case.codes(f"encode_refstream_codes_chunk{chunk_frames}")
    np.testing.assert_array_equal(encoder.encode_clip(case.sound, chunk_frames=chunk_frames), expected)
    assert (expected != case.codes("encode_codes")[: case.whole_frames]).any()


@pytest.mark.parametrize(
    ("sound", "named"),
    [
        (np.zeros((0, 1), np.float32), "empty"),
        (np.zeros((9, 2), np.float32), "2 channels"),
        (np.zeros((9, 1, 1), np.float32), "shape"),
        (np.zeros((9, 1), np.int16), "int16"),
        (np.array([0.0, np.nan]), "NaN"),
        (np.array([0.0, -np.inf]), "infinity"),
    ],
)
def test_sound_that_cannot_be_encoded_is_named(
    ring: tuple[CodecCase, CodecEncoder], sound: NDArray[Any], named: str
) -> None:
    """Empty, broken or wrongly shaped sound is refused with what would do."""
    with pytest.raises(InputError, match=named):
        ring[1].encode_clip(sound)


@pytest.mark.parametrize(("depth", "chunk_frames"), [(0, None), (33, None), (None, 0), (None, 9)])
def test_sizes_out_of_range_are_named(
    ring: tuple[CodecCase, CodecEncoder], depth: int | None, chunk_frames: int | None
) -> None:
    """Depths and chunks that do not exist, or do not fit the ring, are refused."""
    case, encoder = ring
    with pytest.raises(InputError, match=r"depth|chunk_frames|ring"):
        encoder.encode_clip(case.sound, depth, chunk_frames)


def test_three_channels_are_refused_by_a_stereo_codec(tmp_path: Path) -> None:
    """The error says how many channels would do."""
    case = load_case("codec_v2", tmp_path)
    with pytest.raises(InputError, match="give 1 or 2"):
        CodecEncoder.load(case.folder, case.info).encode_clip(np.zeros((9, 3), np.float32))


def test_a_refused_piece_leaves_the_stream_as_it_was(ring: tuple[CodecCase, CodecEncoder]) -> None:
    """When one piece of a call is bad no stream of it moves on."""
    case, encoder = ring
    states = [encoder.begin(), encoder.begin()]
    encoder.encode(states[:1], [case.sound[:100]])
    with pytest.raises(InputError, match="NaN"):
        encoder.encode(states, [case.sound[:5000], np.array([np.nan])])
    with pytest.raises(InputError, match="ring"):
        encoder.encode(states, [case.sound[:10], case.sound])
    with pytest.raises(InputError, match="one piece per state"):
        encoder.encode(states, [case.sound])
    assert [(state.frames, len(state.pending)) for state in states] == [(0, 100), (0, 0)]
