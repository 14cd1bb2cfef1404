import json
from collections.abc import Callable
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from tiny_bundle import write_tiny_bundle

from voicestack.runtime import default_voice_path, names
from voicestack.runtime.bundle import Bundle
from voicestack.runtime.errors import BundleError
from voicestack.runtime.manifest import read_manifest
from voicestack.runtime.text.phones import UNITS

Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bundle")
    write_tiny_bundle(folder)
    return folder


@pytest.fixture
def folder(pristine: Path, tmp_path: Path) -> Path:
    """A copy of a good bundle, to be broken."""
    return copytree(pristine, tmp_path / "voice")


def edit(folder: Path, change: Edit) -> None:
    path = folder / names.MANIFEST_FILE
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def error_of(folder: Path, *, load_all: bool = False) -> str:
    def load() -> None:
        bundle = Bundle.load(folder)
        if load_all:
            bundle.backbone()
            bundle.codec_decoder()
            for depth in bundle.manifest.head_depths:
                bundle.head(depth)

    with pytest.raises(BundleError) as caught:
        load()
    return str(caught.value)


def test_a_good_bundle_opens_every_graph(pristine: Path) -> None:
    """A bundle as written loads, and every graph has the signature its manifest says."""
    bundle = Bundle.load(pristine)
    sessions = [bundle.backbone(), bundle.codec_decoder(), *(bundle.head(depth) for depth in names.HEAD_DEPTHS)]
    assert len(set(map(id, sessions))) == 5
    assert bundle.backbone() is sessions[0]
    assert bundle.lexicon_path.is_file()
    assert bundle.manifest.frame_samples == 1920
    assert bundle.manifest.null_code == 1024


def test_what_the_first_utterance_needs_is_opened_at_once(pristine: Path) -> None:
    """`open` gives the lexicon, and leaves the graphs of the voice's own depth open."""
    bundle = Bundle.load(pristine)
    lexicon = bundle.open()
    opened = {bundle.backbone(), bundle.codec_decoder(), bundle.head(bundle.manifest.sampling.depth)}
    assert bundle.open().phones("hello") == lexicon.phones("hello")
    assert {bundle.backbone(), bundle.codec_decoder(), bundle.head(bundle.manifest.sampling.depth)} == opened


@pytest.mark.parametrize("name", ["backbone.onnx", "head_32.onnx", "codec_decoder.onnx", "text.lexicon.xz"])
def test_what_breaks_while_others_are_opened_is_named(folder: Path, name: str) -> None:
    """`open` names the one file that cannot be used."""
    path = folder / name
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(BundleError, match=name):
        Bundle.load(folder, verify_hashes=False).open()


def test_a_manifest_survives_a_round_trip(pristine: Path, tmp_path: Path) -> None:
    """What a manifest writes reads back as the same manifest."""
    manifest = read_manifest(pristine / names.MANIFEST_FILE)
    path = tmp_path / names.MANIFEST_FILE
    path.write_text(manifest.to_json())
    assert read_manifest(path) == manifest


def test_the_same_seed_writes_the_same_bundle(pristine: Path, tmp_path: Path) -> None:
    """Writing is deterministic, so hashes of a voice can be compared."""
    write_tiny_bundle(tmp_path)
    assert read_manifest(tmp_path / names.MANIFEST_FILE) == read_manifest(pristine / names.MANIFEST_FILE)


def test_the_default_voice_is_in_the_package() -> None:
    """The voice that ships is found beside the runtime's code."""
    assert default_voice_path().is_dir()


def test_no_folder(tmp_path: Path) -> None:
    """A path that is no folder is named."""
    assert str(tmp_path / "nobody") in error_of(tmp_path / "nobody")


def test_no_manifest(tmp_path: Path) -> None:
    """A folder without a manifest is named with the file it lacks."""
    assert str(tmp_path / names.MANIFEST_FILE) in error_of(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"voice\xff", b"[1]", b"3", b"[" * 100_000])
def test_a_manifest_that_is_no_json_object(folder: Path, content: bytes) -> None:
    """Anything but a JSON object is one error that names the manifest."""
    (folder / names.MANIFEST_FILE).write_bytes(content)
    assert names.MANIFEST_FILE in error_of(folder)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_an_unknown_format_version(folder: Path, version: object) -> None:
    """A version this runtime does not know is named together with the one it knows."""
    edit(folder, lambda data: data.update(format_version=version))
    message = error_of(folder)
    assert "format_version" in message
    assert repr(version) in message


def paths(data: object, prefix: str = "") -> list[str]:
    """Every field of the manifest's fixed part as a dotted path."""
    if not isinstance(data, dict):
        return []
    return [
        path
        for key, value in data.items()
        for path in (prefix + key, *(paths(value, f"{prefix}{key}.") if key not in ("files", "metrics") else ()))
        if not path.startswith("provenance.")
    ]


def test_every_missing_field_is_named(folder: Path) -> None:
    """Whichever field is missing, the error names it."""
    path = folder / names.MANIFEST_FILE
    original = path.read_text()
    fields = paths(json.loads(original))
    assert len(fields) > 35
    for field in fields:
        data = json.loads(original)
        parent, last = data, field.split(".")[-1]
        for step in field.split(".")[:-1]:
            parent = parent[step]
        del parent[last]
        path.write_text(json.dumps(data))
        message = error_of(folder)
        assert f"field {field} " in message
        assert names.MANIFEST_FILE in message


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("name", lambda data: data.update(name=3)),
        ("text_feed", lambda data: data.update(text_feed="prompt")),
        ("head", lambda data: data.update(head="flow")),
        ("head", lambda data: data.pop("head")),
        ("residual_width", lambda data: data.update(residual_width=-1)),
        ("residual_width", lambda data: data.update(residual_width=8)),
        ("n_vq", lambda data: data.update(n_vq="32")),
        ("n_vq", lambda data: data.update(n_vq=True)),
        ("codebook_size", lambda data: data.update(codebook_size=-1)),
        ("frame_rate_hz", lambda data: data.update(frame_rate_hz=float("nan"))),
        ("head_depths", lambda data: data.update(head_depths=[16, 8, 32])),
        ("head_depths", lambda data: data.update(head_depths=[])),
        ("backbone.layers", lambda data: data["backbone"].update(layers=0)),
        ("codec.states", lambda data: data["codec"].update(states={})),
        ("codec.states[1].shape[0]", lambda data: data["codec"]["states"][1].update(shape=["4", 16])),
        ("codec.delay_samples", lambda data: data["codec"].update(delay_samples=-720)),
        ("codec.states", lambda data: data["codec"].update(delay_samples=5000)),
        ("codec.states", lambda data: data["codec"]["states"].pop()),
        ("family", lambda data: data.update(family="moss")),
        ("channels", lambda data: data.update(channels=2)),
        ("sample_rate_hz", lambda data: data.update(sample_rate_hz=10**400)),
        ("frame_rate_hz", lambda data: data.update(frame_rate_hz=10**400)),
        ("backbone.heads", lambda data: data["backbone"].update(heads=3, kv_heads=2)),
        ("backbone.kv_heads", lambda data: data["backbone"].update(kv_heads=0)),
        ("backbone.max_positions", lambda data: data["backbone"].update(max_positions=100_000)),
        ("backbone.max_positions", lambda data: data["backbone"].update(max_positions=3)),
        ("sampling.top_p", lambda data: data["sampling"].update(top_p=1.5)),
        ("sampling.top_k", lambda data: data["sampling"].update(top_k=65)),
        ("sampling.temperatures", lambda data: data["sampling"].update(temperatures=[])),
        (
            "sampling.temperatures[0].temperature",
            lambda data: data["sampling"]["temperatures"][0].update(temperature=0),
        ),
        ("sampling.repetition_penalty", lambda data: data["sampling"].update(repetition_penalty=0.5)),
        ("text.units[0]", lambda data: data["text"]["units"].__setitem__(0, 1)),
        ("text.units[7]", lambda data: data["text"]["units"].__setitem__(7, "X")),
        (f"text.units[{len(UNITS) - 1}]", lambda data: data["text"]["units"].pop()),
        (f"text.units[{len(UNITS)}]", lambda data: data["text"]["units"].append("X")),
        ("text.lookahead_frames", lambda data: data["text"].update(lookahead_frames=5)),
        ("text.primer_tokens", lambda data: data["text"].update(primer_tokens=4)),
        ("text.control_max", lambda data: data["text"].update(control_max=100)),
        ("text.foretold_marks", lambda data: data["text"].update(foretold_marks=["?", ";"])),
        ("text.frames_slack", lambda data: data["text"].update(frames_slack=-1)),
        ("text.frames_slack", lambda data: data["text"].update(frames_slack=float("nan"))),
        ("files.weights.bin", lambda data: data["files"].pop("weights.bin")),
        ("files.../x", lambda data: data["files"].update({"../x": {"size": 1, "sha256": ""}})),
        ("files.weights.bin.size", lambda data: data["files"]["weights.bin"].update(size=1.5)),
        ("surprise", lambda data: data.update(surprise=1)),
        ("onnxruntime_floor", lambda data: data.update(onnxruntime_floor="new")),
        ("onnxruntime_floor", lambda data: data.update(onnxruntime_floor="99.0")),
    ],
)
def test_a_wrong_field_is_named(folder: Path, field: str, change: Edit) -> None:
    """A field of the wrong type or out of its range is one error that names it."""
    edit(folder, change)
    message = error_of(folder)
    assert f"field {field} " in message
    assert names.MANIFEST_FILE in message


@pytest.mark.parametrize(
    "name", ["backbone.onnx", "head_16.onnx", "codec_decoder.onnx", "weights.bin", "text.lexicon.xz"]
)
def test_a_broken_file_is_named(folder: Path, name: str) -> None:
    """A file that is missing, truncated or altered is named with the manifest's field about it."""
    path = folder / name
    data = path.read_bytes()
    path.write_bytes(data[:-100])
    assert f"{path}: truncated" in error_of(folder)
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    message = error_of(folder)
    assert f"{path}: wrong hash" in message
    assert f"files.{name}.sha256" in message
    path.unlink()
    assert f"{path}: no such file" in error_of(folder)


def test_hashing_can_be_left_out_but_not_the_sizes(folder: Path) -> None:
    """Without hashes a truncated file is still found, an altered one is not."""
    path = folder / names.WEIGHTS_FILE
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    Bundle.load(folder, verify_hashes=False)
    path.write_bytes(data[:-1])
    with pytest.raises(BundleError, match="truncated"):
        Bundle.load(folder, verify_hashes=False)


def test_a_file_that_is_no_graph(folder: Path) -> None:
    """A graph file ONNX Runtime cannot load is one error that names it."""
    path = folder / names.BACKBONE_FILE
    path.write_bytes(b"\xff" * path.stat().st_size)
    with pytest.raises(BundleError, match=names.BACKBONE_FILE):
        Bundle.load(folder, verify_hashes=False).backbone()


@pytest.mark.parametrize(
    ("file", "tensor", "change"),
    [
        ("backbone.onnx", "past_key_values.2.key", lambda data: data["backbone"].update(layers=3)),
        ("backbone.onnx", "past_key_values.1.key", lambda data: data["backbone"].update(layers=1)),
        ("backbone.onnx", "past_key_values.0.key", lambda data: data["backbone"].update(head_dim=32)),
        ("backbone.onnx", "hidden", lambda data: data["backbone"].update(d_model=64)),
        (
            "codec_decoder.onnx",
            "state.overlap",
            lambda data: data["codec"].update(
                delay_samples=480, states=[*data["codec"]["states"][:-1], {"name": "overlap", "shape": [480]}]
            ),
        ),
        ("codec_decoder.onnx", "state.other", lambda data: data["codec"]["states"][0].update(name="other")),
        ("codec_decoder.onnx", "state.conv.0.0", lambda data: data["codec"]["states"].pop(0)),
    ],
)
def test_a_graph_that_disagrees_with_the_manifest(folder: Path, file: str, tensor: str, change: Edit) -> None:
    """A tensor whose presence or shape is not what the manifest says is named with its file."""
    edit(folder, change)
    message = error_of(folder, load_all=True)
    assert file in message
    assert f" {tensor} " in message


def test_a_graph_of_another_role_does_not_pass(folder: Path) -> None:
    """A head of another depth in a head's place is found by its shapes."""
    shallow = (folder / "head_8.onnx").read_bytes()
    (folder / "head_16.onnx").write_bytes(shallow)
    edit(folder, lambda data: data["files"]["head_16.onnx"].update(size=len(shallow)))
    with pytest.raises(BundleError, match=r"head_16.onnx: input uniforms has shape \[any, 9\].*\[any, 17\]"):
        Bundle.load(folder, verify_hashes=False).head(16)


def test_a_depth_without_a_head(pristine: Path) -> None:
    """A depth the bundle has no head for is one error with the depths it has."""
    with pytest.raises(BundleError, match=r"depth 7.*\[8, 16, 32\]"):
        Bundle.load(pristine).head(7)


def test_a_folder_may_be_named_by_a_string(pristine: Path) -> None:
    """A path as text is as good as a Path."""
    assert Bundle.load(str(pristine)).path == pristine
