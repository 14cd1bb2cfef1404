from voicestack.runtime.cue_clock import AGE_MAX, COLUMN_ROWS, NO_TIMING, CueClock, primer_onset
from voicestack.runtime.cued_feed import CuedFeed
from voicestack.runtime.names import HOLD, LOOKAHEAD_FRAMES, NEXT, TEXT_IDS

A, B, C, D = [(10 + unit, 20 + unit) for unit in range(4)]


def test_nothing_is_told_before_the_first_cue() -> None:
    """A clock without cues knows neither a sounding nor a coming token."""
    assert CueClock().timing(0) == NO_TIMING


def test_a_token_comes_nearer_sounds_and_ages() -> None:
    """A cued token is the next one until its onset, then the sounding one with its age in frames from 1 on."""
    clock = CueClock()
    clock.cue(A, 2)
    assert [clock.timing(frame) for frame in range(4)] == [
        (0, 0, 0, *A, 2),
        (0, 0, 0, *A, 1),
        (*A, 1, 0, 0, 0),
        (*A, 2, 0, 0, 0),
    ]


def test_age_is_clipped() -> None:
    """A token that goes on for long is told as AGE_MAX old, and every id stays within its column."""
    clock = CueClock()
    clock.cue(A, 0)
    timing = clock.timing(10 * AGE_MAX)
    assert timing[2] == 1 + AGE_MAX
    assert all(value < rows for value, rows in zip(timing, COLUMN_ROWS[3:], strict=True))


def test_feed_tells_the_primer_and_the_cues() -> None:
    """The last row of the prefix begins the first token; a token cued now sounds six frames later."""
    feed = CuedFeed()
    feed.push([A, B, C, D])
    feed.finish()
    rows = feed.rows()
    assert [len(row) for row in rows] == [TEXT_IDS] * len(rows)
    assert rows[-1][3:] == (*A, 1, *B, primer_onset(1))
    feed.heed(NEXT)
    cue = feed.rows()[0]
    assert cue[:2] == D
    for _ in range(LOOKAHEAD_FRAMES - 1):
        feed.heed(HOLD)
        assert feed.rows()[0][3:5] != D
    feed.heed(HOLD)
    assert feed.rows()[0][3:6] == (*D, 1)
