"""The figures of an utterance, from chunks with given times."""

import numpy as np
import pytest
from desk_fakes import FRAME_SAMPLES, RATE_HZ, hum

from voicestack.realtime.meter import Figures, Meter

FRAME_S = FRAME_SAMPLES / RATE_HZ


def figures(*chunks: tuple[np.ndarray, float, float], work_s: float = 0.02) -> Figures:
    """Chunks are (pcm, arrival, text waited for); the work on each came last; the request was at second 10."""
    meter = Meter(RATE_HZ)
    for pcm, arrived_s, waited_s in chunks:
        meter.add(pcm, arrived_s=arrived_s, work_s=work_s, waited_s=waited_s, waited_until_s=arrived_s - work_s)
    return meter.figures(10.0)


def test_an_even_stream_has_no_underrun() -> None:
    """Frames that arrive in time leave no gap; the factor is work over audio."""
    result = figures(*((hum(FRAME_SAMPLES), 10.03 + 0.05 * i, 0.0) for i in range(5)))
    assert result.underruns == 0
    assert result.ttfb_s == pytest.approx(0.03)
    assert result.ttfa_s == pytest.approx(0.03)
    assert result.rtf == pytest.approx(0.02 / FRAME_S)
    assert result.audio_s == pytest.approx(5 * FRAME_S)


def test_two_channels_are_one_sound() -> None:
    """A frame of two channels lasts as long as one of mono, and is as audible."""
    both = [(np.repeat(hum(FRAME_SAMPLES)[:, None], 2, axis=1), 10.03 + 0.05 * i, 0.0) for i in range(5)]
    assert figures(*both) == figures(*((hum(FRAME_SAMPLES), arrived_s, 0.0) for _, arrived_s, _ in both))


def test_a_late_frame_is_an_underrun_of_its_lateness() -> None:
    """Playback dries up at 10.11; a frame at 10.21 leaves a gap of 100 ms."""
    result = figures((hum(FRAME_SAMPLES), 10.03, 0.0), (hum(FRAME_SAMPLES), 10.21, 0.0))
    assert result.underruns == 1
    assert result.underrun_s == pytest.approx(0.1)


def test_silence_for_lack_of_text_is_no_underrun() -> None:
    """A writer who pauses is not the engine's fault."""
    result = figures((hum(FRAME_SAMPLES), 10.03, 5.0), (hum(FRAME_SAMPLES), 11.21, 1.1))
    assert result.underruns == 0


def test_waiting_within_the_lead_excuses_nothing() -> None:
    """One second ahead, then one second of waiting, then 0.9 s of work: the listener hears a gap of 0.9 s."""
    result = figures((hum(RATE_HZ), 11.0, 0.0), (hum(FRAME_SAMPLES), 12.9, 1.0), work_s=0.9)
    assert result.underruns == 1
    assert result.underrun_s == pytest.approx(0.9)


def test_waiting_that_begins_in_a_gap_shortens_it() -> None:
    """Dry from 10.11, text awaited from 10.21 to 10.31, speech at 10.33: 120 ms of the silence are the engine's."""
    result = figures((hum(FRAME_SAMPLES), 10.03, 0.0), (hum(FRAME_SAMPLES), 10.33, 0.1))
    assert result.underruns == 1
    assert result.underrun_s == pytest.approx(0.12)


def test_the_first_audible_sample_is_heard_after_the_silence_before_it() -> None:
    """Four silent frames delay what is heard by their length, although the chunks come at once."""
    silence = np.zeros(4 * FRAME_SAMPLES, np.float32)
    result = figures((silence, 10.03, 0.0), (hum(FRAME_SAMPLES), 10.05, 0.0), (hum(FRAME_SAMPLES), 10.07, 0.0))
    assert result.ttfb_s == pytest.approx(0.03)
    assert result.ttfa_s == pytest.approx(0.03 + 4 * FRAME_S)


def test_an_onset_that_is_recognised_a_chunk_late_keeps_its_place() -> None:
    """The last 20 ms of the first chunk begin the speech that the second one confirms."""
    first = np.concatenate([np.zeros(FRAME_SAMPLES - 480, np.float32), hum(480)])
    result = figures((first, 10.03, 0.0), (hum(FRAME_SAMPLES), 10.05, 0.0))
    assert result.ttfa_s == pytest.approx(0.03 + FRAME_S - 0.02)


def test_silence_alone_is_never_audible() -> None:
    """Without an onset there is no time of one."""
    assert figures((np.zeros(FRAME_SAMPLES, np.float32), 10.03, 0.0)).ttfa_s is None


def test_figures_need_a_chunk() -> None:
    """Nothing can be said of nothing."""
    with pytest.raises(RuntimeError, match="no chunk"):
        Meter(RATE_HZ).figures(0.0)
