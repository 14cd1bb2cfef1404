import numpy as np
import pytest

pytest.importorskip("onnx")

from voicestack.onnx_export.training.hibari import Hibari, hibari_symbols, trimmed  # noqa: E402
from voicestack.onnx_export.training.speech import SAMPLE_RATE_HZ, SpokenWord  # noqa: E402


@pytest.mark.parametrize(
    ("phone", "symbols"),
    [("OW1", "ˈO"), ("AH0", "ə"), ("AH1", "ˈʌ"), ("ER0", "əɹ"), ("ER2", "ˌɜɹ"), ("CH", "ʧ"), ("K", "k"), ("EY0", "A")],
)
def test_phones_are_written_as_hibari_reads_them(phone: str, symbols: str) -> None:
    """Stress goes before a vowel, unstressed vowels are reduced, plain consonants are their own letters."""
    assert hibari_symbols(phone) == symbols


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


def test_the_teacher_says_the_same_words_the_same_way_and_slower_when_asked() -> None:
    """Its sound depends on words and rate alone, every phone and mark has its onset, a comma is a pause."""
    pytest.importorskip("hibari")
    teacher = Hibari()
    words = [SpokenWord("no", ("N", "OW1"), ","), SpokenWord("go", ("G", "OW1"), ".")]
    speech = teacher.speak(words)
    assert len(speech.onsets_s) == 6
    assert speech.onsets_s == sorted(speech.onsets_s)
    assert speech.onsets_s[-1] <= speech.pcm.size / SAMPLE_RATE_HZ
    comma, word = (int(speech.onsets_s[place] * SAMPLE_RATE_HZ) for place in (2, 3))
    in_pause, in_word = (
        np.abs(speech.pcm[(comma + word) // 2 : word]),
        np.abs(speech.pcm[word : word + SAMPLE_RATE_HZ // 4]),
    )
    assert in_pause.mean() < 0.05 * in_word.mean()
    np.testing.assert_array_equal(speech.pcm, teacher.speak(words).pcm)
    assert teacher.speak(words, length_scale=1.5).pcm.size > 1.3 * speech.pcm.size
