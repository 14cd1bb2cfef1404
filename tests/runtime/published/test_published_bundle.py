"""The bundle of a published checkpoint: whatever is wrong with it is one error that names file and field."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from published_bundles import bundle_of, bundle_path, copied_checkpoint

from voicestack.onnx_export.published.bundle import export_bundle
from voicestack.runtime import Bundle
from voicestack.runtime.errors import BundleError
from voicestack.runtime.published import PublishedBundle
from voicestack.runtime.published.bundle import read_published_manifest

Data = dict[str, Any]


def edited(folder: Path, change: Callable[[Data], object]) -> str:
    """What is said of nano's bundle after a change to its manifest."""
    shutil.copytree(bundle_path("nano"), folder, dirs_exist_ok=True)
    path = folder / "bundle.json"
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))
    with pytest.raises(BundleError) as error:
        PublishedBundle.load(folder)
    assert str(path) in str(error.value)
    return str(error.value)


def test_a_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    """What a manifest writes reads back as the same manifest."""
    manifest = bundle_of("delay_nvq8", "codec24k").manifest
    path = tmp_path / "bundle.json"
    path.write_text(manifest.to_json())
    assert read_published_manifest(path) == manifest
    assert {*manifest.files} == {*manifest.graph_files}


@pytest.mark.parametrize(
    ("case", "codec"),
    [("delay_nvq8", "codec24k"), ("local", "codec24k"), ("realtime", "codec24k")]
    + [("local_v1.5", "codec_v2"), ("nano", "codec_nano")],
)
def test_each_generator_goes_with_the_codec_it_was_trained_for(case: str, codec: str) -> None:
    """All parts of a bundle of both can be opened."""
    bundle = bundle_of(case, codec)
    assert bundle.generator(slots=2, capacity=100).info == bundle.generator_info
    assert bundle.codec_decoder().info == bundle.codec_encoder().info == bundle.codec_info


@pytest.mark.parametrize(
    "field",
    ["format", "format_version", "name", "dtype", "generator", "codec", "tokenizer", "files", "onnxruntime_floor"]
    + ["licence", "provenance", "target", "quantisation"],
)
def test_every_missing_field_is_named(field: str, tmp_path: Path) -> None:
    """Whichever is missing."""
    assert f"field {field}" in edited(tmp_path, lambda data: data.pop(field))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "x"}, "field format must be 'voicestack-published', this is 'x'"),
        ({"format_version": "published-2"}, "field format_version is 'published-2', this runtime reads published-1"),
        ({"format_version": 1}, "field format_version is 1"),
        ({"more": 1}, "field more is not known"),
        ({"name": 3}, "field name must be a string"),
        ({"dtype": "int4"}, "field dtype must be one of float32, float16"),
        ({"target": "tpu"}, "field target must be one of cpu, cuda, got 'tpu'"),
        ({"target": None}, "field target must be a string"),
        ({"quantisation": {}}, "field quantisation.bits is missing"),
        (
            {"quantisation": {"bits": 3, "block_size": 32, "errors": {}}},
            "field quantisation.bits must be 4 or 8",
        ),
        ({"quantisation": {"bits": 8, "block_size": 32, "errors": {"x": ""}}}, "field quantisation.errors.x must be"),
        ({"generator": None}, "field generator must be an object where codec is null"),
        ({"generator": []}, "field generator must be an object"),
        ({"generator": {}}, "field generator.family is missing"),
        ({"codec": 3}, "field codec must be an object"),
        ({"tokenizer": "tokenizer.json"}, "field files.tokenizer.json must be an entry"),
        ({"files": {}}, "field files.backbone.onnx must be an entry"),
        ({"files": {"../x": {"size": 1, "sha256": ""}}}, "field files.../x must be a plain file name"),
        ({"files": {"x": {"size": 1}}}, "field files.x.sha256 is missing"),
        ({"onnxruntime_floor": "new"}, "field onnxruntime_floor must be a version"),
        ({"onnxruntime_floor": "99.1"}, "field onnxruntime_floor asks for ONNX Runtime 99.1"),
        ({"provenance": 1}, "field provenance must be an object"),
    ],
)
def test_a_wrong_field_is_named(change: Data, told: str, tmp_path: Path) -> None:
    """With what it must be."""
    assert told in edited(tmp_path, lambda data: data.update(change))


@pytest.mark.parametrize("content", [b"", b"{", b"voice\xff", b"[1]", b"[" * 100_000])
def test_a_manifest_that_is_no_json_object(content: bytes, tmp_path: Path) -> None:
    """One error that names the manifest."""
    (tmp_path / "bundle.json").write_bytes(content)
    with pytest.raises(BundleError, match=r"bundle\.json: "):
        PublishedBundle.load(tmp_path)


def test_no_folder_and_no_manifest(tmp_path: Path) -> None:
    """Each is told."""
    with pytest.raises(BundleError, match="no such folder"):
        PublishedBundle.load(tmp_path / "nobody")
    with pytest.raises(BundleError, match=r"bundle\.json: no such file"):
        PublishedBundle.load(tmp_path)


def test_files_that_are_missing_cut_off_or_changed_are_named(tmp_path: Path) -> None:
    """By size at once, by hash unless that is left out."""
    weights = tmp_path / "generator.bin"
    whole = (bundle_path("nano") / "generator.bin").read_bytes()
    for content, told in ((whole[:-1], "truncated"), (b"?" + whole[1:], "wrong hash")):
        shutil.copytree(bundle_path("nano"), tmp_path, dirs_exist_ok=True)
        weights.write_bytes(content)
        with pytest.raises(BundleError, match=rf"generator\.bin: {told}"):
            PublishedBundle.load(tmp_path)
    PublishedBundle.load(tmp_path, verify_hashes=False)
    weights.unlink()
    with pytest.raises(
        BundleError, match=r"generator\.bin: no such file, but bundle\.json field files\.generator\.bin"
    ):
        PublishedBundle.load(tmp_path)


def test_graphs_of_another_generator_are_told(tmp_path: Path) -> None:
    """A manifest that disagrees with its graphs names the tensor, when the graph is opened."""
    shutil.copytree(bundle_path("nano"), tmp_path, dirs_exist_ok=True)
    manifest = json.loads((tmp_path / "bundle.json").read_text())
    manifest["generator"]["backbone"]["d_model"] += 1
    (tmp_path / "bundle.json").write_text(json.dumps(manifest))
    bundle = PublishedBundle.load(tmp_path)
    with pytest.raises(BundleError, match=r"backbone\.onnx: output hidden has shape"):
        bundle.generator()


def test_a_part_that_is_not_in_a_bundle_is_told() -> None:
    """A codec has no generator, a generator no codec, and none here has a tokenizer."""
    with pytest.raises(BundleError, match="field generator is null"):
        bundle_of("codec_nano").generator()
    for part in (bundle_of("nano").codec_decoder, bundle_of("nano").codec_encoder):
        with pytest.raises(BundleError, match="field codec is null"):
            part()
    with pytest.raises(BundleError, match="field tokenizer is null"):
        bundle_of("nano").tokenizer()


def test_a_codec_of_another_generator_is_refused(tmp_path: Path) -> None:
    """Its sample rate, codebooks or layers are others."""

    def swap(data: Data) -> None:
        codec = bundle_of("codec_nano")
        data["codec"] = codec.codec_info.to_json() | {"n_vq": 2}
        data["files"] |= {name: {"size": 0, "sha256": ""} for name in codec.manifest.files}

    assert "field codec.n_vq must be at least the generator's, 6, got 2" in edited(tmp_path, swap)


def test_the_tokenizer_comes_from_the_bundle(tmp_path: Path) -> None:
    """It is the checkpoint's own file, and fits the generator."""
    pytest.importorskip("tokenizers")
    source = copied_checkpoint("realtime", tmp_path / "realtime", tokenizer="realtime")
    export_bundle(source, tmp_path / "bundle")
    bundle = PublishedBundle.load(tmp_path / "bundle")
    assert (bundle.path / "tokenizer.json").read_bytes() == (source / "tokenizer.json").read_bytes()
    assert bundle.tokenizer().encode("ab") == [97, 98]


def test_the_other_kind_of_bundle_is_told_from_this_one(tmp_path: Path, tiny_path: Path) -> None:
    """Each loader refuses the other's folder by the field that tells them apart."""
    with pytest.raises(BundleError, match="field format_version is 'published-1', this runtime reads 1"):
        Bundle.load(bundle_path("nano"))
    with pytest.raises(BundleError, match="field format must be .* this is an embedded voice's bundle"):
        PublishedBundle.load(tiny_path)
