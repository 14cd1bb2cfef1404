import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voicestack.runtime.lead_in import LeadIn

RATE = 24_000


def speech(silence: int, length: int = 4000) -> "np.ndarray[tuple[int], np.dtype[np.float32]]":
    """Faint noise, then a tone."""
    pcm = np.full(silence + length, 0.001, np.float32)
    pcm[silence:] = 0.5
    return pcm


@given(st.integers(0, 20_000), st.lists(st.integers(1, 3000), max_size=20))
def test_silence_is_cut_however_it_is_chunked(silence: int, cuts: list[int]) -> None:
    """What is heard depends on the sound alone; it is the end of what was made, and at most 0.3 s shorter."""
    pcm = speech(silence)
    whole = LeadIn(RATE)
    expected = whole.cut(pcm, is_last=True)
    pieces, lead_in = np.split(pcm, np.minimum(np.cumsum(cuts), len(pcm))), LeadIn(RATE)
    heard = [lead_in.cut(piece, is_last=place == len(pieces) - 1) for place, piece in enumerate(pieces)]
    joined = np.concatenate(heard)
    assert lead_in.trimmed == whole.trimmed == min(max(silence - 240, 0), 7200)
    # A fade may end with the piece in which it begins.
    np.testing.assert_allclose(joined[240:], expected[240:])
    assert len(joined) == len(expected) == len(pcm) - whole.trimmed
    np.testing.assert_array_equal(expected[120:], pcm[whole.trimmed + 120 :])


def test_speech_that_begins_at_once_is_left_as_it_is() -> None:
    """Without silence nothing is cut and nothing faded."""
    pcm = speech(0)
    np.testing.assert_array_equal(LeadIn(RATE).cut(pcm), pcm)


def test_an_utterance_of_nothing_but_silence_is_heard_at_its_end() -> None:
    """What is held back comes out with the last piece."""
    lead_in = LeadIn(RATE)
    assert len(lead_in.cut(np.zeros(1000, np.float32))) == 0
    assert len(lead_in.cut(np.zeros(0, np.float32), is_last=True)) == 240
