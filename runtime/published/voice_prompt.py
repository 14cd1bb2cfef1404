"""A recording of a voice, made ready for the codec's encoder: any rate and channel count in, checked and levelled.

WAV, FLAC and OGG files are read by `soundfile` and resampled by `soxr`, both of the `published` extra; arrays that
have the codec's rate already need neither. PCM is float32 [samples, channels], full scale 1.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .generator_info import Family
from .tokenizer_extras import from_extra

FloatArray = NDArray[np.float32]

MIN_SECONDS, MAX_SECONDS = 0.5, 60.0
"""How long a voice prompt may be unless the caller says otherwise; every second of it takes 12.5 rows."""
TARGET_LEVEL_DB, MAX_GAIN_DB = -20.0, 3.0
"""The level a prompt is brought towards, and how far it is moved at most."""

_SILENT_DB = -60.0
_MAX_CHANNELS = 8
_MIN_RATE_HZ, _MAX_RATE_HZ = 4_000, 384_000
_PEAK_LIMIT = 1.5
"""Lossy decoders overshoot full scale a little; beyond this the samples are of another scale."""
_CLIPPED_FROM = 0.98
_CLIPPED_SHARE = 0.001
"""A clip with more than this share of its samples in flat tops is clipped."""


@dataclass(frozen=True, slots=True)
class VoicePromptFormat:
    """What a codec wants: its rate, 1 or 2 channels, and whether the family was trained with levelled prompts."""

    sample_rate_hz: int
    channels: int
    levelled: bool

    @classmethod
    def of(cls, family: Family, sample_rate_hz: int, channels: int) -> "VoicePromptFormat":
        """The format of a family, given its codec's rate and channels."""
        return cls(sample_rate_hz, channels, levelled=family in (Family.DELAY, Family.LOCAL, Family.LOCAL_V15))


def load_voice_prompt(
    source: Path | BinaryIO,
    wanted: VoicePromptFormat,
    *,
    min_seconds: float = MIN_SECONDS,
    max_seconds: float = MAX_SECONDS,
) -> FloatArray:
    """Read a file and prepare it: float32 [samples, channels]."""
    audio, rate_hz = read_audio(source, max_seconds=max_seconds)
    return prepare_voice_prompt(audio, rate_hz, wanted, min_seconds=min_seconds, max_seconds=max_seconds)


def read_audio(source: Path | BinaryIO, *, max_seconds: float = MAX_SECONDS) -> tuple[FloatArray, int]:
    """The samples of a file, float32 [samples, channels], and its rate; a longer file is refused before it is read."""
    name = str(source) if isinstance(source, Path) else "the audio"
    if isinstance(source, Path) and not source.is_file():
        raise InputError(f"{source}: there is no such file; give a WAV, FLAC or OGG file")
    soundfile = from_extra("soundfile", "reading an audio file")
    try:
        with soundfile.SoundFile(source) as file:
            _check_length(file.frames, file.samplerate, 0.0, max_seconds)
            samples: FloatArray = file.read(dtype="float32", always_2d=True)
            return samples, int(file.samplerate)
    except (soundfile.SoundFileError, TypeError) as error:  # TypeError: by its name it has no header.
        raise InputError(f"{name} cannot be read ({error}); give a WAV, FLAC or OGG file") from error


def prepare_voice_prompt(
    audio: NDArray[Any],
    rate_hz: int,
    wanted: VoicePromptFormat,
    *,
    min_seconds: float = MIN_SECONDS,
    max_seconds: float = MAX_SECONDS,
) -> FloatArray:
    """A recording as the codec's encoder takes it, float32 [samples, channels].

    Args:
        audio: floats within -1..1 or integers of any width, [samples] or [samples, channels].
        rate_hz: its sampling rate.
        wanted: the format of the generator's codec.
        min_seconds: a shorter recording is refused.
        max_seconds: so is a longer one.
    """
    if not _MIN_RATE_HZ <= rate_hz <= _MAX_RATE_HZ:
        raise InputError(f"rate_hz is {rate_hz}, must be {_MIN_RATE_HZ}..{_MAX_RATE_HZ}")
    pcm = _as_float(_as_columns(audio))
    _check_length(len(pcm), rate_hz, min_seconds, max_seconds)
    _check_samples(pcm)
    pcm = _resampled(_mixed(pcm, wanted.channels), rate_hz, wanted.sample_rate_hz)
    if level_db(pcm) < _SILENT_DB:
        raise InputError(f"the voice prompt is silent ({level_db(pcm):.0f} dBFS); give a recording of a voice")
    return levelled(pcm) if wanted.levelled else pcm


def level_db(pcm: FloatArray) -> float:
    """The mean power of a clip, all channels together, in dB below full scale."""
    return float(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-9))


def levelled(pcm: FloatArray) -> FloatArray:
    """The clip moved towards TARGET_LEVEL_DB, by MAX_GAIN_DB at most."""
    gain_db = min(max(TARGET_LEVEL_DB - level_db(pcm), -MAX_GAIN_DB), MAX_GAIN_DB)
    return pcm * np.float32(10 ** (gain_db / 20))


def _as_columns(audio: NDArray[Any]) -> NDArray[Any]:
    columns = audio[:, None] if audio.ndim == 1 else audio
    if columns.ndim != 2 or not 1 <= columns.shape[1] <= _MAX_CHANNELS:
        raise InputError(
            f"the voice prompt has shape {list(audio.shape)}, must be [samples] or [samples, channels] with up to "
            f"{_MAX_CHANNELS} channels"
        )
    return columns


def _as_float(columns: NDArray[Any]) -> FloatArray:
    if columns.dtype.kind == "f":
        with np.errstate(over="ignore"):  # what float32 cannot hold is found to be infinite below
            return columns.astype(np.float32)
    if columns.dtype.kind not in "iu":
        raise InputError(f"the voice prompt has dtype {columns.dtype}; give floats within -1..1, or integers")
    half_range = 2.0 ** (8 * columns.dtype.itemsize - 1)
    offset = half_range if columns.dtype.kind == "u" else 0.0
    return ((columns.astype(np.float64) - offset) / half_range).astype(np.float32)


def _check_length(samples: int, rate_hz: int, min_seconds: float, max_seconds: float) -> None:
    seconds = samples / rate_hz
    if not samples or seconds < min_seconds:
        raise InputError(f"the voice prompt lasts {seconds:.2f} s, too short; give at least {min_seconds:g} s")
    if seconds > max_seconds:
        raise InputError(f"the voice prompt lasts {seconds:.1f} s, too long; give at most {max_seconds:g} s")


def _check_samples(pcm: FloatArray) -> None:
    if not np.isfinite(pcm).all():
        raise InputError("the voice prompt has samples that are NaN or infinite; decode the recording again")
    if (peak := float(np.abs(pcm).max())) > _PEAK_LIMIT:
        raise InputError(f"the voice prompt's peak is {peak:.3g}; scale the samples to -1..1")
    if (share := _clipped_share(pcm)) > _CLIPPED_SHARE:
        raise InputError(f"the voice prompt is clipped ({share:.1%} of its samples); record it at a lower level")


def _clipped_share(pcm: FloatArray) -> float:
    """The share of samples in the middle of a flat top: at full scale, and equal to both neighbours."""
    repeats = pcm[1:] == pcm[:-1]
    return float(np.mean(repeats[1:] & repeats[:-1] & (np.abs(pcm[1:-1]) >= _CLIPPED_FROM))) if len(pcm) > 2 else 0.0


def _mixed(pcm: FloatArray, channels: int) -> FloatArray:
    """As many channels as wanted: two are kept as they are for a stereo codec, else all are averaged and repeated."""
    if pcm.shape[1] == channels:
        return pcm
    return np.repeat(pcm.mean(axis=1, keepdims=True), channels, axis=1)


def _resampled(pcm: FloatArray, rate_hz: int, wanted_hz: int) -> FloatArray:
    if rate_hz == wanted_hz:
        return pcm
    soxr = from_extra("soxr", f"resampling a voice prompt from {rate_hz} to {wanted_hz} Hz")
    resampled: FloatArray = soxr.resample(pcm, rate_hz, wanted_hz)
    return resampled
