import dataclasses

import pytest

from voicestack.runtime import Bundle, Event, SamplingParams, Speaker
from voicestack.runtime.guard import frame_cap


def test_the_cap_grows_with_the_tokens_fed(tiny: Bundle) -> None:
    """Each token allows one and a half times its mean length, on top of the slack of the manifest."""
    text = dataclasses.replace(tiny.manifest.text, frames_per_token=2.0, frames_slack=20)
    assert [frame_cap(tokens, None, text) for tokens in (0, 1, 10)] == [20, 23, 50]


@pytest.mark.parametrize(("target", "cap"), [(1, 14), (4, 17), (100, 137)])
def test_a_target_decides_alone(tiny: Bundle, target: int, cap: int) -> None:
    """With a target length the cap is a quarter more and twelve frames."""
    assert frame_cap(1000, target, tiny.manifest.text) == cap


def test_a_speaker_goes_on_after_a_runaway(tiny: Bundle) -> None:
    """A sentence that is cut off says so, and its remaining words are spoken afresh."""
    text = dataclasses.replace(tiny.manifest.text, frames_per_token=0.5, frames_slack=1)
    strict = Bundle(tiny.path, dataclasses.replace(tiny.manifest, text=text))
    chunks = list(Speaker(strict).speak("The cat sat on the mat. Yes!", sampling=SamplingParams(seed=1), depth=8))
    assert Event.CAPPED in {chunk.event for chunk in chunks}
    assert [word.text for chunk in chunks for word in chunk.words] == "The cat sat on the mat Yes".split()
