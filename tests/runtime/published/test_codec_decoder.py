from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_cases import CODECS, CodecCase, Codes, Floats, largest_difference, load_case
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.codec_decoder import CodecDecoder
from voicestack.runtime.published.codec_stream import MAX_FRAMES, Window

FRAMES = 30
"""Longer than every window of the tiny codecs, and than one call."""


@pytest.fixture(scope="module", params=CODECS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CodecCase:
    return load_case(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def decoder(case: CodecCase) -> CodecDecoder:
    return CodecDecoder.load(case.folder, case.info)


def decode(decoder: CodecDecoder, codes: NDArray[Any], chunks: Sequence[int]) -> Floats:
    """One stream, decoded in chunks of so many frames."""
    state = decoder.begin()
    ends = np.cumsum(chunks)
    return np.concatenate([decoder.decode([state], [part])[0] for part in np.split(codes, ends[:-1])])


def sizes(total: int, size: int) -> list[int]:
    """Chunks of one size, the last one what is left."""
    return [min(size, total - begin) for begin in range(0, total, size)]


def random_codes(case: CodecCase, frames: int, seed: int = 0) -> Codes:
    return np.random.default_rng(seed).integers(0, case.info.codebook_size, (frames, case.info.n_vq))


@pytest.mark.parametrize("chunk", [1, 3, 8, 100])
def test_sound_is_the_published_one_in_any_chunks(case: CodecCase, decoder: CodecDecoder, chunk: int) -> None:
    """In chunks of 1, 3 and 8 frames and at once, the sound is the reference's full decode."""
    codes = case.codes("decode_codes")
    sound = decode(decoder, codes, sizes(len(codes), chunk))
    assert sound.dtype == np.float32
    assert largest_difference(sound, case.pcm("decode_full")) < 1e-4


@settings(max_examples=8)
@given(cuts=st.sets(st.integers(1, FRAMES - 1), max_size=8))
def test_mixed_chunks_equal_decoding_at_once(case: CodecCase, decoder: CodecDecoder, cuts: set[int]) -> None:
    """However a stream longer than every attention window is cut, its sound is the same."""
    codes = random_codes(case, FRAMES)
    chunks = np.diff([0, *sorted(cuts), FRAMES]).tolist()
    assert largest_difference(decode(decoder, codes, chunks), decode(decoder, codes, [FRAMES])) < 1e-4


def test_long_pieces_are_run_in_several_calls(case: CodecCase, decoder: CodecDecoder) -> None:
    """A piece longer than one call may be gives the sound of its parts."""
    codes = random_codes(case, MAX_FRAMES + 2)
    assert largest_difference(decode(decoder, codes, [len(codes)]), decode(decoder, codes, [MAX_FRAMES, 2])) < 1e-4


def test_fewer_layers_are_the_published_prefix(case: CodecCase, decoder: CodecDecoder) -> None:
    """The first layers alone, given as fewer columns or with null codes below, sound as the reference's do."""
    arrays = [name for name in case.arrays if name.startswith("decode_first")]
    assert arrays
    for name in arrays:
        frames, depth = (int(number) for number in name.removeprefix("decode_first").split("_nq"))
        codes = case.codes("decode_codes")[:frames]
        padded = np.where(np.arange(case.info.n_vq) < depth, codes, case.info.null_code)
        for given_codes in (codes[:, :depth], padded):
            assert largest_difference(decode(decoder, given_codes, [frames]), case.pcm(name)) < 1e-4


def test_depth_may_change_within_a_stream(case: CodecCase, decoder: CodecDecoder) -> None:
    """A stream whose depth changes from piece to piece equals one call with null codes at the same places."""
    codes = random_codes(case, 4)
    shallow = codes.copy()
    shallow[:2, 1:] = case.info.null_code
    state = decoder.begin()
    pieces = [decoder.decode([state], [part])[0] for part in (codes[:2, :1], codes[2:])]
    assert largest_difference(np.concatenate(pieces), decode(decoder, shallow, [4])) < 1e-4
    assert largest_difference(pieces[0], decode(decoder, codes[:2], [2])) > 1e-3


def test_streams_share_calls_and_do_not_touch(case: CodecCase, decoder: CodecDecoder) -> None:
    """Streams of different lengths, ages and depths decoded together sound as each alone."""
    codes = [random_codes(case, frames, seed) for seed, frames in enumerate((5, 3, 3, 1))]
    states = [decoder.begin() for _ in codes]
    first = decoder.decode(states[:2], [codes[0][:2], codes[1][:1, :4]])
    rest = decoder.decode(states, [codes[0][2:], codes[1][1:], codes[2], codes[3]])
    assert [state.frames for state in states] == [5, 3, 3, 1]
    shallow = codes[1].copy()
    shallow[0, 4:] = case.info.null_code
    alone = [decode(decoder, each, [len(each)]) for each in (codes[0], shallow, *codes[2:])]
    together = [np.concatenate((first[0], rest[0])), np.concatenate((first[1], rest[1])), *rest[2:]]
    assert max(map(largest_difference, together, alone)) < 1e-4


@pytest.mark.parametrize("name", ["codec24k", "codec_nano"])
def test_the_reference_batch(name: str, tmp_path: Path) -> None:
    """A batch of clips of different lengths, one of them empty, sounds as the reference's."""
    case = load_case(name, tmp_path)
    codes = [case.arrays["batch_codes"][:, row, :length].T for row, length in enumerate(case.arrays["batch_lengths"])]
    decoder = CodecDecoder.load(case.folder, case.info)
    for row, sound in enumerate(decoder.decode([decoder.begin() for _ in codes], codes)):
        assert sound.shape == (case.arrays["batch_audio_lengths"][row], case.info.channels)
        assert largest_difference(sound, case.arrays["batch_audio"][row, :, : len(sound)].T) < 1e-4


def test_ten_hours_into_a_stream_nothing_is_lost(case: CodecCase, decoder: CodecDecoder) -> None:
    """A stream that is ten hours old sounds, once its start is out of sight, as one that has just begun."""
    codes = random_codes(case, 3 * FRAMES)
    state = decoder.begin()
    state.frames = 450_000
    old = decoder.decode([state], [codes])[0]
    tail = slice(-5 * case.info.hop, None)
    assert largest_difference(old[tail], decode(decoder, codes, [len(codes)])[tail]) < 1e-4


def test_a_stream_can_be_copied(case: CodecCase, decoder: CodecDecoder) -> None:
    """All there is to a stream is its state: a copy of it goes on as the original does."""
    codes = random_codes(case, 6)
    state = decoder.begin()
    decoder.decode([state], [codes[:3]])
    twin = type(state)(state.frames, dict(state.tensors))
    assert largest_difference(decoder.decode([state], [codes[3:]])[0], decoder.decode([twin], [codes[3:]])[0]) == 0


def test_nothing_in_nothing_out(case: CodecCase, decoder: CodecDecoder) -> None:
    """No frames give no samples and leave the stream as it is."""
    state = decoder.begin()
    sound = decoder.decode([state], [random_codes(case, 0)])[0]
    assert sound.shape == (0, case.info.channels)
    assert (state.frames, decoder.decode([], [])) == (0, [])


@pytest.fixture(scope="module")
def ring(tmp_path_factory: pytest.TempPathFactory) -> tuple[CodecCase, CodecDecoder]:
    case = load_case("codec24k", tmp_path_factory.mktemp("ring"))
    return case, CodecDecoder.load(case.folder, case.info, Window.RING)


@pytest.mark.parametrize("chunk", [1, 3, 8])
def test_the_ring_window_is_the_published_streaming(ring: tuple[CodecCase, CodecDecoder], chunk: int) -> None:
    """With the ring window a chunked decode is the reference's own chunked decode, which differs from its full one."""
    case, decoder = ring
    codes = case.codes("decode_codes")
    sound = decode(decoder, codes, sizes(len(codes), chunk))
    assert largest_difference(sound, case.pcm(f"decode_refstream_chunk{chunk}")) < 1e-4
    same = int(case.arrays[f"decode_refstream_chunk{chunk}_first_differing_frame"]) * case.info.hop
    assert largest_difference(sound[:same], case.pcm("decode_full")[:same]) < 1e-4
    assert largest_difference(sound, case.pcm("decode_full")) > 1e-2


def test_a_chunk_that_does_not_fit_the_ring_is_refused(ring: tuple[CodecCase, CodecDecoder]) -> None:
    """A ring holds its last positions only; a longer chunk could not see itself."""
    case, decoder = ring
    with pytest.raises(InputError, match="at most 8 frames"):
        decode(decoder, case.codes("decode_codes"), [15])


@pytest.mark.parametrize(
    ("codes", "named"),
    [
        (np.zeros((2, 3)), "float64"),
        (np.zeros(3, np.int64), "shape"),
        (np.zeros((2, 0), np.int64), "depth"),
        (np.zeros((2, 33), np.int64), "depth"),
        (np.full((2, 3), 65), "0 to 63"),
        (np.full((2, 3), -1), "0 to 63"),
    ],
)
def test_codes_that_cannot_be_decoded_are_named(
    ring: tuple[CodecCase, CodecDecoder], codes: NDArray[Any], named: str
) -> None:
    """Codes of a wrong kind, shape or range are refused before anything is decoded."""
    decoder = ring[1]
    states = [decoder.begin(), decoder.begin()]
    with pytest.raises(InputError, match=named):
        decoder.decode(states, [np.zeros((1, 1), np.int64), codes])
    assert [state.frames for state in states] == [0, 0]


def test_states_and_pieces_must_pair_up(ring: tuple[CodecCase, CodecDecoder]) -> None:
    """A state given twice, or without a piece, is told."""
    decoder, codes = ring[1], np.zeros((1, 1), np.int64)
    state = decoder.begin()
    with pytest.raises(InputError, match="twice"):
        decoder.decode([state, state], [codes, codes])
    with pytest.raises(InputError, match="one piece per state"):
        decoder.decode([state], [codes, codes])
