import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.runtime.cued_feed import CuedFeed, WordCue
from voicestack.runtime.names import CONTROL_MAX, END, HOLD, MASKED, NEXT
from voicestack.runtime.text.phones import END_TOKEN, NO_TOKEN, Token, begin_token

A, B, C, D, E = [(10 + unit, 20 + unit) for unit in range(5)]


def cued(feed: CuedFeed) -> list[tuple[int, ...]]:
    """The cued units and the control of the next rows, without the timing columns."""
    return [row[:3] for row in feed.rows()]


def feed_of(*tokens: Token, finished: bool = True, target: int | None = None) -> CuedFeed:
    feed = CuedFeed(target)
    feed.push(tokens)
    if finished:
        feed.finish()
    return feed


def test_prefix_is_begin_and_the_first_three_tokens() -> None:
    """The first rows are the begin token and three tokens of text, without a control."""
    assert cued(feed_of(A, B, C, D)) == [(*token, 0) for token in (begin_token(), A, B, C)]


def test_prefix_of_a_short_text_holds_its_end() -> None:
    """A text of fewer tokens than the primer brings its end token in the prefix, and may end at once."""
    feed = feed_of(A)
    assert cued(feed) == [(*token, 0) for token in (begin_token(), A, END_TOKEN)]
    assert feed.channel_bias.tolist() == [0, MASKED, 0]


def test_begin_waits_for_the_primer() -> None:
    """Nothing can be made from two tokens of a text that goes on; with the third, or the end, it can."""
    feed = feed_of(A, B, finished=False)
    assert not feed.ready
    feed.push([C])
    assert feed.ready
    shorter = feed_of(A, B, finished=False)
    shorter.finish()
    assert shorter.ready


def test_next_takes_a_token_and_hold_takes_none() -> None:
    """After NEXT the next row holds the next token, after HOLD none."""
    feed = feed_of(A, B, C, D)
    feed.rows()
    feed.heed(HOLD)
    assert cued(feed) == [(*NO_TOKEN, 0)]
    feed.heed(NEXT)
    assert cued(feed) == [(*D, 0)]


def test_a_feed_remembers_its_tokens_and_when_each_begins() -> None:
    """All that came, each word with its first token, and an onset for each that was taken: the one its word is told."""
    feed = CuedFeed()
    feed.push([A, B], "ab")
    feed.push([C])
    feed.push([D, E], "de")
    feed.rows()
    assert feed.tokens == [(A, "ab"), (B, None), (C, None), (D, "de"), (E, None)]
    assert len(feed.onsets) == feed.tokens_fed == 3
    for channel in (HOLD, NEXT, NEXT):
        feed.heed(channel)
        feed.rows()
    feed.finish()
    assert feed.tokens[-1] == (END_TOKEN, None)
    assert feed.words == [WordCue("ab", feed.onsets[0]), WordCue("de", feed.onsets[3])]
    assert len(feed.onsets) == 5


def test_end_is_masked_until_the_end_token_was_taken_and_next_from_then_on() -> None:
    """The channel bias forbids END before the end token was fed, and NEXT after it."""
    feed = feed_of(A, B, C)
    feed.rows()
    assert feed.channel_bias.tolist() == [0, 0, MASKED]
    feed.heed(NEXT)
    assert feed.channel_bias.tolist() == [0, 0, MASKED]
    assert cued(feed) == [(*END_TOKEN, 0)]
    assert feed.channel_bias.tolist() == [0, MASKED, 0]


def test_next_without_text_parks_until_text_comes() -> None:
    """A stream that wants a token no one has sent yet is not ready, and goes on with the token when it comes."""
    feed = feed_of(A, B, C, finished=False)
    feed.rows()
    feed.heed(NEXT)
    assert not feed.ready
    feed.push([D])
    assert feed.ready
    assert cued(feed) == [(*D, 0)]


def test_hold_goes_on_without_text() -> None:
    """A stream that holds needs no text."""
    feed = feed_of(A, B, C, finished=False)
    feed.rows()
    feed.heed(HOLD)
    assert feed.ready


def test_end_is_not_spoken_and_ends() -> None:
    """The frame whose channel is END does not count, and nothing follows it."""
    feed = feed_of(A)
    feed.rows()
    feed.heed(HOLD)
    feed.rows()
    feed.heed(END)
    assert (feed.frames, feed.ended, feed.ready) == (1, True, False)


def test_control_counts_down_to_the_target_and_stops_at_zero() -> None:
    """Rows carry one more than the frames left: all of them in the prefix, then one less a frame, never below 0."""
    feed = feed_of(A, B, C, target=2)
    controls = [row[2] for row in feed.rows()]
    for _ in range(4):
        feed.heed(HOLD)
        controls += [row[2] for row in feed.rows()]
    assert controls == [3, 3, 3, 3, 2, 1, 1, 1]


def test_control_of_a_distant_target_is_clipped() -> None:
    """More frames left than the control table holds are told as its last row."""
    assert feed_of(A, target=10_000).rows()[0][2] == 1 + CONTROL_MAX


def test_words_sound_six_frames_after_their_first_token() -> None:
    """A word is timed by its first token: at most frame 5 in the primer, the row's frame plus the lookahead later."""
    feed = CuedFeed()
    feed.push([A, B], "one")
    feed.push([C], "two")
    feed.push([D, E], "three")
    feed.finish()
    feed.rows()
    feed.heed(HOLD)
    feed.rows()
    feed.heed(NEXT)
    feed.rows()
    assert feed.words == [WordCue("one", 0), WordCue("two", 4), WordCue("three", 8)]


def test_push_after_finish_is_refused() -> None:
    """Text cannot follow the end of the text."""
    with pytest.raises(ValueError, match="finished"):
        feed_of(A).push([B])


@given(
    tokens=st.lists(st.tuples(st.integers(5, 99), st.integers(5, 99)), min_size=1, max_size=12),
    channels=st.lists(st.sampled_from([HOLD, NEXT]), max_size=40),
)
def test_feed_agrees_with_a_list(tokens: list[Token], channels: list[int]) -> None:
    """Whatever the model says, the tokens in the rows are the text in order, one for each NEXT that was allowed."""
    feed = feed_of(*tokens)
    text = [*tokens, END_TOKEN]
    expected = [begin_token(), *text[:3]]
    left = text[3:]
    fed = [row[:2] for row in feed.rows()]
    for channel in channels:
        allowed = HOLD if channel == NEXT and feed.channel_bias[NEXT] < 0 else channel
        feed.heed(allowed)
        fed += [row[:2] for row in feed.rows()]
        expected.append(left.pop(0) if allowed == NEXT else NO_TOKEN)
    assert fed == expected
    assert feed.frames == len(channels)


@given(
    tokens=st.lists(st.tuples(st.integers(5, 99), st.integers(5, 99)), min_size=1, max_size=12),
    arrivals=st.lists(st.booleans(), max_size=60),
    channels=st.lists(st.sampled_from([HOLD, NEXT]), min_size=60, max_size=60),
)
def test_rows_do_not_depend_on_when_text_arrives(
    tokens: list[Token], arrivals: list[bool], channels: list[int]
) -> None:
    """A text that arrives late, token by token, makes the same rows as one that was there from the start."""

    def rows_of(feed: CuedFeed, count: int) -> list[tuple[int, ...]]:
        made: list[tuple[int, ...]] = []
        said = iter(channels)
        while feed.ready and len(made) < count:
            made += feed.rows()
            channel = next(said)
            feed.heed(HOLD if feed.channel_bias[channel] < 0 else channel)
        return made

    whole = rows_of(feed_of(*tokens), 40)
    late = CuedFeed()
    said = iter(channels)
    made: list[tuple[int, ...]] = []
    left = list(tokens)
    for arrives in [*arrivals, *[True] * (len(tokens) + 1)]:
        if arrives and left:
            late.push([left.pop(0)])
        elif arrives:
            late.finish()
        while late.ready and len(made) < 40:
            made += late.rows()
            channel = next(said)
            late.heed(HOLD if late.channel_bias[channel] < 0 else channel)
    assert made == whole


def test_a_feed_that_is_late_for_its_length_leans_towards_the_next_token() -> None:
    """And towards holding when it is early; not at all on time, without a length, or when text is still to come."""
    tokens = [A, B, C, D, E, A, B]
    for target, tail, sign in ((12, 8.0, 1), (60, 8.0, -1), (18, 8.0, 0), (18, 5.0, -1), (18, 11.0, 1)):
        # Behind the prefix four tokens and the end are left: 10 frames at two a token, and the tail.
        feed = CuedFeed(target, 2.0, tail)
        feed.push(tokens)
        assert feed.channel_bias.tolist() == [0, 0, MASKED]
        feed.finish()
        feed.rows()
        bias = feed.channel_bias.tolist()
        assert (bias[HOLD], bias[END]) == (0, MASKED)
        assert (bias[NEXT] == 0) if sign == 0 else (bias[NEXT] * sign > 1)
    feed = CuedFeed(None, 2.0, 8.0)
    feed.push(tokens)
    feed.finish()
    assert feed.channel_bias.tolist() == [0, 0, MASKED]
