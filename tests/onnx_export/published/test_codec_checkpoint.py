import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from codec_cases import DATA, write_checkpoint, write_safetensors

from voicestack.onnx_export.published.checkpoint import Checkpoint, CheckpointError
from voicestack.runtime.errors import VoicestackError

VALUES = np.array([[1.0, -2.5, 0.0], [3.140625, 1e-8, 65504.0]], np.float32)


def sharded(folder: Path) -> Path:
    """A checkpoint of two shards."""
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    weight_map = {}
    for place, name in enumerate(("one", "two"), 1):
        shard = f"model-0000{place}-of-00002.safetensors"
        write_safetensors(folder / shard, {name: VALUES * place})
        weight_map[name] = shard
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "checkpoint", {"key": 1}, {"one": VALUES, "two": VALUES[0]})


def test_every_number_format_is_read_as_float32(tmp_path: Path) -> None:
    """A bfloat16, float16 or float32 tensor comes out as the numbers it stands for, without torch."""
    half = VALUES.astype(np.float16)
    brain = (VALUES.view(np.uint32) >> 16).astype(np.uint16)
    checkpoint = Checkpoint.open(write_checkpoint(tmp_path / "x", {}, {"f": VALUES, "h": half, "b": brain}))
    assert [checkpoint.tensor(name).dtype for name in "fhb"] == [np.float32] * 3
    np.testing.assert_array_equal(checkpoint.tensor("f"), VALUES)
    np.testing.assert_array_equal(checkpoint.tensor("h"), half.astype(np.float32))
    np.testing.assert_allclose(checkpoint.tensor("b"), VALUES, rtol=2**-7)
    np.testing.assert_array_equal(checkpoint.tensor("b").view(np.uint32) & 0xFFFF, 0)


def test_names_shapes_and_what_is_left_over(folder: Path) -> None:
    """Names and shapes are known without reading a tensor, and `unused` lists what was not asked for."""
    checkpoint = Checkpoint.open(folder)
    assert checkpoint.config == {"key": 1}
    assert checkpoint.names == {"one", "two"}
    assert checkpoint.shape("one") == (2, 3)
    assert checkpoint.unused(["two"]) == ["one"]


def test_shards_are_one_checkpoint(tmp_path: Path) -> None:
    """Tensors are found in whichever shard holds them."""
    checkpoint = Checkpoint.open(sharded(tmp_path / "x"))
    np.testing.assert_array_equal(checkpoint.tensor("two"), 2 * VALUES)
    assert checkpoint.names == {"one", "two"}


def test_the_safetensors_package_reads_the_same() -> None:
    """Our reading of the format is that of the format's own package."""
    numpy_side = pytest.importorskip("safetensors.numpy")
    checkpoint = Checkpoint.open(DATA / "codec_v2")
    theirs = numpy_side.load_file(DATA / "codec_v2" / "model.safetensors")
    assert checkpoint.names == set(theirs)
    assert all(np.array_equal(checkpoint.tensor(name), array) for name, array in theirs.items())


def test_one_tensor_is_in_memory_at_a_time(tmp_path: Path) -> None:
    """Opening reads no tensor, and reading tensor after tensor needs room for one."""
    tensors = {str(place): np.zeros(250_000, np.float32) for place in range(8)}
    path = write_checkpoint(tmp_path / "x", {}, tensors)
    del tensors
    tracemalloc.start()
    try:
        checkpoint = Checkpoint.open(path)
        assert tracemalloc.get_traced_memory()[1] < 500_000
        for name in sorted(checkpoint.names):
            checkpoint.tensor(name)
        assert tracemalloc.get_traced_memory()[1] < 3_500_000
    finally:
        tracemalloc.stop()


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def write(name: str, data: bytes) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        (folder / name).write_bytes(data)

    return damage


def cut(length: int) -> Callable[[Path], None]:
    """Keep so many bytes of the weight file; a negative length takes them off its end."""

    def damage(folder: Path) -> None:
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:length])

    return damage


def header(text: bytes) -> Callable[[Path], None]:
    return write("model.safetensors", len(text).to_bytes(8, "little") + text + bytes(99))


ENTRY = b'{"one": {"dtype": "F32", "shape": [2], "data_offsets": [%d, %d]}}'


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (remove("config.json"), "config.json"),
        (write("config.json", b"{"), "config.json"),
        (write("config.json", b"[]"), "config.json"),
        (remove("model.safetensors"), "model.safetensors.index.json"),
        (cut(0), "model.safetensors"),
        (cut(7), "model.safetensors"),
        (cut(60), "model.safetensors"),
        (cut(-1), "tensor two"),
        (header(b"no json"), "model.safetensors"),
        (header(b"[]"), "model.safetensors"),
        (header(b'{"one": {"dtype": "F32"}}'), "model.safetensors"),
        (header(ENTRY % (0, 4)), "model.safetensors"),
        (header(ENTRY % (-8, 0)), "model.safetensors"),
    ],
)
def test_a_damaged_folder_is_one_clear_error(folder: Path, damage: Callable[[Path], None], named: str) -> None:
    """Whatever is missing, cut off or garbled, opening fails with an error that names it."""
    damage(folder)
    with pytest.raises(CheckpointError, match=named):
        Checkpoint.open(folder)


def test_a_folder_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The error is one a caller of voicestack can catch as such."""
    with pytest.raises(VoicestackError, match="nowhere"):
        Checkpoint.open(tmp_path / "nowhere")


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    """The index tells which shards there must be."""
    folder = sharded(tmp_path / "x")
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CheckpointError, match="model-00002-of-00002"):
        Checkpoint.open(folder)


@pytest.mark.parametrize(
    ("index", "named"),
    [
        ({}, "weight_map"),
        ({"weight_map": {"three": "model-00001-of-00002.safetensors"}}, "tensor three"),
        ({"weight_map": {"one": "../secret"}}, "secret"),
        ({"weight_map": {"one": ["a"]}}, "weight_map"),
    ],
)
def test_an_index_that_does_not_fit_is_an_error(tmp_path: Path, index: object, named: str) -> None:
    """A tensor that is not where the index says, and a shard outside of the folder, are named."""
    folder = sharded(tmp_path / "x")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=named):
        Checkpoint.open(folder)


@pytest.mark.parametrize("bad", [np.zeros(3, np.int32), np.array([1, np.nan], np.float32)])
def test_a_tensor_that_is_no_weight_is_refused(
    tmp_path: Path, bad: "np.ndarray[tuple[int], np.dtype[np.generic]]"
) -> None:
    """Integers, NaN and infinity are no weights; the error names the tensor."""
    checkpoint = Checkpoint.open(write_checkpoint(tmp_path / "x", {}, {"layer.weight": bad}))
    with pytest.raises(CheckpointError, match=r"layer\.weight"):
        checkpoint.tensor("layer.weight")


def test_a_missing_tensor_is_named(folder: Path) -> None:
    """Asking for a tensor that is not there names it."""
    with pytest.raises(CheckpointError, match="three"):
        Checkpoint.open(folder).tensor("three")


def test_a_file_cut_off_after_opening_is_told(folder: Path) -> None:
    """The tensor that lost its end is named even if the file shrank in the meantime."""
    checkpoint = Checkpoint.open(folder)
    cut(-4)(folder)
    with pytest.raises(CheckpointError, match="tensor two"):
        checkpoint.tensor("two")
