import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from voicestack.onnx_export.training.serialise import FRAME_S, end_cue, serialise, timed_tokens
from voicestack.runtime.cue_clock import COLUMN_ROWS
from voicestack.runtime.cued_feed import CuedFeed
from voicestack.runtime.names import END, LOOKAHEAD_FRAMES, PRIMER_TOKENS
from voicestack.runtime.text.phones import END_TOKEN, LETTERS, UNITS, Token

N_VQ = 4
Word = tuple[str, tuple[str, ...], str]


@st.composite
def utterances(draw: st.DrawFn) -> tuple[list[Token], list[float], int]:
    """Tokens with rising onsets, the end token last, and enough frames to hear them all."""
    gaps = draw(st.lists(st.floats(0.01, 0.4), min_size=1, max_size=30))
    starts_s = np.cumsum(gaps).tolist()
    tokens = [(6 + place % 50, 7 + place % 40) for place in range(len(gaps))]
    frames = len(tokens) + 8 + int(starts_s[-1] / FRAME_S)
    return [*tokens, END_TOKEN], [*starts_s, starts_s[-1]], frames


@given(utterances(), st.booleans(), st.sampled_from(["", "?", "!"]))
def test_the_feed_replays_the_rows_it_was_trained_on(
    utterance: tuple[list[Token], list[float], int], timed: bool, mark: str
) -> None:
    """Fed the same tokens and told the training targets of channel 0, the runtime's feed makes the very same rows."""
    tokens, starts_s, frames = utterance
    codes = np.zeros((frames, N_VQ), np.int64)
    rows = serialise(tokens, starts_s, codes, with_length=timed, foretold_mark=mark)
    feed = CuedFeed(frames if timed else None, foretold_marks=("?", "!"))
    feed.foretell(mark)
    feed.push(tokens[:-1])
    feed.finish()
    made = feed.rows()
    for channel in rows.channel[:-1]:
        feed.heed(int(channel))
        made += feed.rows()
    assert made == [tuple(row) for row in rows.text_ids.tolist()]
    assert rows.channel[-1] == END


@given(utterances())
def test_every_id_lies_in_its_column(utterance: tuple[list[Token], list[float], int]) -> None:
    """No row holds an id its column's table lacks."""
    tokens, starts_s, frames = utterance
    rows = serialise(tokens, starts_s, np.zeros((frames, N_VQ), np.int64), with_length=True)
    assert (rows.text_ids >= 0).all()
    assert (rows.text_ids < np.array(COLUMN_ROWS)).all()


def test_a_token_is_cued_the_lookahead_before_it_sounds() -> None:
    """A token that begins in frame 20 stands in the row of frame 20 - LOOKAHEAD."""
    tokens = [(6, 0), (7, 0), (8, 0), (9, 0), END_TOKEN]
    rows = serialise(
        tokens, [0.0, 0.1, 0.2, 20.5 * FRAME_S, 20.5 * FRAME_S], np.zeros((30, 2), np.int64), with_length=False
    )
    row = 1 + PRIMER_TOKENS - 1 + 20 - LOOKAHEAD_FRAMES
    assert tuple(rows.text_ids[row, :2]) == (9, 0)


def test_the_end_is_cued_right_behind_the_last_token() -> None:
    """Where its cue is told without making rows, it is where the rows have it, whether a mark ends the text or not."""
    onsets_s = [0.1, 0.3, 0.9, 1.2, 1.5, 1.9, 2.2]
    one: Word = ("one", ("W", "AH1", "N"), "")
    lasts: list[Word] = [("four", ("F", "AO1", "R"), "."), ("fours", ("F", "AO1", "R", "Z"), "")]
    for last in lasts:
        words = [one, last]
        tokens, starts_s = timed_tokens(words, onsets_s, 3.0, np.random.default_rng(3))
        rows = serialise(tokens, starts_s, np.zeros((40, N_VQ), np.int64), with_length=False)
        end = rows.text_ids[:, :2].tolist().index(list(END_TOKEN))
        assert end - (rows.prefix - 1) == end_cue(words, onsets_s)


def test_history_is_one_frame_behind() -> None:
    """The row of frame t holds the codes of frame t - 1, the prefix none."""
    codes = np.arange(10)[:, None].repeat(2, 1)
    rows = serialise([(6, 0), END_TOKEN], [0.0, 0.0], codes, with_length=False)
    assert rows.codes[: rows.prefix].tolist() == [[1024, 1024]] * rows.prefix
    assert rows.codes[rows.prefix :].tolist() == codes.tolist()


def test_words_are_sometimes_written_in_letters() -> None:
    """Over many draws a word appears both as phones and as letters, always from the same moment on."""
    seen = set()
    for seed in range(60):
        draws = np.random.default_rng(seed)
        tokens, starts_s = timed_tokens([("cat", ("K", "AE1", "T"), ".")], [0.1, 0.2, 0.3, 0.5], 0.9, draws)
        assert (starts_s[0], tokens[-1]) == (0.1, END_TOKEN)
        seen.add(UNITS[tokens[0][0]])
    assert seen == {"^K", "^c"}
    assert "c" in LETTERS
