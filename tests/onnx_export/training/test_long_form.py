from typing import Any

import numpy as np
import pytest

from voicestack.onnx_export.training.long_form_summary import drift, summarise, table


def measured(**changed: float) -> dict[str, Any]:
    plain = {
        "words": 10, "edits": 0, "pitch_hz": 90.0, "spread_st": 2.0, "loudness_db": -20.0, "words_per_s": 3.0,
    }  # fmt: skip
    return plain | changed


def speech(minutes: int = 10, **growth_a_minute: float) -> list[dict[str, Any]]:
    """Ten sentences a minute; the voice's measures grow by so much each minute, with a little noise."""
    draws = np.random.default_rng(0)
    records = []
    for place in range(minutes * 10):
        at_minutes = place / 10
        changed = {
            key: measured()[key] + growth * at_minutes + 0.01 * draws.standard_normal()
            for key, growth in growth_a_minute.items()
        }
        record: dict[str, Any] = {"start_s": at_minutes * 60, "teacher": measured(), "voice": measured(**changed)}
        record["voice"]["gap_s"] = 0.3 + 0.01 * draws.standard_normal()
        records.append(record)
    return records


SIMILARITIES = {"teacher": [0.95] * 10, "voice": [0.85, 0.84] * 5}


def test_a_slope_and_its_error_are_those_of_least_squares() -> None:
    """The change over ten minutes is right to twice its error, and that error is what polyfit gives."""
    draws = np.random.default_rng(1)
    at_minutes = np.linspace(0, 10, 200)
    values = 0.5 * at_minutes + draws.standard_normal(200)
    found = drift(at_minutes, values)
    coefficients, covariance = np.polyfit(at_minutes, values, 1, cov=True)
    assert found["over_ten_minutes"] == pytest.approx(10 * coefficients[0], abs=1e-3)
    assert found["error"] == pytest.approx(10 * np.sqrt(covariance[0, 0]), abs=1e-3)
    assert abs(found["over_ten_minutes"] - 5) < 2 * found["error"]
    assert found["tells"]


def test_noise_alone_is_no_drift() -> None:
    """Of many speeches that do not drift about one in twenty is said to."""
    draws = np.random.default_rng(2)
    at_minutes = np.linspace(0, 10, 100)
    told = [drift(at_minutes, draws.standard_normal(100))["tells"] for _ in range(400)]
    assert 0.02 < np.mean(told) < 0.09


def test_a_voice_that_rises_drifts() -> None:
    """A hertz a minute is ten in ten minutes, whatever the text does; what does not change is no drift."""
    records = speech(pitch_hz=1.0, words_per_s=0.0)
    for record in records:
        text_does = 0.5 * record["start_s"]
        for system in ("teacher", "voice"):
            record[system]["pitch_hz"] += text_does
    found = summarise(records, records, SIMILARITIES, {})["drift"]
    assert found["pitch_hz"]["over_ten_minutes"] == pytest.approx(10, abs=0.05)
    assert found["pitch_hz"]["tells"]
    assert not found["words_per_s"]["tells"]
    assert not found["similarity"]["tells"]


def test_a_sentence_without_pitch_leaves_the_others_theirs() -> None:
    """It counts for nothing in the pitch of its minute and in its drift, and for all else as any other."""
    records, whole = speech(pitch_hz=1.0), speech(pitch_hz=1.0)
    records[7]["voice"] |= {"pitch_hz": None, "spread_st": None}
    del whole[7]
    found, rest = (summarise(some, some, SIMILARITIES, {}) for some in (records, whole))
    assert found["drift"]["pitch_hz"] == rest["drift"]["pitch_hz"]
    assert found["minutes"]["voice"][0]["pitch_hz"] == rest["minutes"]["voice"][0]["pitch_hz"]
    assert found["sentences"] == rest["sentences"] + 1


def test_a_minute_counts_its_own_sentences() -> None:
    """Errors of the third minute are in the third row alone, over all its words."""
    records = speech()
    for record in records:
        record["voice"]["edits"] = 2 if 120 <= record["start_s"] < 180 else 0
    minutes = summarise(records, records, SIMILARITIES, {})["minutes"]["voice"]
    assert [minute["wer_percent"] for minute in minutes] == [0, 0, 20, 0, 0, 0, 0, 0, 0, 0]
    assert minutes[1]["similarity"] == 0.84


def test_the_table_has_a_row_a_minute() -> None:
    """And a verdict on every measure."""
    text = table(summarise(speech(), speech(), SIMILARITIES, {}))
    assert sum(line.strip()[:2].strip().isdigit() for line in text.splitlines()) == 10
    assert text.count("drift") == 7
