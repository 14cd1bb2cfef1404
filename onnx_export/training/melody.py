"""What is measured of the melody of one utterance: its contour, its end, its pauses, and how alike two of them are.

Times of words come from who speaks: the teacher's alignment, the voice's own word timings. Pauses and the end of speech
are told by energy, in the same way for both.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .pitch import STEP_S, Floats, PitchSpan, semitones, track
from .speech import SAMPLE_RATE_HZ

FINAL_S = 0.8
_END_S, _BEFORE_END_S = 0.15, 0.45
_LEAST_FRAMES = 5
_LOUD_DB = -12.0
_SILENT_DB = -32.0
"""Relative to the loud parts of an utterance; between words both the teacher and the voice fade to nothing at all."""
_FAINTEST = 1e-5
_PAUSE_OVERLAP_S = 0.16
"""Word times are exact to a frame or two, so a pause is looked for a little into the word behind it."""


@dataclass(frozen=True, slots=True)
class Said:
    """One utterance. pcm: float32 [samples] at 24 kHz. onsets_s: float64 [words], the second in which each begins."""

    pcm: NDArray[np.float32]
    onsets_s: Floats


@dataclass(frozen=True, slots=True)
class Melody:
    """The contour of an utterance.

    height_st: float64 [frames], semitones above the utterance's own median, NaN where there is no voice. median_hz:
    that median. silent, loud: bool [frames]. onsets_s: float64 [words]. end_s: where speech ends. A frame lasts
    `STEP_S`.
    """

    height_st: Floats
    median_hz: float
    silent: NDArray[np.bool_]
    loud: NDArray[np.bool_]
    onsets_s: Floats
    end_s: float

    @property
    def last_word_s(self) -> float:
        """How long the last word lasts."""
        return self.end_s - float(self.onsets_s[-1])


def melody(said: Said, span: PitchSpan) -> Melody:
    """The melody of an utterance, which must hold some voiced sound."""
    pitch_hz = track(said.pcm, SAMPLE_RATE_HZ, span)
    median_hz = float(np.nanmedian(pitch_hz))
    level_db = loudness_db(said.pcm)
    silent, loud = silences(said.pcm), level_db > np.percentile(level_db, 95) + _LOUD_DB
    end_s = float(np.flatnonzero(~silent)[-1] + 1) * STEP_S
    return Melody(semitones(pitch_hz, median_hz), median_hz, silent, loud, said.onsets_s, end_s)


def span_of(pcms: Iterable[NDArray[np.float32]]) -> PitchSpan:
    """The span of a speaker of whom some clean speech is given, each float32 [samples] at 24 kHz."""
    pitch_hz = np.concatenate([track(pcm, SAMPLE_RATE_HZ, PitchSpan()) for pcm in pcms])
    return PitchSpan.around(float(np.nanmedian(pitch_hz)))


def silences(pcm: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which frames of `STEP_S` are silent beside the loud parts, bool [frames]. pcm: float32 [samples] at 24 kHz."""
    level_db = loudness_db(pcm)
    return level_db < np.percentile(level_db, 95) + _SILENT_DB


def loudness_db(pcm: NDArray[np.float32]) -> Floats:
    """RMS of each frame of `STEP_S` in dB of full scale, float64 [frames]. pcm: float32 [samples] at 24 kHz."""
    hop = round(STEP_S * SAMPLE_RATE_HZ)
    frames = np.pad(pcm, (0, -len(pcm) % hop)).astype(np.float64).reshape(-1, hop)
    return 20 * np.log10(np.maximum(np.sqrt((frames**2).mean(1)), _FAINTEST))


def final_contour(melody: Melody) -> Floats:
    """The last `FINAL_S` of speech, float64 [80], NaN where there is no voice: a hoarse or creaky end has no pitch."""
    frames, end = round(FINAL_S / STEP_S), round(melody.end_s / STEP_S)
    return np.pad(melody.height_st[:end], (frames, 0), constant_values=np.nan)[-frames:]


def final_height_st(melody: Melody) -> float:
    """How high an utterance ends above its own median: the median of its last 0.15 s, NaN without voice there."""
    return _median(final_contour(melody)[-round(_END_S / STEP_S) :])


def final_movement_st(melody: Melody) -> float:
    """How far it rises at the end: its last 0.15 s against the 0.3 s before; a fall is negative. NaN without voice."""
    begin, end = round(_BEFORE_END_S / STEP_S), round(_END_S / STEP_S)
    return final_height_st(melody) - _median(final_contour(melody)[-begin:-end])


def _median(heights_st: Floats) -> float:
    known = heights_st[np.isfinite(heights_st)]
    return float(np.median(known)) if known.size >= _LEAST_FRAMES else float("nan")


def voiced_end_share(melody: Melody) -> float:
    """How much of the last 0.15 s of speech has a pitch."""
    return float(np.isfinite(final_contour(melody)[-round(_END_S / STEP_S) :]).mean())


def voiced_loud_share(melody: Melody) -> float:
    """How much of what is loud has a pitch: vowels that are hoarse have none."""
    return float(np.isfinite(melody.height_st[: len(melody.loud)][melody.loud]).mean())


def range_st(melody: Melody) -> float:
    """The width of the middle 90 % of its pitch."""
    low, high = np.nanpercentile(melody.height_st, [5, 95])
    return float(high - low)


def pause_s(melody: Melody, word: int) -> float:
    """The longest silence between the onset of a word and a little behind that of the next one."""
    begin_s, end_s = melody.onsets_s[word], melody.onsets_s[word + 1] + _PAUSE_OVERLAP_S
    return _longest_run(melody.silent[round(begin_s / STEP_S) : round(end_s / STEP_S)]) * STEP_S


def _longest_run(flags: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def agreement(melody: Melody, other: Melody) -> tuple[float, float]:
    """How alike two contours of the same words are: correlation, and root mean square difference in semitones.

    The other one is stretched between the onsets of its words, so that they begin at the same times, and compared where
    both have voice.
    """
    times_s = np.arange(len(melody.height_st)) * STEP_S
    theirs_s = np.interp(times_s, _knots(melody), _knots(other))
    frames = np.minimum(np.round(theirs_s / STEP_S).astype(np.int64), len(other.height_st) - 1)
    stretched = other.height_st[frames]
    inside = (times_s >= melody.onsets_s[0]) & (times_s <= melody.end_s)
    both = inside & np.isfinite(melody.height_st) & np.isfinite(stretched)
    mine, theirs = melody.height_st[both], stretched[both]
    return float(np.corrcoef(mine, theirs)[0, 1]), float(np.sqrt(np.mean((mine - theirs) ** 2)))


def _knots(melody: Melody) -> Floats:
    """The onsets and the end, made to increase: two short words may be told in the same frame."""
    end_s = max(melody.end_s, float(melody.onsets_s[-1]) + STEP_S)
    knots: Floats = np.concatenate([melody.onsets_s, [end_s]])
    return np.asarray(np.maximum.accumulate(knots) + np.arange(len(knots)) * 1e-6, np.float64)
