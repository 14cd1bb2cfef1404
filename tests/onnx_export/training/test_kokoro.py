import numpy as np
import pytest

pytest.importorskip("onnx")

from voicestack.onnx_export.training.kokoro import kokoro_symbols, trimmed  # noqa: E402
from voicestack.onnx_export.training.speech import SAMPLE_RATE_HZ  # noqa: E402


@pytest.mark.parametrize(
    ("phone", "symbols"),
    [("OW1", "ˈO"), ("AH0", "ə"), ("AH1", "ˈʌ"), ("ER0", "əɹ"), ("ER2", "ˌɜɹ"), ("CH", "ʧ"), ("K", "k"), ("EY0", "A")],
)
def test_phones_are_written_as_kokoro_reads_them(phone: str, symbols: str) -> None:
    """Stress goes before a vowel, unstressed vowels are reduced, plain consonants are their own letters."""
    assert kokoro_symbols(phone) == symbols


def test_the_silence_around_a_sentence_is_cut_off() -> None:
    """Onsets move with the sound, and the mark behind the last word stays inside it."""
    wave = np.zeros(2 * SAMPLE_RATE_HZ, np.float32)
    wave[SAMPLE_RATE_HZ // 2 : SAMPLE_RATE_HZ] = 0.5
    speech = trimmed(wave, [0.5, 0.75, 1.6])
    assert speech.onsets_s[:2] == [0.05, 0.3]
    assert speech.pcm.size / SAMPLE_RATE_HZ == pytest.approx(0.05 + 0.5 + 0.12, abs=0.001)
    assert speech.onsets_s[2] < speech.pcm.size / SAMPLE_RATE_HZ


def test_a_sound_louder_than_full_scale_is_clipped_and_silence_survives() -> None:
    """Neither overflows."""
    loud = trimmed(np.full(4000, 3.0, np.float32), [0.0])
    assert loud.pcm.max() == 32767
    assert trimmed(np.zeros(4000, np.float32), [0.0]).pcm.size == 4000
