import numpy as np
import pytest
from numpy.typing import NDArray

from voicestack.onnx_export.training.pitch import STEP_S, PitchSpan, semitones, track

RATE_HZ = 24_000
LOW = PitchSpan.around(92.0)


def tone(pitch_hz: NDArray[np.float64], harmonics: range = range(1, 12)) -> NDArray[np.float32]:
    """A buzz that follows a pitch, float64 [samples] in Hz, with the loud second harmonic that a voice may have."""
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE_HZ
    parts = [np.sin(number * phase) / number * (2.0 if number == 2 else 1.0) for number in harmonics]
    return np.asarray(0.1 * np.sum(parts, axis=0), np.float32)


def glide(begin_hz: float, end_hz: float, seconds: float = 1.0) -> NDArray[np.float64]:
    return np.geomspace(begin_hz, end_hz, round(seconds * RATE_HZ))


@pytest.mark.parametrize(("begin_hz", "end_hz"), [(75.0, 180.0), (180.0, 75.0), (100.0, 100.0)])
@pytest.mark.parametrize("rate_hz", [RATE_HZ, 16_000])
def test_a_glide_is_followed(begin_hz: float, end_hz: float, rate_hz: int) -> None:
    """At every frame the pitch found is that of the moment, to a fifth of a semitone, rising or falling."""
    asked_hz = np.geomspace(begin_hz, end_hz, rate_hz)
    phase = 2 * np.pi * np.cumsum(asked_hz) / rate_hz
    pcm = sum(np.sin(number * phase) / number for number in range(1, 12)) * 0.1
    found_hz = track(np.asarray(pcm, np.float32), rate_hz, LOW)[5:-5]
    wanted_hz = asked_hz[:: round(STEP_S * rate_hz)][5 : 5 + len(found_hz)]
    assert np.abs(12 * np.log2(found_hz / wanted_hz)).max() < 0.2


def test_the_octave_is_that_of_the_voice() -> None:
    """Neither a loud second harmonic nor a missing first one makes it an octave higher."""
    for harmonics in (range(1, 12), range(2, 12)):
        found_hz = track(tone(np.full(RATE_HZ, 90.0), harmonics), RATE_HZ, LOW)[5:-5]
        assert np.abs(semitones(found_hz, 90.0)).max() < 0.2


def test_any_speaker_is_found_in_the_widest_span() -> None:
    """A high voice is at its own height in the span around it and in the default one, and beyond the low voice's."""
    pcm = tone(np.full(RATE_HZ, 220.0), range(1, 6))
    for span in (PitchSpan(), PitchSpan.around(200.0)):
        assert np.abs(semitones(track(pcm, RATE_HZ, span)[5:-5], 220.0)).max() < 0.2
    assert LOW.highest_hz < 220 < PitchSpan.around(200.0).highest_hz


def test_noise_on_a_voice_is_forgiven() -> None:
    """With noise 10 dB below the voice nine tenths of the frames have the right pitch."""
    pcm = tone(glide(80, 160))
    noise = np.random.default_rng(0).standard_normal(len(pcm)) * np.std(pcm) * 10 ** (-10 / 20)
    found_hz = track(pcm + noise.astype(np.float32), RATE_HZ, LOW)
    wanted_hz = glide(80, 160)[:: round(STEP_S * RATE_HZ)]
    errors = np.abs(12 * np.log2(found_hz[: len(wanted_hz)] / wanted_hz))
    assert np.mean(errors < 0.5) > 0.9


def test_what_is_not_voiced_has_no_pitch() -> None:
    """Silence has none, hiss hardly any, and of a voice between silences only the voice has one."""
    hiss = (0.1 * np.random.default_rng(0).standard_normal(RATE_HZ)).astype(np.float32)
    silence = np.zeros(RATE_HZ // 2, np.float32)
    assert not np.isfinite(track(silence, RATE_HZ, LOW)).any()
    assert np.isfinite(track(hiss, RATE_HZ, LOW)).mean() < 0.1
    found = np.isfinite(track(np.concatenate([silence, tone(glide(100, 120)), silence]), RATE_HZ, LOW))
    assert found[55:145].all()
    assert not found[:45].any()
    assert not found[155:].any()


def test_a_blip_is_no_voice() -> None:
    """A tone of 20 ms is over before vocal folds could have begun."""
    pcm = np.zeros(RATE_HZ, np.float32)
    pcm[12_000:12_480] = tone(np.full(480, 150.0))
    assert not np.isfinite(track(pcm, RATE_HZ, LOW)).any()


@pytest.mark.parametrize("samples", [0, 1, 500])
def test_short_sounds_do_no_harm(samples: int) -> None:
    """A sound shorter than a window gives its frames, and none of them a pitch."""
    assert not np.isfinite(track(np.zeros(samples, np.float32), RATE_HZ, LOW)).any()


def test_twelve_semitones_are_an_octave() -> None:
    """Upwards is positive; what has no pitch has no height."""
    heights = semitones(np.array([50.0, 100.0, 200.0, np.nan]), 100.0)
    assert heights[:3].tolist() == [-12.0, 0.0, 12.0]
    assert np.isnan(heights[3])
