"""From a spoken utterance to the rows and targets the generator learns: the cued text feed, written down.

A token is cued LOOKAHEAD frames before the frame in which it begins to sound; the first PRIMER tokens stand in the
prefix. Every utterance can be written with its length in frames (`control` counts down) or without.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime.cue_clock import COLUMN_ROWS, CueClock, primer_onset
from voicestack.runtime.names import END, HOLD, LOOKAHEAD_FRAMES, NEXT, PRIMER_TOKENS, control_id
from voicestack.runtime.text.phones import END_TOKEN, NO_TOKEN, Token, begin_token, mark_token, word_tokens

FRAME_S = 0.08
_LETTERS_SHARE = 0.07


@dataclass(frozen=True, slots=True)
class Rows:
    """One utterance: R = prefix + frames rows, and those of the flush; row `prefix - 1 + t` produces frame t.

    text_ids int64 [R + flush, 9]; codes int64 [R, n_vq] (row r holds the frame before); channel int64 [R - prefix + 1],
    END in the last place.
    """

    text_ids: NDArray[np.int64]
    codes: NDArray[np.int64]
    channel: NDArray[np.int64]
    prefix: int


def timed_tokens(
    words: list[tuple[str, tuple[str, ...], str]], onsets_s: list[float], end_s: float, draws: np.random.Generator
) -> tuple[list[Token], list[float]]:
    """Tokens and the second each begins; a random share of the words is written in letters instead of phones."""
    tokens: list[Token] = []
    starts_s: list[float] = []
    place = 0
    for spelling, phones, mark in words:
        begin = onsets_s[place]
        units, onsets = list(phones), onsets_s[place : place + len(phones)]
        place += len(phones)
        if len(spelling) > 2 and draws.random() < _LETTERS_SHARE:
            stop = onsets_s[place] if place < len(onsets_s) else end_s
            units = list(spelling.lower())
            onsets = list(np.linspace(begin, stop, len(units), endpoint=False))
        tokens += word_tokens(units)
        starts_s += [float(onset) for onset in onsets[::2]]
        if mark:
            tokens.append(mark_token(mark))
            starts_s.append(onsets_s[place])
            place += 1
    tokens.append(END_TOKEN)
    starts_s.append(starts_s[-1])
    return tokens, starts_s


def end_cue(words: list[tuple[str, tuple[str, ...], str]], onsets_s: list[float]) -> int:
    """The frame that cues the end: one behind the last token's, unless tokens crowd before it."""
    _, phones, mark = words[-1]
    last_pair = len(onsets_s) - len(phones) + (len(phones) - 1) // 2 * 2
    return max(_cue(onsets_s[-1 if mark else last_pair]), 0) + 1


def _cue(start_s: float) -> int:
    """The frame that cues a token which begins to sound at `start_s`; below 1 where it stands in the prefix."""
    return int(start_s / FRAME_S) - LOOKAHEAD_FRAMES


def serialise(
    tokens: list[Token],
    starts_s: list[float],
    codes: NDArray[np.int64],
    *,
    with_length: bool,
    foretold_mark: str = "",
    flush: int = 0,
) -> Rows:
    """Rows of one utterance; codes int64 [frames, n_vq]. Its first row tells the mark that closes it, if it is given.

    For a delay head `flush` rows of text go on behind its end.
    """
    frames, n_vq = codes.shape
    prefix = 1 + min(PRIMER_TOKENS, len(tokens))
    text_ids = np.zeros((prefix + frames + flush, len(COLUMN_ROWS)), np.int64)
    text_ids[:, :2] = NO_TOKEN
    text_ids[:prefix, :2] = [begin_token(foretold_mark), *tokens[: prefix - 1]]
    if with_length:
        text_ids[:, 2] = [control_id(frames - max(frame, 0)) for frame in range(1 - prefix, frames + flush + 1)]
    channel = np.full(frames + 1, HOLD, np.int64)
    channel[-1] = END
    clock = CueClock()
    for place, token in enumerate(tokens[: prefix - 1]):
        clock.cue(token, primer_onset(place))
    cue = 0
    for token, start_s in zip(tokens[prefix - 1 :], starts_s[prefix - 1 :], strict=True):
        cue = max(cue + 1, _cue(start_s))
        if cue > frames:  # More text than frames: what is left was never heard.
            break
        text_ids[prefix - 1 + cue, :2] = token
        channel[cue - 1] = NEXT
    for frame in range(frames + flush + 1):
        row = text_ids[prefix - 1 + frame]
        if 0 < frame <= frames and channel[frame - 1] == NEXT:
            clock.cue((int(row[0]), int(row[1])), frame + LOOKAHEAD_FRAMES)
        row[3:] = clock.timing(frame)
    history = np.full((prefix + frames, n_vq), 1024, np.int64)
    history[prefix:] = codes
    return Rows(text_ids, history, channel, prefix)
