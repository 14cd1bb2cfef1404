"""What a bundle is given beside its graphs and weights."""

from pathlib import Path

import pytest
from tiny_bundle import TINY_CODEC, TINY_FACTS, TINY_GENERATOR, random_codec_weights, random_generator_weights

from voicestack.onnx_export.bundle_writer import write_bundle
from voicestack.runtime import Bundle, BundleError
from voicestack.runtime.listener import LISTENER_FILE
from voicestack.runtime.manifest import Manifest


def write(folder: Path, listener: Path | None = None) -> Manifest:
    lexicon = folder.parent / "words.xz"
    lexicon.write_bytes(b"")
    weights, codec_weights = random_generator_weights(), random_codec_weights()
    return write_bundle(
        folder, weights, TINY_GENERATOR, codec_weights, TINY_CODEC, lexicon, TINY_FACTS, listener=listener
    )


def test_a_listener_is_a_file_of_the_bundle_like_any_other(tmp_path: Path) -> None:
    """It is copied, also onto itself, listed with its hash, and missed or refused when it is not what is listed."""
    listener, voice = tmp_path / "trained.onnx", tmp_path / "voice"
    listener.write_bytes(b"who listens")
    assert write(voice, listener) == write(voice, voice / LISTENER_FILE)
    assert (voice / LISTENER_FILE).read_bytes() == b"who listens"
    assert LISTENER_FILE in Bundle.load(voice).manifest.files
    (voice / LISTENER_FILE).write_bytes(b"one who lis")
    with pytest.raises(BundleError, match=rf"wrong hash.*files\.{LISTENER_FILE}"):
        Bundle.load(voice)
    (voice / LISTENER_FILE).unlink()
    with pytest.raises(BundleError, match=f"no such file.*{LISTENER_FILE}"):
        Bundle.load(voice)


def test_a_bundle_needs_no_listener_and_may_be_given_one_afterwards(tmp_path: Path) -> None:
    """Without one none is listed, and one that is not listed is no fault."""
    voice = tmp_path / "voice"
    assert LISTENER_FILE not in write(voice).files
    (voice / LISTENER_FILE).write_bytes(b"put there by hand")
    assert LISTENER_FILE not in Bundle.load(voice).manifest.files
