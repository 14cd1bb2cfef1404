from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import Tensor  # noqa: E402

from voicestack.onnx_export.specs import CodecConfig  # noqa: E402
from voicestack.onnx_export.training.codec import restore_modules, spoken  # noqa: E402
from voicestack.onnx_export.training.codec_model import CodecDecoder  # noqa: E402
from voicestack.onnx_export.training.pitch import PitchSpan  # noqa: E402
from voicestack.onnx_export.training.pitch_target import pitch_target  # noqa: E402
from voicestack.onnx_export.training.progress import Checkpoint  # noqa: E402
from voicestack.runtime.errors import InputError  # noqa: E402

pytestmark = pytest.mark.torch
CONFIG = CodecConfig(d=16, latent=8, ffn=24, blocks=(1, 1, 1, 1))
RATE = CONFIG.sample_rate_hz
SPAN = PitchSpan(60, 250)


def rising(seconds: float = 0.96) -> Tensor:
    """A buzz whose pitch rises from 90 Hz by 60 Hz a second: float32 [1, samples]."""
    times_s = np.arange(round(seconds * RATE)) / RATE
    turns = 90 * times_s + 30 * times_s**2
    buzz = 0.1 * np.cos(2 * np.pi * np.outer(range(1, 9), turns)).sum(0)
    pcm: Tensor = torch.from_numpy(buzz.astype(np.float32))[None]
    return pcm


def test_a_step_is_told_the_pitch_of_the_sound_under_its_window() -> None:
    """The middle of a step's window lies two hops before the step's end, its turn's pitch half a hop before that."""
    octaves, voiced = pitch_target(rising(), SPAN, CONFIG)
    steps = np.arange(octaves.shape[1])
    times_s = ((steps + 1) * CONFIG.hop - CONFIG.n_fft / 2 - CONFIG.hop / 2) / RATE
    told_hz = CONFIG.pitch_hz * 2 ** octaves[0].numpy()
    inside = voiced[0].numpy() & (steps > 5) & (steps < len(steps) - 2)
    assert inside.mean() > 0.9
    np.testing.assert_allclose(told_hz[inside], 90 + 60 * times_s[inside], rtol=0.005)


def test_where_there_is_no_voice_the_pitch_goes_on_to_the_next() -> None:
    """Silence between two voices is not voiced, and its pitch lies between theirs; silence alone has none."""
    gap = torch.cat([rising(0.48), torch.zeros(1, RATE // 2), rising(0.48)], 1)
    octaves, voiced = pitch_target(gap, SPAN, CONFIG)
    silent = slice(60, 90)
    assert not voiced[0, silent].any()
    assert octaves[0, silent].max() < octaves[0, 45]
    assert (octaves[0, silent].diff() < 0).all()
    assert not pitch_target(torch.zeros(1, RATE), SPAN, CONFIG)[1].any()


def test_only_what_is_voiced_teaches_pitch() -> None:
    """Silence costs nothing and moves nothing; a voice moves the pitch that is told towards its own."""
    torch.manual_seed(0)
    decoder, latent = CodecDecoder(CONFIG), torch.randn(1, 12, CONFIG.latent)
    assert spoken(decoder, latent, torch.zeros(1, 12 * CONFIG.frame_samples), SPAN)[1] == 0
    made, error = spoken(decoder, latent, rising(), SPAN)
    assert made.shape == (1, 12 * CONFIG.frame_samples)
    (slope,) = torch.autograd.grad(error, [decoder.pitch.bias])
    decoder.pitch.bias.data -= 0.01 * slope
    assert spoken(decoder, latent, rising(), SPAN)[1] < error


def test_a_checkpoint_of_another_version_is_named(tmp_path: Path) -> None:
    """A decoder without a pitch cannot go on: one error tells which file to delete."""
    decoder = CodecDecoder(CONFIG)
    old = {name: value for name, value in decoder.state_dict().items() if not name.startswith("pitch.")}
    path = tmp_path / "synthesis.pt"
    torch.save({"step": 5, "decoder": old}, path)
    with pytest.raises(InputError, match=r"synthesis\.pt was made by another version"):
        restore_modules(Checkpoint(path), {"decoder": decoder})
