import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from codec_cases import CODECS, DATA, write_checkpoint

from voicestack.onnx_export.published.checkpoint import Checkpoint, CheckpointError
from voicestack.onnx_export.published.codec_config import CodecConfig, TransformerConfig, read_codec_config

Json = dict[str, Any]


def published(name: str) -> Json:
    config: Json = json.loads((DATA / name / "config.json").read_text())
    return config


def read(config: Json, folder: Path) -> CodecConfig:
    return read_codec_config(Checkpoint.open(write_checkpoint(folder / "checkpoint", config, {})))


def windows(config: CodecConfig) -> dict[str, int]:
    modules = (*config.encoder, *config.decoder)
    return {module.name: module.context for module in modules if isinstance(module, TransformerConfig)}


@pytest.mark.parametrize("name", CODECS)
def test_attention_windows_are_those_of_the_published_code(name: str, tmp_path: Path) -> None:
    """Rates and durations give the same windows, rounded as each generation does."""
    with np.load(DATA / name / "reference.npz") as reference:
        assert windows(read(published(name), tmp_path)) == json.loads(str(reference["contexts"]))


def test_the_full_size_first_codec(tmp_path: Path) -> None:
    """Ten seconds at 100, 50, 25 and 12.5 Hz are 1000, 500, 250 and 125 positions."""
    config = published("codec24k")
    config["causal_transformer_context_duration"] = 10
    assert list(windows(read(config, tmp_path)).values()) == [1000, 500, 250, 125, 125, 250, 500, 1000]


def test_sizes_come_from_the_module_lists(tmp_path: Path) -> None:
    """Sample rate, channels, hop and quantiser are read, and projections only where a generation has them."""
    first, second = (read(published(name), tmp_path) for name in ("codec24k", "codec_nano"))
    assert (first.sample_rate_hz, first.channels, first.hop, first.quantiser.n_vq) == (24000, 1, 1920, 32)
    assert (second.sample_rate_hz, second.channels, second.hop, second.quantiser.n_vq) == (48000, 2, 3840, 16)
    projections = [
        (module.in_projection, module.out_projection)
        for module in first.encoder
        if isinstance(module, TransformerConfig)
    ]
    assert projections == [(True, True), (False, True), (False, True), (False, True)]
    assert all(m.in_projection for m in second.encoder if isinstance(m, TransformerConfig))


def change(*path: str | int, to: object) -> Callable[[Json], None]:
    """Set one field of a config; None stands for taking it away."""

    def apply(config: Json) -> None:
        holder: Any = config
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = to

    return apply


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (change("quantizer_type", to="rvq"), "quantizer_type"),
        (change("downsample_rate", to=None), "downsample_rate"),
        (change("downsample_rate", to=3841), "encoder_kwargs"),
        (change("number_channels", to="two"), "number_channels"),
        (change("enable_channel_interleave", to=False), "enable_channel_interleave"),
        (change("encoder_kwargs", to={}), "encoder_kwargs"),
        (change("decoder_kwargs", to=[]), "decoder_kwargs"),
        (change("encoder_kwargs", 0, "patch_size", to=7), r"encoder_kwargs\[0\].patch_size"),
        (change("decoder_kwargs", 0, "patch_size", to=2), "decoder_kwargs"),
        (change("encoder_kwargs", 1, "module_type", to="Mamba"), r"encoder_kwargs\[1\].module_type"),
        (change("encoder_kwargs", 1, "causal", to=False), r"encoder_kwargs\[1\].causal"),
        (change("encoder_kwargs", 1, "norm", to="rms_norm"), r"encoder_kwargs\[1\].norm"),
        (change("encoder_kwargs", 1, "num_heads", to=3), r"encoder_kwargs\[1\].num_heads"),
        (change("encoder_kwargs", 1, "input_dimension", to=99), r"encoder\.1"),
        (change("encoder_kwargs", 7, "output_dimension", to=16), "quantiser's 32"),
        (change("decoder_kwargs", 1, "context_duration", to=0.01), r"decoder_kwargs\[1\].context_duration"),
        (change("quantizer_kwargs", to=None), "quantizer_kwargs"),
        (change("quantizer_kwargs", "num_quantizers", to=0), r"quantizer_kwargs\.num_quantizers"),
    ],
)
def test_a_config_that_is_not_understood_is_one_clear_error(
    damage: Callable[[Json], None], named: str, tmp_path: Path
) -> None:
    """A field that is missing, of the wrong kind, or asks for something else is named, with its place."""
    config = copy.deepcopy(published("codec_nano"))
    damage(config)
    with pytest.raises(CheckpointError, match=named):
        read(config, tmp_path)
