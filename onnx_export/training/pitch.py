"""The pitch of speech, by the autocorrelation method of Boersma (1993), the one Praat uses, in numpy alone.

Every frame has a few candidates, which are peaks of its autocorrelation, and the chance to be unvoiced; the cheapest
path through them is the contour, so that a lone octave error loses to its neighbours.
P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a sampled
sound", Proceedings of the Institute of Phonetic Sciences 17, Amsterdam.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEP_S = 0.01
"""The time between two frames."""
_PERIODS, _CANDIDATES = 3, 6
_VOICING, _SILENCE = 0.45, 0.03
_OCTAVE_COST, _OCTAVE_JUMP_COST, _VOICING_CHANGE_COST = 0.01, 0.35, 0.14
"""Boersma's own values, which are meant for frames of 10 ms."""
_BLOCK_FRAMES = 500
_BELOW, _ABOVE = 0.65, 2.2
_SHORTEST_FRAMES = 5


@dataclass(frozen=True, slots=True)
class PitchSpan:
    """Where a pitch is looked for: by default where that of any speaker may be."""

    lowest_hz: float = 60.0
    highest_hz: float = 400.0

    @classmethod
    def around(cls, median_hz: float) -> "PitchSpan":
        """The span of one speaker; in a wider one what is hoarse is taken for other octaves."""
        return cls(_BELOW * median_hz, _ABOVE * median_hz)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Candidate pitches as octaves above 1 Hz [frames, candidates], their strengths, and that of being unvoiced."""

    octaves: Floats
    strengths: Floats
    unvoiced: Floats


def track(pcm: NDArray[np.float32], sample_rate_hz: int, span: PitchSpan) -> Floats:
    """The pitch in Hz, one value every `STEP_S` from the first sample on, NaN where there is no voice.

    pcm: float32 [samples], mono. Pitches within the span are found, in stretches of 50 ms at least.
    """
    hop, window = round(STEP_S * sample_rate_hz), round(_PERIODS / span.lowest_hz * sample_rate_hz)
    sound = pcm.astype(np.float64) - pcm.mean() if pcm.size else np.zeros(1)
    padded = np.pad(sound, (window // 2, window))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop][: 1 + sound.size // hop]
    loudest = float(np.abs(sound).max()) or 1.0
    blocks = [
        _candidates(frames[start : start + _BLOCK_FRAMES], sample_rate_hz, span, loudest)
        for start in range(0, len(frames), _BLOCK_FRAMES)
    ]
    octaves = np.concatenate([block.octaves for block in blocks])
    strengths = np.concatenate([block.strengths for block in blocks])
    unvoiced = np.concatenate([block.unvoiced for block in blocks])
    return np.exp2(_without_islands(_best_path(_Candidates(octaves, strengths, unvoiced))))


def semitones(pitch_hz: Floats, reference_hz: float) -> Floats:
    """How many semitones a pitch lies above the reference; NaN stays NaN."""
    return 12 * np.log2(pitch_hz / reference_hz)


def _candidates(frames: Floats, sample_rate_hz: int, span: PitchSpan, loudest: float) -> _Candidates:
    """The strongest peaks of each frame's autocorrelation. frames: [frames, window]."""
    first, last = int(sample_rate_hz / span.highest_hz), int(np.ceil(sample_rate_hz / span.lowest_hz))
    correlation = _autocorrelation(frames)[:, first - 1 : last + 2]
    before, here, behind = correlation[:, :-2], correlation[:, 1:-1], correlation[:, 2:]
    bend = before - 2 * here + behind
    # Three values that differ by rounding alone may have a peak and no bend.
    is_peak = (here > before) & (here >= behind) & (bend < 0) & (here > _VOICING / 2)
    # The vertex of the parabola through a peak and its neighbours lies between the samples.
    shift = np.where(is_peak, (before - behind) / (2 * np.where(is_peak, bend, 1.0)), 0.0)
    height = np.minimum(here - (before - behind) * shift / 4, 1.0)
    lags_s = (np.arange(first, last + 1) + shift) / sample_rate_hz
    strengths = np.where(is_peak, height - _OCTAVE_COST * np.log2(span.lowest_hz * lags_s), -np.inf)
    chosen = np.argpartition(-strengths, _CANDIDATES, axis=1)[:, :_CANDIDATES]
    loudness = np.abs(frames - frames.mean(1, keepdims=True)).max(1) / loudest
    unvoiced = _VOICING + np.maximum(0.0, 2 - loudness / (_SILENCE / (1 + _VOICING)))
    return _Candidates(
        -np.log2(np.take_along_axis(lags_s, chosen, 1)), np.take_along_axis(strengths, chosen, 1), unvoiced
    )


def _autocorrelation(frames: Floats) -> Floats:
    """That of the sound itself [frames, lags], 1 at lag 0: the window's own is divided out."""
    window = np.hanning(frames.shape[1])
    size = 1 << (2 * frames.shape[1] - 1).bit_length()

    def correlate(signals: Floats) -> Floats:
        raw = np.fft.irfft(np.abs(np.fft.rfft(signals, size)) ** 2)[..., : frames.shape[1] // 2]
        return raw / np.maximum(raw[..., :1], 1e-12)

    return correlate((frames - frames.mean(1, keepdims=True)) * window) / correlate(window)


def _without_islands(contour: Floats) -> Floats:
    """The same without voice that is over at once, which no vocal folds can do."""
    voiced = np.concatenate([[False], np.isfinite(contour), [False]]).astype(np.int8)
    edges = np.flatnonzero(np.diff(voiced))
    for begin, end in zip(edges[::2], edges[1::2], strict=True):
        if end - begin < _SHORTEST_FRAMES:
            contour[begin:end] = np.nan
    return contour


def _best_path(candidates: _Candidates) -> Floats:
    """Octaves [frames] of the path whose strengths less its costs are greatest; NaN where it is unvoiced."""
    octaves, strengths = candidates.octaves, np.column_stack([candidates.strengths, candidates.unvoiced])
    frames, states = strengths.shape
    came_from = np.zeros((frames, states), np.int64)
    cost = np.full((states, states), _VOICING_CHANGE_COST)
    cost[-1, -1] = 0.0
    total = strengths[0]
    for frame in range(1, frames):
        cost[:-1, :-1] = _OCTAVE_JUMP_COST * np.abs(octaves[frame - 1][:, np.newaxis] - octaves[frame])
        reached = total[:, np.newaxis] - cost
        came_from[frame] = reached.argmax(0)
        total = reached.max(0) + strengths[frame]
    state = int(total.argmax())
    path = np.full(frames, np.nan)
    for frame in range(frames - 1, -1, -1):
        if state < states - 1:
            path[frame] = octaves[frame, state]
        state = int(came_from[frame, state])
    return path
