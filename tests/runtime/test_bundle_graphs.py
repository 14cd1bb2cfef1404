"""Graphs that are not what their manifest says in ways that only opening or running them shows."""

import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from voicestack.runtime import Bundle, BundleError, Speaker, names


@pytest.fixture
def folder(tiny_path: Path, tmp_path: Path) -> Path:
    """A copy of a good bundle, to be broken."""
    return copytree(tiny_path, tmp_path / "voice")


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / names.MANIFEST_FILE
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


@pytest.mark.parametrize("name", ["backbone.onnx", "head_32.onnx", "codec_decoder.onnx"])
def test_a_speaker_opens_what_its_own_depth_needs(folder: Path, name: str) -> None:
    """A graph in another's place is found when the speaker is made, before anyone listens."""
    other = (folder / "head_16.onnx").read_bytes()
    (folder / name).write_bytes(other)
    edit(folder, lambda data: data["files"][name].update(size=len(other)))
    bundle = Bundle.load(folder, verify_hashes=False)
    with pytest.raises(BundleError, match=name):
        Speaker(bundle)


def test_another_depth_is_checked_before_its_stream_begins(folder: Path) -> None:
    """A wrong head of a depth that is not the voice's own is found when that depth is first spoken."""
    deeper = (folder / "head_16.onnx").read_bytes()
    (folder / "head_8.onnx").write_bytes(deeper)
    edit(folder, lambda data: data["files"]["head_8.onnx"].update(size=len(deeper)))
    speaker = Speaker(Bundle.load(folder, verify_hashes=False))
    with pytest.raises(BundleError, match=r"head_8.onnx"):
        next(speaker.speak("Hello", depth=8))
    next(speaker.speak("Hello"))


@pytest.mark.parametrize("size", [2000, 1000])
def test_codebooks_of_another_size_are_found(folder: Path, size: int) -> None:
    """A codebook size the codec's tables have not, larger or smaller, is named when a speaker is made."""
    edit(folder, lambda data: data.update(codebook_size=size))
    with pytest.raises(BundleError, match=f"codec_decoder.onnx: .* field codebook_size says, {size};"):
        Speaker(Bundle.load(folder))


def test_a_frame_of_another_length_is_found(folder: Path) -> None:
    """A frame rate that the decoder has not is named when a speaker is made."""
    edit(folder, lambda data: data.update(frame_rate_hz=25))
    with pytest.raises(BundleError, match=r"codec_decoder.onnx: 1920 samples for 1 frames, where 960 .* frame_rate_hz"):
        Speaker(Bundle.load(folder))


def test_a_voice_may_have_fewer_positions(folder: Path) -> None:
    """A shorter limit than the runtime's is the capacity of the speaker's streams."""
    edit(folder, lambda data: data["backbone"].update(max_positions=4096))
    assert Speaker(Bundle.load(folder)).sample_rate_hz == 24_000


def test_nothing_is_printed_beside_the_error(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """ONNX Runtime's own report of a broken graph does not stand above ours."""
    edit(folder, lambda data: data.update(codebook_size=2000))
    with pytest.raises(BundleError):
        Speaker(Bundle.load(folder))
    assert capfd.readouterr() == ("", "")
