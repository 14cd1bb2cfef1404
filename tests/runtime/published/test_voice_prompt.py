"""Voice prompts: recordings of any kind made ready for a codec, or refused with one clear error."""

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime.errors import InputError
from voicestack.runtime.published.generator_info import Family
from voicestack.runtime.published.voice_prompt import (
    FloatArray,
    VoicePromptFormat,
    level_db,
    levelled,
    load_voice_prompt,
    prepare_voice_prompt,
    read_audio,
)

MONO = VoicePromptFormat(24_000, 1, levelled=False)
STEREO = VoicePromptFormat(48_000, 2, levelled=False)


def tone(rate_hz: int = 24_000, seconds: float = 1.0, peak: float = 0.5, hz: float = 220.0) -> FloatArray:
    """A sine, float32 [samples]."""
    return (peak * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * seconds)) / rate_hz)).astype(np.float32)


@pytest.mark.parametrize(
    ("family", "levelled_too"),
    [("delay", True), ("local", True), ("local_v1.5", True), ("nano", False), ("realtime", False)],
)
def test_which_families_level_their_prompts(family: str, levelled_too: bool) -> None:
    """Delay and both Local generators were trained on levelled prompts."""
    wanted = VoicePromptFormat.of(Family(family), 24_000, 1)
    assert (level_db(prepare_voice_prompt(tone(), 24_000, wanted)) != level_db(tone())) is levelled_too


@given(level=st.floats(-45, -5), channels=st.integers(1, 2))
@settings(max_examples=20)
def test_the_loudness_rule(level: float, channels: int) -> None:
    """A clip is moved towards -20 dBFS by 3 dB at most, all channels alike."""
    pcm = np.repeat(tone(peak=np.sqrt(2) * 10 ** (level / 20))[:, None], channels, axis=1)
    moved = level_db(levelled(pcm)) - level_db(pcm)
    assert moved == pytest.approx(np.clip(-20 - level, -3, 3), abs=0.05)


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.float64])
def test_sample_types(dtype: Any) -> None:
    """Integers of every width and float64 come out as the same float32."""
    wave = tone()
    scale, offset = {"i": (2 ** (8 * np.dtype(dtype).itemsize - 1), 0), "u": (128, 128), "f": (1, 0)}[
        np.dtype(dtype).kind
    ]
    audio = (wave.astype(np.float64) * scale + offset).astype(dtype)
    pcm = prepare_voice_prompt(audio, 24_000, MONO)
    assert pcm.dtype == np.float32
    np.testing.assert_allclose(pcm[:, 0], wave, atol=0.01)


def test_channels() -> None:
    """Channels are averaged for a mono codec; for a stereo one mono is repeated, stereo kept, more averaged."""
    left, right = tone(48_000), tone(48_000, hz=330)
    both = np.column_stack((left, right))
    mono = prepare_voice_prompt(both, 24_000, MONO)
    np.testing.assert_allclose(mono, both.mean(axis=1, keepdims=True), atol=1e-6)
    np.testing.assert_array_equal(prepare_voice_prompt(both, 48_000, STEREO), both)
    np.testing.assert_array_equal(prepare_voice_prompt(left, 48_000, STEREO), np.column_stack((left, left)))
    three = prepare_voice_prompt(np.column_stack((both, left)), 48_000, STEREO)
    np.testing.assert_allclose(three, np.repeat((2 * left + right)[:, None] / 3, 2, axis=1), atol=1e-6)


@pytest.mark.parametrize("rate_hz", [8_000, 22_050, 44_100, 96_000])
def test_any_rate(rate_hz: int) -> None:
    """A tone has the same pitch, level and length at the codec's rate."""
    pytest.importorskip("soxr")
    pcm = prepare_voice_prompt(tone(rate_hz), rate_hz, MONO)
    assert len(pcm) == pytest.approx(24_000, abs=1)
    middle = slice(2_000, 22_000)
    np.testing.assert_allclose(pcm[middle, 0], tone(24_000)[middle], atol=0.01)


def clipped() -> NDArray[np.int16]:
    return np.clip(tone(peak=3.0) * 32768, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize(
    ("audio", "message"),
    [
        (np.zeros(24_000, np.float32), "is silent"),
        (tone(peak=1e-4), "is silent"),
        (np.column_stack((tone(), -tone())), "is silent"),
        (clipped(), r"is clipped \(\d+\.\d% of its samples\)"),
        (np.where(np.arange(24_000) == 7, np.nan, tone()), "NaN or infinite"),
        (np.where(np.arange(24_000) == 7, np.inf, tone()), "NaN or infinite"),
        (tone() * 32768, r"peak is 1\.64e\+04; scale the samples"),
        (tone(seconds=0.4), "lasts 0.40 s, too short; give at least 0.5 s"),
        (np.zeros(0, np.float32), "too short"),
        (np.zeros((0, 1), np.float32), "too short"),
        (tone(seconds=61), "lasts 61.0 s, too long; give at most 60 s"),
        (np.stack((tone(), tone())), r"shape \[2, 24000\], must be"),
        (np.zeros((9, 9, 9), np.float32), "shape"),
        (np.zeros(24_000, bool), "dtype bool"),
        (np.zeros(24_000, complex), "dtype complex128"),
    ],
)
def test_recordings_that_are_refused(audio: NDArray[Any], message: str) -> None:
    """Each fault has one error that names it."""
    with pytest.raises(InputError, match=message):
        prepare_voice_prompt(audio, 24_000, MONO)


@pytest.mark.parametrize("rate_hz", [0, 3_999, 400_000])
def test_rates_that_are_refused(rate_hz: int) -> None:
    """A rate that no recording has is refused."""
    with pytest.raises(InputError, match=f"rate_hz is {rate_hz}"):
        prepare_voice_prompt(tone(), rate_hz, MONO)


def test_a_loud_recording_is_not_clipped() -> None:
    """A sine that touches full scale has no flat tops, not even as int16."""
    full = tone(peak=1.0, hz=100)
    prepare_voice_prompt(full, 24_000, MONO)
    prepare_voice_prompt((full * 32767).astype(np.int16), 24_000, MONO)


def test_limits_can_be_moved() -> None:
    """The caller may allow shorter and longer recordings."""
    assert len(prepare_voice_prompt(tone(seconds=0.1), 24_000, MONO, min_seconds=0.1)) == 2_400
    assert len(prepare_voice_prompt(tone(seconds=61), 24_000, MONO, max_seconds=90)) == 61 * 24_000


@pytest.mark.parametrize(("suffix", "tolerance"), [(".wav", 1e-4), (".flac", 1e-4), (".ogg", 0.1)])
def test_files(tmp_path: Path, suffix: str, tolerance: float) -> None:
    """WAV, FLAC and OGG files are read, from a path or from an open file."""
    soundfile = pytest.importorskip("soundfile")
    path = tmp_path / f"voice{suffix}"
    both = np.column_stack((tone(), tone(hz=330)))
    soundfile.write(path, both, 24_000)
    pcm = load_voice_prompt(path, MONO)
    assert pcm.shape == (24_000, 1)
    np.testing.assert_allclose(pcm[1_000:-1_000], both.mean(axis=1, keepdims=True)[1_000:-1_000], atol=tolerance)
    samples, rate_hz = read_audio(io.BytesIO(path.read_bytes()))
    assert samples.dtype == np.float32
    assert (samples.shape, rate_hz) == ((24_000, 2), 24_000)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    """A missing, broken or over-long file is refused by name."""
    soundfile = pytest.importorskip("soundfile")
    with pytest.raises(InputError, match=r"no\.wav: there is no such file"):
        load_voice_prompt(tmp_path / "no.wav", MONO)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF no sound")
    with pytest.raises(InputError, match=r"broken\.wav cannot be read"):
        load_voice_prompt(broken, MONO)
    headless = tmp_path / "headless.raw"
    headless.write_bytes(bytes(4800))
    with pytest.raises(InputError, match=r"headless\.raw cannot be read"):
        load_voice_prompt(headless, MONO)
    with pytest.raises(InputError, match="the audio cannot be read"):
        read_audio(io.BytesIO(b"nothing"))
    long = tmp_path / "long.wav"
    soundfile.write(long, tone(seconds=2), 24_000)
    with pytest.raises(InputError, match=r"lasts 2\.0 s, too long; give at most 1 s"):
        load_voice_prompt(long, MONO, max_seconds=1)


@pytest.mark.parametrize("module", ["soundfile", "soxr"])
def test_without_the_extra(module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the package and the extra it comes with."""
    monkeypatch.setitem(sys.modules, module, None)
    path = tmp_path / "voice.wav"
    path.write_bytes(b"")
    uses: dict[str, Callable[[], object]] = {
        "soundfile": lambda: read_audio(path),
        "soxr": lambda: prepare_voice_prompt(tone(48_000), 48_000, MONO),
    }
    with pytest.raises(InputError, match=rf"{module}, which is not installed; pip install 'voicestack\[published\]'"):
        uses[module]()
