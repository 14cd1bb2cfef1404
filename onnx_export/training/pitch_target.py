"""What the decoder is to tell of the pitch: that of the speech it learns from, at its own steps."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from voicestack.onnx_export.specs import CodecConfig

from .audio import AudioPool
from .melody import span_of
from .pitch import STEP_S, Floats, PitchSpan, track

_UTTERANCES = 20


def speaker_span(pool: AudioPool) -> PitchSpan:
    """Where the pitch of the speaker of a pool may be, by its first utterances."""
    return span_of((utterance / 32768).astype(np.float32) for utterance in pool.utterances[:_UTTERANCES])


def pitch_target(pcm: Tensor, span: PitchSpan, config: CodecConfig) -> tuple[Tensor, Tensor]:
    """Octaves above `config.pitch_hz` and where there is voice, float32 and bool [B, steps], of pcm [B, samples].

    A step's turn is from the middle of the window before to the middle of its own, which ends with the step; the pitch
    of both is the mean. Where there is no voice it goes straight from one voice to the next.
    """
    rows = [_at_steps(track(row, config.sample_rate_hz, span), row.size // config.hop, config) for row in pcm.numpy()]
    octaves, voiced = (torch.from_numpy(np.stack(parts)) for parts in zip(*rows, strict=True))
    return octaves, voiced


def _at_steps(pitch_hz: Floats, steps: int, config: CodecConfig) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    hop_s = config.hop / config.sample_rate_hz
    times_s = (np.arange(steps) + 1) * hop_s - config.n_fft / config.sample_rate_hz / 2 - hop_s / 2
    known = np.isfinite(pitch_hz)
    if not known.any():
        return np.zeros(steps, np.float32), np.zeros(steps, np.bool_)
    frames_s = np.arange(len(pitch_hz)) * STEP_S
    octaves = np.interp(times_s, frames_s[known], np.log2(pitch_hz[known] / config.pitch_hz))
    voiced = (np.interp(times_s, frames_s, known) > 0.99) & (times_s >= 0)
    return octaves.astype(np.float32), voiced
