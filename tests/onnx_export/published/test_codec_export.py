import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from codec_cases import CODECS, DATA, CodecCase, largest_difference, load_case, write_checkpoint
from numpy.typing import NDArray

from voicestack.onnx_export.published.checkpoint import Checkpoint, CheckpointError
from voicestack.onnx_export.published.codec_export import export_codec
from voicestack.runtime.published.codec_decoder import CodecDecoder
from voicestack.runtime.published.codec_encoder import CodecEncoder
from voicestack.runtime.published.codec_info import POSITION, RING, CodecGraph
from voicestack.runtime.sessions import Array, open_session

Tensors = dict[str, NDArray[Any]]


@pytest.fixture(scope="module", params=CODECS)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> CodecCase:
    return load_case(request.param, tmp_path_factory.mktemp(request.param))


def inner_values(case: CodecCase, graph: CodecGraph, inputs: dict[str, Array], wanted: list[str]) -> dict[str, Array]:
    """Run a graph from its start and return some values from inside of it."""
    model = onnx.load(case.folder / graph.file, load_external_data=False)
    for name in wanted:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    path = case.folder / f"inner_{graph.file}"
    onnx.save_model(model, path)
    states: dict[str, Array] = {spec.name: np.zeros((1, *spec.shape), np.float32) for spec in graph.states}
    host: dict[str, Array] = {POSITION: np.zeros(1, np.int64), RING: np.array([False])}
    outputs = open_session(path).call(inputs | states | host)
    return {name: outputs[name] for name in wanted}


def stages(case: CodecCase, prefix: str) -> dict[str, Array]:
    """The reference's stage outputs [1, time, channels] by the name they have in our graphs."""
    arrays = {name: array for name, array in case.arrays.items() if name.startswith(f"{prefix}_stage")}
    return {name.replace(f"{prefix}_stage", "stage."): array.transpose(0, 2, 1) for name, array in arrays.items()}


def test_every_stage_of_the_encoder_is_the_published_one(case: CodecCase) -> None:
    """Folding, each transformer and the interleaving of channels agree, stage by stage."""
    expected = stages(case, "enc")
    frames = expected["stage.0"].shape[1] * 240 // (case.info.hop * case.info.channels)
    if "enc_interleaved" in case.arrays:
        expected["interleaved"] = case.arrays["enc_interleaved"].transpose(0, 2, 1)
    pcm = case.sound[None, : frames * case.info.hop]
    got = inner_values(case, case.info.encoder, {"pcm": pcm}, list(expected))
    for name, value in expected.items():
        assert largest_difference(got[name], value) < 1e-4, name


def test_every_stage_of_the_decoder_is_the_published_one(case: CodecCase) -> None:
    """The dequantised stack, each transformer and unfolding agree, stage by stage."""
    expected = stages(case, "dec") | {"latent": case.arrays["dec_latent"].transpose(0, 2, 1)}
    codes = case.codes("decode_codes")[None, : expected["latent"].shape[1]]
    got = inner_values(case, case.info.decoder, {"codes": codes}, list(expected))
    for name, value in expected.items():
        assert largest_difference(got[name], value) < 1e-4, name


def test_the_encoders_output_is_the_published_one(case: CodecCase) -> None:
    """Before the quantiser the whole clip's vectors agree, in all complete frames."""
    last = f"stage.{max(int(name[9:]) for name in case.arrays if name.startswith('enc_stage'))}"
    pcm = case.sound[None, : case.whole_frames * case.info.hop]
    expected = case.arrays["encode_hidden"].transpose(0, 2, 1)[:, : case.whole_frames]
    assert largest_difference(inner_values(case, case.info.encoder, {"pcm": pcm}, [last])[last], expected) < 1e-4


def test_the_graphs_are_valid_and_small(case: CodecCase) -> None:
    """ONNX's own checker accepts both graphs; their weights are in one file each beside them."""
    for graph in (case.info.decoder, case.info.encoder):
        path = case.folder / graph.file
        onnx.checker.check_model(str(path), full_check=True)
        held = {
            entry.value
            for tensor in onnx.load(path, load_external_data=False).graph.initializer
            for entry in tensor.external_data
            if entry.key == "location"
        }
        assert held == {graph.weights_file}
        assert (case.folder / graph.weights_file).stat().st_size > 50_000


def test_half_precision_weights_halve_the_files_and_hardly_change_sound_and_codes(
    case: CodecCase, tmp_path: Path
) -> None:
    """The error of the sound is 60 dB below it, and nearly all stacks are the same in all layers."""
    half = CodecCase(case.name, tmp_path, export_codec(Checkpoint.open(DATA / case.name), tmp_path, "float16"), {})
    for graph in (case.info.decoder, case.info.encoder):
        sizes = [(each.folder / graph.weights_file).stat().st_size for each in (half, case)]
        assert sizes[0] < sizes[1] * 0.51
    random = np.random.default_rng(0)
    codes = random.integers(0, case.info.codebook_size, (60, case.info.n_vq))
    noise = random.normal(0, 0.1, (200 * case.info.hop, case.info.channels)).astype(np.float32)
    sounds, stacks = [], []
    for each in (half, case):
        decoder = CodecDecoder.load(each.folder, each.info)
        sounds.append(decoder.decode([decoder.begin()], [codes])[0])
        stacks.append(CodecEncoder.load(each.folder, each.info).encode_clip(noise))
    error = np.square(sounds[0] - sounds[1]).mean() / np.square(sounds[1]).mean()
    assert 0 < error < 1e-6
    assert (stacks[0] == stacks[1]).all(axis=1).mean() > 0.95


def published(name: str) -> tuple[dict[str, Any], Tensors]:
    checkpoint = Checkpoint.open(DATA / name)
    return checkpoint.config, {tensor: checkpoint.tensor(tensor) for tensor in sorted(checkpoint.names)}


OLD_NAMES = (
    ("self_attn.in_proj.weight", "self_attn.in_projs.0.weight"),
    ("self_attn.out_proj.weight", "self_attn.out_projs.0.weight"),
    ("ffn.0.weight", "linear1.weight"),
    ("ffn.2.weight", "linear2.weight"),
    ("parametrizations.weight.original0", "weight_g"),
    ("parametrizations.weight.original1", "weight_v"),
)


def test_older_tensor_names_are_the_same_codec(tmp_path: Path) -> None:
    """A checkpoint saved under the older names gives the same weight files, byte for byte."""
    config, tensors = published("codec_nano")

    def older(name: str) -> str:
        for new, old in OLD_NAMES:
            name = name.removesuffix(new) + old if name.endswith(new) else name
        return name

    renamed = {older(name): array for name, array in tensors.items()}
    assert not renamed.keys() & {
        name for name in tensors if ".layers." in name and "norm" not in name and "scale" not in name
    }
    info = export_codec(Checkpoint.open(write_checkpoint(tmp_path / "old", config, renamed)), tmp_path / "one")
    assert export_codec(Checkpoint.open(DATA / "codec_nano"), tmp_path / "two") == info
    for graph in (info.decoder, info.encoder):
        assert (tmp_path / "one" / graph.weights_file).read_bytes() == (
            tmp_path / "two" / graph.weights_file
        ).read_bytes()


BOOK = "quantizer.quantizers.3.codebook.weight"


def drop(tensors: Tensors) -> None:
    del tensors[BOOK], tensors["encoder.1.input_proj.weight"]


def add(tensors: Tensors) -> None:
    tensors["encoder.1.adapter.weight"] = np.zeros((2, 2), np.float32)


def transpose(tensors: Tensors) -> None:
    tensors[BOOK] = tensors[BOOK].T.copy()


def double(tensors: Tensors) -> None:
    name = "encoder.1.transformer.layers.0.ffn.0.weight"
    tensors[name.replace("ffn.0", "linear1")] = tensors[name]


def make_integers(tensors: Tensors) -> None:
    tensors[BOOK] = tensors[BOOK].astype(np.int32)


def make_infinite(tensors: Tensors) -> None:
    tensors[BOOK] = tensors[BOOK] * np.float32(np.inf)


def zero_direction(tensors: Tensors) -> None:
    tensors["quantizer.quantizers.0.in_proj.parametrizations.weight.original1"] *= 0


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (drop, [BOOK, "encoder.1.input_proj.weight", "2 missing"]),
        (add, ["encoder.1.adapter.weight", "1 unknown"]),
        (transpose, [BOOK, "[8, 64]", "[64, 8]"]),
        (double, ["encoder.1.transformer.layers.0", "twice"]),
        (make_integers, [BOOK, "I32"]),
        (make_infinite, [BOOK, "infinity"]),
        (zero_direction, ["quantizer.quantizers.0.in_proj", "length 0"]),
    ],
)
def test_weights_that_do_not_fit_are_listed(
    damage: Callable[[Tensors], None], named: list[str], tmp_path: Path
) -> None:
    """Missing, unknown, misshapen and unusable tensors are named in one error, none is passed over."""
    config, tensors = published("codec_nano")
    damage(tensors)
    checkpoint = Checkpoint.open(write_checkpoint(tmp_path / "x", config, tensors))
    with pytest.raises(CheckpointError) as error:
        export_codec(checkpoint, tmp_path / "out")
    assert all(part in str(error.value) for part in named)


def test_a_config_of_another_size_lists_the_first_of_many(tmp_path: Path) -> None:
    """Weights of one codec under the config of another are refused with a list that stays readable."""
    _, tensors = published("codec_v2")
    config = json.loads((DATA / "codec24k" / "config.json").read_text())
    with pytest.raises(CheckpointError, match=r"missing tensors: .* and \d+ more; .*unknown tensors"):
        export_codec(Checkpoint.open(write_checkpoint(tmp_path / "x", config, tensors)), tmp_path / "out")
