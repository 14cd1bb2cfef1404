"""`voicestack export` and `voicestack verify`, on the tiny published checkpoints."""

import builtins
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_cases import write_checkpoint
from published_bundles import CODECS, DATA, GENERATORS, bundle_path, copied_checkpoint, reference_path

from voicestack.onnx_export.cli import export, verify
from voicestack.onnx_export.published.checkpoint import Checkpoint

_VALUES = ("float32", "delay", "int8", "cuda")


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The only line on standard error."""
    (line,) = capsys.readouterr().err.splitlines()
    assert "error: " in line
    return line


@pytest.mark.parametrize("case", [*CODECS, *GENERATORS])
def test_a_bundle_gives_what_the_published_code_gave(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Every array of a case's reference that can be recomputed is, and is the same."""
    assert verify([str(bundle_path(case)), "--reference", str(reference_path(case))]) == 0
    *lines, unchecked, last = capsys.readouterr().out.splitlines()
    assert last == f"{len(lines)} checks, all ok"
    assert len(lines) >= 16
    assert all(line.startswith("ok ") for line in lines)
    assert unchecked.startswith("not checked: ")


@pytest.mark.parametrize("case", GENERATORS)
def test_no_run_of_a_generator_is_left_out(case: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Of all that the published code generated, only what tells nothing of the codes is not checked."""
    verify([str(bundle_path(case)), "--reference", str(reference_path(case))])
    unchecked = capsys.readouterr().out.splitlines()[-2].removeprefix("not checked: ").split(", ")
    told_nowhere = ("gen_rep13_differs", "gen_two_turn_final_mask", "gen_two_turn_rep11_final_mask")
    assert [name for name in unchecked if name.startswith(("gen_", "offline")) and name not in told_nowhere] == []


def spoilt(case: str, folder: Path, changes: Mapping[str, Any]) -> Path:
    """A case's reference with some arrays set otherwise; None takes one out."""
    with np.load(reference_path(case)) as file:
        arrays = {**file, **changes}
    path = folder / "spoilt.npz"
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def arrays_of(case: str) -> dict[str, Any]:
    with np.load(reference_path(case)) as file:
        return dict(file)


@pytest.mark.parametrize(
    ("case", "name", "differing"),
    [
        ("codec_nano", "encode_codes", "encode_codes"),
        ("codec_nano", "decode_full", "decode_full"),
        ("codec24k", "decode_refstream_chunk3", "decode_refstream_chunk3"),
        ("delay_nvq8", "gen_batch_rows", "gen_batch_rows"),
        ("delay_nvq8", "gen_clone_audio_logits", "gen_clone_audio_logits"),
        ("local", "gen_nq_rows", "gen_nq_rows"),
        ("local_v1.5", "prefill_local_text_logits", "prefill_local_text_logits"),
        ("nano", "fixed_frame_ids", "fixed_frame_ids"),
        ("realtime", "gen_two_turn_turn2_codes", "gen_two_turn_turn2_codes"),
        ("realtime", "offline_codes1", "offline_codes1"),
    ],
)
def test_a_spoilt_reference_differs(
    case: str, name: str, differing: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One number changed in one array is one line or more that name it, and exit code 1."""
    array = arrays_of(case)[name].copy()
    place = tuple(0 for _ in array.shape)
    array[place] = 1 - array[place] if array[place] in (0, 1) else 1
    assert verify([str(bundle_path(case)), "--reference", str(spoilt(case, tmp_path, {name: array}))]) == 1
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("DIFFERS")]
    assert lines
    assert all(f"  {differing}, " in line for line in lines)


def test_a_stream_that_ends_elsewhere_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows that go on where ours have ended are no filler."""
    rows = arrays_of("local_v1.5")["gen_batch_rows"].copy()
    rows[1, -1] = rows[0, -1]
    path = spoilt("local_v1.5", tmp_path, {"gen_batch_rows": rows})
    assert verify([str(bundle_path("local_v1.5")), "--reference", str(path)]) == 1
    assert "DIFFERS ended early, of 25 rows  gen_batch_rows, 15 greedy rows, stream 1" in capsys.readouterr().out


def test_a_shape_that_differs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two shapes in the place of an error."""
    sound = arrays_of("codec_nano")["decode_full"][..., :-1]
    path = spoilt("codec_nano", tmp_path, {"decode_full": sound})
    assert verify([str(bundle_path("codec_nano")), "--reference", str(path)]) == 1
    assert "DIFFERS shape [19200, 2] for [19199, 2]  decode_full, 5 frames at once" in capsys.readouterr().out


def test_inputs_that_cannot_be_used_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The reference of another generator, and one with a code that no codebook has."""
    reference = reference_path("local")
    assert verify([str(bundle_path("nano")), "--reference", str(reference)]) == 1
    assert "DIFFERS cannot be replayed: a prompt must be whole numbers of shape [rows, 7]" in capsys.readouterr().out
    codes = np.full_like(arrays_of("codec_nano")["decode_codes"], 999)
    path = spoilt("codec_nano", tmp_path, {"decode_codes": codes})
    assert verify([str(bundle_path("codec_nano")), "--reference", str(path)]) == 1
    assert "DIFFERS cannot be replayed: codes range from 999 to 999" in capsys.readouterr().out


def test_a_reference_without_anything_known_is_no_success(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing checked is exit code 1, with the arrays named."""
    assert verify([str(bundle_path("nano")), "--reference", str(reference_path("codec_nano"))]) == 1
    unchecked, last = capsys.readouterr().out.splitlines()
    assert unchecked.startswith("not checked: waveform, ")
    assert "nothing in " in last


def test_other_weights_differ(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bundle of half precision has other numbers, and verify says what its limits are made for."""
    out = tmp_path / "half"
    assert export([str(DATA / "nano"), str(out), "--dtype", "float16"]) == 0
    assert "generator of family nano (float16)" in capsys.readouterr().err
    assert verify([str(out), "--reference", str(reference_path("nano"))]) == 1
    told = capsys.readouterr().out
    assert "  prefill_hidden_layers, 29 rows" in next(line for line in told.splitlines() if line.startswith("DIFFERS"))
    assert "the limits are those of float32, and this bundle's weights are float16" in told


def test_a_spoilt_bundle_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bit of a weight file is a wrong hash, told in one line before anything is run."""
    folder = tmp_path / "bundle"
    shutil.copytree(bundle_path("nano"), folder)
    weights = bytearray((folder / "generator.bin").read_bytes())
    weights[1000] ^= 1
    (folder / "generator.bin").write_bytes(weights)
    assert verify([str(folder), "--reference", str(reference_path("nano"))]) == 2
    assert "generator.bin: wrong hash" in error_line(capsys)


@pytest.mark.parametrize("name", ["missing.npz", "text.npz", "cut.npz", "one.npy"])
def test_a_file_that_is_no_reference_is_told(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line that names the file."""
    path = tmp_path / name
    if name == "text.npz":
        path.write_text("no arrays here")
    elif name == "cut.npz":
        path.write_bytes(reference_path("nano").read_bytes()[:5000])
    elif name == "one.npy":
        np.save(path, np.zeros(3))
    assert verify([str(bundle_path("nano")), "--reference", str(path)]) == 2
    assert name in error_line(capsys)


def test_a_generator_and_a_codec_share_a_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--codec puts the codec in; each is checked by its own reference; licence and origin are those of the folders."""
    source = copied_checkpoint("delay_nvq8", tmp_path / "delay", tokenizer="delay_nvq8")
    (source / "README.md").write_text("---\nlanguage: en\nlicense: apache-2.0\n---\n# A model\n")
    (source / "LICENSE").write_text("Apache License 2.0")
    codec = copied_checkpoint("codec24k", tmp_path / "tokenizer")
    out = tmp_path / "bundle"
    assert export([str(source), str(out), "--codec", str(codec)]) == 0
    told = capsys.readouterr().err
    assert told.startswith(
        f"wrote {out}: generator of family delay (float32) and codec of 32 layers at 24000 Hz (float32), "
    )
    assert len(told.splitlines()) == 1
    manifest = json.loads((out / "bundle.json").read_text())
    assert manifest["licence"] == "apache-2.0; not stated in the checkpoint"
    assert manifest["tokenizer"] == "tokenizer.json"
    assert manifest["provenance"]["generator"]["architectures"] == ["MossTTSDelayModel"]
    assert manifest["provenance"]["codec"]["checkpoint"] == "tokenizer"
    assert {*manifest["files"], "bundle.json"} == {path.name for path in out.iterdir()}
    assert (out / "generator.LICENSE").read_text() == "Apache License 2.0"
    for case in ("delay_nvq8", "codec24k"):
        assert verify([str(out), "--reference", str(reference_path(case))]) == 0


def test_a_tokenizer_of_another_checkpoint_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It has more ids than the generator."""
    pytest.importorskip("tokenizers")
    source = copied_checkpoint("nano", tmp_path / "nano", tokenizer="realtime")
    assert export([str(source), str(tmp_path / "out")]) == 2
    line = error_line(capsys)
    assert f"{source / 'tokenizer.json'}: the tokenizer has ids up to 265, the generator knows 160" in line
    assert [path.name for path in tmp_path.iterdir()] == ["nano"]


def drop_weights(source: Path) -> None:
    (source / "model.safetensors").unlink()


def cut_weights(source: Path) -> None:
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])


def take_other_config(source: Path) -> None:
    shutil.copyfile(DATA / "codec_nano" / "config.json", source / "config.json")


def drop_a_shard(source: Path) -> None:
    index = {"weight_map": {"transformer.wte.weight": "model-00001-of-00002.safetensors"}}
    (source / "model.safetensors").unlink()
    (source / "model.safetensors.index.json").write_text(json.dumps(index))


def store_integers(source: Path) -> None:
    weights = source / "model.safetensors"
    weights.write_bytes(weights.read_bytes().replace(b'"F32"', b'"I32"', 1))


def use_an_unknown_id(source: Path) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"audio_end_token_id": 160}))


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (drop_a_shard, "model-00001-of-00002.safetensors: this shard is named by model.safetensors.index.json but"),
        (store_integers, "is I32, expected one of F32, F16, BF16; give the checkpoint as published"),
        (use_an_unknown_id, "gives the special token audio_end the id 160, but the vocabulary has 160 ids"),
        (drop_weights, "neither model.safetensors nor model.safetensors.index.json"),
        (cut_weights, "cut off at"),
        (take_other_config, "config.json describes a codec, the tensors are those of no codec"),
    ],
)
def test_a_failed_export_leaves_nothing(
    spoil: Any, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, exit code 2, and no folder, whole or in part."""
    source = copied_checkpoint("nano", tmp_path / "nano")
    spoil(source)
    assert export([str(source), str(tmp_path / "out")]) == 2
    assert told in error_line(capsys)
    assert [path.name for path in tmp_path.iterdir()] == ["nano"]


def test_an_export_that_fails_half_way_leaves_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A generator is written before its codec is found not to fit it."""
    out = tmp_path / "out"
    assert export([str(DATA / "delay_nvq8"), str(out), "--codec", str(DATA / "codec_nano")]) == 2
    assert "codec.sample_rate_hz must be the generator's, 24000, got 48000" in error_line(capsys)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["codec_nano", "--codec", "codec_v2"], "this is a codec already; give a generator's folder"),
        (["codec_nano", "--quantize", "int8"], "a codec is not quantised"),
        (["nano", "--target", "cuda", "--dtype", "float32"], "attention on CUDA computes in float16 only"),
        (["nano", "--codec", "local"], "local: this is no codec"),
        (["nano", "--family", "delay"], "nano"),
        (["nobody"], "there is no such folder"),
    ],
)
def test_what_cannot_be_exported_is_told(
    arguments: list[str], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line each."""
    words = [str(DATA / word) if word[0] != "-" and word not in _VALUES else word for word in arguments]
    assert export([words[0], str(tmp_path / "out"), *words[1:]]) == 2
    assert told in error_line(capsys)
    assert list(tmp_path.iterdir()) == []


def test_a_destination_that_is_in_use_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file, a folder with something in it, a folder nowhere; an empty folder is taken."""
    full, file, empty = tmp_path / "full", tmp_path / "file", tmp_path / "empty"
    full.mkdir()
    (full / "mine").touch()
    file.touch()
    empty.mkdir()
    for out, told in ((full, "not empty"), (file, "this is a file"), (tmp_path / "no" / "out", "does not exist")):
        assert export([str(DATA / "nano"), str(out)]) == 2
        assert told in error_line(capsys)
    assert export([str(DATA / "nano"), str(empty)]) == 0
    assert (empty / "bundle.json").is_file()


@pytest.mark.parametrize("case", ["nano", "codec_nano"])
def test_a_weight_that_float16_cannot_hold_is_one_line(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a generator or a codec: the folder, the weight and the remedy, and nothing is left."""
    checkpoint = Checkpoint.open(DATA / case)
    tensors = {name: checkpoint.tensor(name) for name in sorted(checkpoint.names)}
    large = next(name for name, array in tensors.items() if array.ndim == 2 and array.size > 512)
    tensors[large] = tensors[large] * np.float32(1e7)
    folder = write_checkpoint(tmp_path / case, checkpoint.config, tensors)
    assert export([str(folder), str(tmp_path / "out"), "--dtype", "float16"]) == 2
    line = error_line(capsys)
    assert f"{folder}: weight " in line
    assert "float16 cannot hold; export it as float32" in line
    assert [path.name for path in tmp_path.iterdir()] == [case]


def test_a_terminal_sees_a_bar_that_goes_away(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Drawn over itself, cleared before the last line."""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert export([str(DATA / "codec_nano"), str(tmp_path / "out")]) == 0
    told = capsys.readouterr().err
    assert told.startswith("\r\x1b[Kcodec_nano [")
    assert " of " in told
    assert "\r\x1b[Kwrote " in told


@pytest.mark.parametrize(("command", "words"), [(export, ["a"]), (verify, ["a"]), (export, ["a", "b", "--dtype", "x"])])
def test_a_wrong_call_is_one_line(command: Any, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As of every command: what is wrong, and the way to help."""
    with pytest.raises(SystemExit) as leaving:
        command(words)
    assert leaving.value.code == 2
    assert "--help" in error_line(capsys)


def test_without_onnx_the_extra_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base install has the command, but not what writes graphs."""
    real = builtins.__import__

    def without_onnx(name: str, *rest: Any) -> Any:
        if name == "published.bundle":
            raise ModuleNotFoundError("No module named 'onnx'", name="onnx")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_onnx)
    assert export([str(DATA / "nano"), str(tmp_path / "out")]) == 2
    assert "the package onnx is missing; install voicestack with its `export` extra" in error_line(capsys)
