import numpy as np
import pytest

for package in ("torch", "faster_whisper", "resemblyzer", "soxr", "onnx"):
    pytest.importorskip(package)

from voicestack.onnx_export.training.sampling_sweep import SETTINGS, rate_with_error, table  # noqa: E402
from voicestack.onnx_export.training.voices import SAMPLING  # noqa: E402


def test_every_setting_has_a_name_of_its_own() -> None:
    """They are what results are kept under."""
    assert len({setting.name for setting in SETTINGS}) == len(SETTINGS)


def test_what_ships_is_the_first_of_the_settings() -> None:
    """Else nothing would tell what another one gains."""
    temperatures = tuple(band.temperature for band in SAMPLING.temperatures)
    assert (SETTINGS[0].depth, SETTINGS[0].temperatures) == (SAMPLING.depth, temperatures)


def test_the_error_of_a_rate_is_that_of_sentences_drawn_again() -> None:
    """It agrees with a bootstrap over the sentences, and sentences that all err alike leave no doubt."""
    draws = np.random.default_rng(0)
    words = draws.integers(4, 20, 200)
    edits = draws.binomial(words, 0.08)
    rate, error = rate_with_error(edits, words)
    picks = draws.integers(0, 200, (2000, 200))
    rates = edits[picks].sum(1) / words[picks].sum(1)
    assert rate == pytest.approx(edits.sum() / words.sum())
    assert error == pytest.approx(rates.std(), rel=0.1)
    assert rate_with_error(np.array([1, 2]), np.array([10, 20])) == (0.1, 0.0)


def test_the_table_has_a_line_a_setting() -> None:
    """Behind the heading, with the rate and its error."""
    row = {"wer_percent": 7.5, "wer_error_percent": 0.9, "similarity": 0.951, "similarity_minimum": 0.9}
    assert list(table({SETTINGS[0].name: row}))[1].split() == [
        *("16", "layers,", "0.6", "/", "0.5", "/", "0"), *("7.50", "±", "0.90", "0.951", "0.900")
    ]  # fmt: skip
