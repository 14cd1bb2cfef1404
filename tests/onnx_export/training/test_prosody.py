import re
from typing import Any

import numpy as np
import pytest

from voicestack.onnx_export.training import melody, prosody_text
from voicestack.onnx_export.training.melody import Melody, Said
from voicestack.onnx_export.training.paths import LEXICON, WRITTEN, written_lines
from voicestack.onnx_export.training.pitch import STEP_S, PitchSpan
from voicestack.onnx_export.training.prosody_summary import SYSTEMS, summarise, table
from voicestack.onnx_export.training.speech import SAMPLE_RATE_HZ
from voicestack.runtime.text import Lexicon

RATE_HZ = SAMPLE_RATE_HZ
LOW = PitchSpan.around(92.0)


def buzz(begin_hz: float, end_hz: float, seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    phase = 2 * np.pi * np.cumsum(np.geomspace(begin_hz, end_hz, round(seconds * RATE_HZ))) / RATE_HZ
    parts = [np.sin(number * phase) / number for number in range(1, 10)]
    return np.asarray(0.1 * np.sum(parts, axis=0), np.float32)


def quiet(seconds: float) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.zeros(round(seconds * RATE_HZ), np.float32)


def said(end_hz: float, pause_s: float = 0.2) -> Said:
    """Two words at 100 Hz, a pause, and a third that glides to `end_hz`."""
    pcm = np.concatenate([buzz(100, 100, 1.0), quiet(pause_s), buzz(100, end_hz, 0.5), quiet(0.3)])
    return Said(pcm, np.array([0.0, 0.5, 1.0 + pause_s]))


@pytest.mark.parametrize(("end_hz", "sign"), [(150.0, 1), (70.0, -1)])
def test_a_rise_and_a_fall_are_told_apart(end_hz: float, sign: int) -> None:
    """The end of a rise is above the median and above what is before it, that of a fall below both."""
    found = melody.melody(said(end_hz), LOW)
    asked_st = abs(12 * np.log2(end_hz / 100))
    assert 0.7 * asked_st < sign * melody.final_height_st(found) < 1.1 * asked_st
    assert 0.3 * asked_st < sign * melody.final_movement_st(found) < asked_st
    assert melody.range_st(found) == pytest.approx(asked_st, rel=0.3)


def test_the_final_contour_ends_with_the_voice() -> None:
    """It is always as long, whatever silence follows, and ends with the last sound."""
    contour = melody.final_contour(melody.melody(said(150), LOW))
    assert len(contour) == 80
    assert contour[-3] == pytest.approx(12 * np.log2(1.5), abs=0.8)


def test_a_whispered_end_is_told() -> None:
    """A sentence that ends in hiss has a loud end without a pitch."""
    hiss = (0.1 * np.random.default_rng(0).standard_normal(RATE_HZ // 2)).astype(np.float32)
    onsets_s = np.array([0.0, 0.5])
    whispered = melody.melody(Said(np.concatenate([buzz(100, 100, 1.0), hiss]), onsets_s), LOW)
    assert melody.voiced_end_share(whispered) < 0.2
    assert 0.5 < melody.voiced_loud_share(whispered) < 0.75
    assert np.isnan(melody.final_height_st(whispered))
    assert melody.voiced_end_share(melody.melody(said(120), LOW)) > 0.9


@pytest.mark.parametrize("pause_s", [0.0, 0.1, 0.4])
def test_a_pause_is_as_long_as_its_silence(pause_s: float) -> None:
    """It is measured to 20 ms, where the mark is and not elsewhere."""
    found = melody.melody(said(120, pause_s), LOW)
    assert melody.pause_s(found, 1) == pytest.approx(pause_s, abs=0.021)
    assert melody.pause_s(found, 0) == 0.0


def test_speech_ends_where_silence_begins() -> None:
    """The last word lasts from its onset to there."""
    assert melody.melody(said(120), LOW).last_word_s == pytest.approx(0.5, abs=0.02)


def test_the_span_is_that_of_who_speaks() -> None:
    """It lies around the median of what was said."""
    span = melody.span_of([buzz(150, 250, 1.0), buzz(180, 220, 1.0)])
    assert span.lowest_hz == pytest.approx(0.65 * 197, rel=0.05)
    assert span.highest_hz == pytest.approx(2.2 * 197, rel=0.05)


def test_the_same_melody_at_another_pace_agrees() -> None:
    """Stretched between the onsets of the words a slower saying correlates, one that moves otherwise does not."""

    def wave(seconds: float, sign: int) -> Melody:
        times = np.arange(round(seconds / STEP_S)) / round(seconds / STEP_S)
        height_st = 3 * sign * np.sin(2 * np.pi * times)
        onsets_s = np.array([0.0, 0.25, 0.5]) * seconds
        return Melody(
            height_st, 100.0, np.zeros(len(times), np.bool_), np.ones(len(times), np.bool_), onsets_s, seconds
        )

    correlation, difference_st = melody.agreement(wave(1.0, 1), wave(1.7, 1))
    assert correlation > 0.99
    assert difference_st < 0.3
    assert melody.agreement(wave(1.0, 1), wave(1.7, -1))[0] < -0.99


def test_every_sentence_can_be_said_by_both() -> None:
    """Its words are in the lexicon, and each is one word for the teacher and the voice: no digits, no hyphens."""
    lexicon = Lexicon.load(LEXICON)
    for line in prosody_text.lines():
        assert line.text[-1] in ".?!"
        for word in line.text.split():
            assert re.fullmatch(r"[A-Za-z]+[,.?!]?", word), line
            assert word.strip(",.?!").lower() in lexicon, line


def test_the_words_of_the_marked_sentences_end_in_one_syllable() -> None:
    """So the last word is the last syllable, whose length is measured."""
    lexicon = Lexicon.load(LEXICON)
    for line in prosody_text.lines():
        if line.kind in prosody_text.MARKED:
            phones = lexicon.phones(line.text.split()[-1].strip(".?!").lower())
            assert phones is not None
            assert sum(phone[-1].isdigit() for phone in phones) == 1, line


def test_no_sentence_is_one_of_the_held_out_ones() -> None:
    """Those are for the word error rate alone, and every text is there once."""
    texts = [line.text for line in prosody_text.lines()]
    assert not set(texts) & {line for name in WRITTEN for line in written_lines(name)}
    assert len(set(texts)) == len(texts)


def test_a_break_is_known_where_its_comma_was_left_out() -> None:
    """With and without commas the pauses of the same words are measured."""
    lines = {(line.kind, line.index): line for line in prosody_text.lines()}
    assert lines["comma", 0].text.startswith("If it rains again,")
    assert lines["comma", 0].breaks == lines["no comma", 0].breaks == (3,)
    assert "," not in lines["no comma", 0].text
    assert all(line.breaks for line in lines.values() if line.kind in ("comma", "no comma", "pairs"))


def test_a_mark_that_changes_nothing_shows() -> None:
    """A teacher whose questions end five semitones higher, and a voice that says all alike, are told apart."""

    def record(system: str, take: int, line: prosody_text.Line) -> dict[str, Any]:
        height_st = (5.0 if system == "teacher" and line.kind == "question" else 0.0) - 4 + 0.1 * line.index
        return {
            "system": system, "take": take, "kind": line.kind, "index": line.index, "median_hz": 90.0, "range_st": 8.0,
            "height_st": height_st, "movement_st": height_st, "last_word_s": 0.3, "voiced_end": 0.9, "voiced_loud": 0.9,
            "pauses_s": [0.2] * len(line.breaks), "agreement": [0.9, 1.0],
        }  # fmt: skip

    lines = prosody_text.lines()
    summary = summarise([record(s, t, line) for line in lines for s in SYSTEMS for t in range(2)], {})
    teacher, voice = (summary["marks"][system]["question"] for system in ("teacher", "voice"))
    assert teacher["height_st"]["mean"] == pytest.approx(5)
    assert teacher["ends_higher_percent"] == 100
    assert voice["height_st"]["mean"] == pytest.approx(0)
    assert voice["ends_higher_percent"] == 0
    assert summary["contours"]["teacher"]["end_correlation"] == 1.0
    assert "+5.00 | +0.00 | +0.00" in table(summary)
