import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voicestack.runtime.lead_in import LeadIn

RATE, FRAME, DELAY = 24_000, 1920, 720


def speech(silence: int, length: int = 4000) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """Faint noise, then a tone."""
    pcm = np.full(silence + length, 0.001, np.float32)
    pcm[silence:] = 0.5
    return pcm


@given(st.integers(0, 20_000), st.lists(st.integers(1, 3000), max_size=20))
def test_silence_is_cut_however_it_is_chunked(silence: int, cuts: list[int]) -> None:
    """What is heard depends on the sound alone; it is the end of what was made, and at most 0.3 s shorter."""
    pcm = speech(silence)
    whole = LeadIn(RATE, FRAME, DELAY)
    expected = whole.cut(pcm, is_last=True)
    pieces, lead_in = np.split(pcm, np.minimum(np.cumsum(cuts), len(pcm))), LeadIn(RATE, FRAME, DELAY)
    heard = [lead_in.cut(piece, is_last=place == len(pieces) - 1) for place, piece in enumerate(pieces)]
    joined = np.concatenate(heard)
    left_of_its_frame = FRAME - (silence + DELAY) % FRAME
    assert lead_in.trimmed == whole.trimmed == min(max(silence - max(240, 720 - left_of_its_frame), 0), 7200)
    # A fade may end with the piece in which it begins.
    np.testing.assert_allclose(joined[240:], expected[240:])
    assert len(joined) == len(expected) == len(pcm) - whole.trimmed
    np.testing.assert_array_equal(expected[120:], pcm[whole.trimmed + 120 :])


@given(st.integers(0, 7200))
def test_the_first_sound_is_long_enough_to_make_the_next_meanwhile(silence: int) -> None:
    """Frame by frame, the first piece that holds any sound holds 30 ms of it."""
    lead_in, pcm = LeadIn(RATE, FRAME, DELAY), speech(silence, 2 * FRAME)
    pieces = [lead_in.cut(piece) for piece in np.split(pcm, range(FRAME - DELAY, len(pcm), FRAME))]
    assert len(next(piece for piece in pieces if len(piece))) >= 720


def test_speech_that_begins_at_once_is_left_as_it_is() -> None:
    """Without silence nothing is cut and nothing faded."""
    pcm = speech(0)
    np.testing.assert_array_equal(LeadIn(RATE, FRAME, DELAY).cut(pcm), pcm)


def test_an_utterance_of_nothing_but_silence_is_heard_at_its_end() -> None:
    """What is held back comes out with the last piece."""
    lead_in = LeadIn(RATE, FRAME, DELAY)
    assert len(lead_in.cut(np.zeros(1000, np.float32))) == 0
    assert len(lead_in.cut(np.zeros(0, np.float32), is_last=True)) == 240
