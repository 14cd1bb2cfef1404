import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tqdm")
pytest.importorskip("soxr")

from voicestack.onnx_export.training import bundle, keep, pitch  # noqa: E402
from voicestack.onnx_export.training.paths import WorkFolder  # noqa: E402
from voicestack.runtime import Bundle, SamplingParams, Speaker, WarmUp, find_voice  # noqa: E402
from voicestack.runtime.errors import InputError  # noqa: E402
from voicestack.runtime.listener import LISTENER_FILE  # noqa: E402
from voicestack.runtime.names import WEIGHTS_FILE  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.slow]


def test_the_delay_voice_is_built_from_what_the_repository_keeps_and_speaks(tmp_path: Path) -> None:
    """A bundle of all that is kept has its listener too; its first sound is as shallow as asked for, and deepens."""
    folder = WorkFolder(tmp_path / "work")
    keep.restore(folder)
    bundle.make(folder, tmp_path / "joe-delay", "delay")
    voice = Bundle.load(tmp_path / "joe-delay")
    assert LISTENER_FILE in voice.manifest.files
    # By the time of this thread: what else a busy machine does would keep the voice shallow.
    speaker = Speaker(voice, clock=time.thread_time)
    chunks = list(
        speaker.speak(
            "Good morning, this is your assistant.",
            sampling=SamplingParams(seed=1),
            depth=32,
            warm_up=WarmUp(first_depth=2),
        )
    )
    depths = [depth for chunk in chunks for depth in chunk.depths]
    pcm = np.concatenate([chunk.pcm for chunk in chunks])
    assert depths[0] == 2
    assert max(depths) == 32
    assert 1.2 < len(pcm) / 24_000 < 4.5
    assert np.sqrt(np.mean(pcm**2)) > 0.01


def test_a_generator_that_did_not_measure_how_long_an_end_is_is_refused(tmp_path: Path) -> None:
    """Before a bundle is written, by what to do about it; what was there stays."""
    folder = WorkFolder(tmp_path / "work")
    keep.restore(folder)
    path = folder.stage("generator") / "generator.pt"
    state = torch.load(path, weights_only=True)
    del state["data"]["tail_frames"]
    torch.save(state, path)
    with pytest.raises(InputError, match="tail_frames.*generator --steps"):
        bundle.make(folder, tmp_path / "joe")
    assert not (tmp_path / "joe").exists()


def test_the_second_voice_is_built_from_what_the_repository_keeps_and_is_found_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed, it speaks higher than the voice that ships, has an ear of its own, and says how it was judged."""
    monkeypatch.setenv("VOICESTACK_VOICES", str(tmp_path / "voices"))
    folder = WorkFolder(tmp_path / "work")
    folder.name_voice("heart")
    keep.restore(folder)
    bundle.make(folder, install=True)
    installed = Bundle.load(find_voice("heart"))
    assert LISTENER_FILE in installed.manifest.files
    assert installed.manifest.metrics["sentences"] == 300
    pitch_hz = {}
    for name in ("joe", "heart"):
        chunks = Speaker(Bundle.load(find_voice(name))).speak(
            "Good morning, this is your assistant.", sampling=SamplingParams(seed=1)
        )
        pcm = np.concatenate([chunk.pcm for chunk in chunks])
        assert 1.2 < len(pcm) / 24_000 < 4.5
        pitch_hz[name] = float(np.nanmedian(pitch.track(pcm, 24_000, pitch.PitchSpan())))
    assert pitch_hz["heart"] > 1.3 * pitch_hz["joe"]


def test_the_float16_variant_is_another_voice_beside_the_one_that_ships(tmp_path: Path) -> None:
    """Each precision has a name of its own, so that both can be installed; only int8 says how it was rounded.

    That is the voice that ships, to the byte, so it says how it was judged as well.
    """
    folder = WorkFolder(tmp_path / "work")
    keep.restore(folder)
    made = [Bundle.load(bundle.make(folder, tmp_path / kind, precision=kind)) for kind in bundle.PRECISIONS]
    assert [voice.manifest.name for voice in made] == ["joe", "joe-float16"]
    assert ["quantisation" in voice.manifest.provenance for voice in made] == [True, False]
    ships = Bundle.load(find_voice("joe")).manifest
    assert made[0].manifest.files[WEIGHTS_FILE] == ships.files[WEIGHTS_FILE]
    assert made[0].manifest.metrics == ships.metrics
    assert not made[1].manifest.metrics
