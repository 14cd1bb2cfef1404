"""The detector of the first audible sample."""

import numpy as np
from desk_fakes import RATE_HZ, hum
from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.onset import OnsetDetector

SILENCE = np.zeros(2400, np.float32)


def onset(*pieces: np.ndarray) -> int | None:
    detector = OnsetDetector(RATE_HZ)
    for piece in pieces:
        detector.add(piece.astype(np.float32))
    return detector.onset_sample


def test_speech_after_silence_begins_where_the_silence_ends() -> None:
    """100 ms of silence put the onset at sample 2400."""
    assert onset(SILENCE, hum(4800)) == 2400


def test_a_click_is_not_speech() -> None:
    """Less than 50 ms above the floor is not audible speech; what follows is."""
    assert onset(SILENCE, hum(960)) is None
    assert onset(SILENCE, hum(960), SILENCE, hum(4800)) == 2400 + 960 + 2400


def test_a_whisper_below_minus_40_dbfs_is_not_audible() -> None:
    """-46 dBFS never begins, -34 dBFS does."""
    assert onset(hum(9600, volume=0.007)) is None
    assert onset(hum(9600, volume=0.028)) == 0


def test_a_sound_of_two_channels_is_as_loud_as_both_on_average() -> None:
    """Silence beside speech does not hide it; the onset is counted in samples per channel."""
    silence, speech = np.stack([SILENCE, SILENCE], axis=1), np.stack([hum(4800), np.zeros(4800)], axis=1)
    assert onset(silence, speech) == 2400
    assert onset(silence) is None


@given(st.lists(st.integers(0, 7200), max_size=12))
def test_cutting_the_signal_does_not_move_the_onset(cuts: list[int]) -> None:
    """Any chunking finds the same sample as the whole."""
    signal = np.concatenate([SILENCE, hum(4800)])
    assert onset(*np.split(signal, sorted(cuts))) == onset(signal)
