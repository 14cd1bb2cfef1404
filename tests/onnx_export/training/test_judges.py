import numpy as np
import pytest

pytest.importorskip("pocketsphinx", reason="the `train` extra is not installed")
pytest.importorskip("soxr", reason="the `train` extra is not installed")

from voicestack.onnx_export.training.judges import Witness
from voicestack.onnx_export.training.speech import SpokenWord
from voicestack.runtime import Bundle, SamplingParams, Speaker, default_voice_path

pytestmark = pytest.mark.asr

WORDS = tuple(
    SpokenWord(word, tuple(phones.split()))
    for word, phones in (
        ("where", "W EH1 R"), ("is", "IH1 Z"), ("the", "DH AH0"), ("nearest", "N IH1 R AH0 S T"),
        ("railway", "R EY1 L W EY2"), ("station", "S T EY1 SH AH0 N"),
    )
)  # fmt: skip


def test_the_witness_tells_words_that_were_said_from_words_that_were_not() -> None:
    """Each word of a sentence in turn; then words that only the text has."""
    speaker = Speaker(Bundle.load(default_voice_path(), verify_hashes=False))
    text = " ".join(word.text for word in WORDS) + "?"
    pcm = np.concatenate([chunk.pcm for chunk in speaker.speak(text, sampling=SamplingParams(seed=3))])
    witness = Witness()
    assert witness.said(pcm, WORDS, range(len(WORDS))) == list(range(len(WORDS)))
    for place, word in enumerate((SpokenWord("not", ("N", "AA1", "T")), WORDS[5], WORDS[1]), 2):
        longer = [*WORDS[:place], word, *WORDS[place:]]
        assert witness.said(pcm, longer, {place, 5 if place < 5 else 6}) == [5 if place < 5 else 6]
