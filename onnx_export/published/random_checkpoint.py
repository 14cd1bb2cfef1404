"""A checkpoint with random weights, as large as a published one: what is measured on it needs no download."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .checkpoint import CONFIG_FILE, WEIGHTS_FILE, Checkpoint, CheckpointError, FloatArray
from .config_fields import Fields
from .family import family_of_fields
from .family_readers import READERS

NANO: dict[str, Any] = {
    "n_vq": 16,
    "audio_vocab_size": 1024,
    "audio_pad_token_id": 1024,
    "audio_tokenizer_sample_rate": 48_000,
    "local_transformer_layers": 1,
    "pad_token_id": 3,
    "im_start_token_id": 4,
    "im_end_token_id": 5,
    "audio_start_token_id": 6,
    "audio_end_token_id": 7,
    "audio_user_slot_token_id": 8,
    "audio_assistant_slot_token_id": 9,
    "gpt2_config": {
        "n_layer": 12,
        "n_embd": 768,
        "n_head": 12,
        "n_inner": 3072,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "position_embedding_type": "rope",
        "rope_base": 10_000,
        "vocab_size": 16_384,
        "n_positions": 32_768,
    },
}
"""The fields of MOSS-TTS-Nano's config.json that tell its sizes and ids."""
_SPREAD = 0.02
"""Standard deviation of the matrices; norms are ones, biases zeros."""


def write_random_checkpoint(
    folder: Path, config: dict[str, Any], *, seed: int = 0, tensors: Mapping[str, FloatArray] | None = None
) -> Path:
    """Write config.json and model.safetensors (float32) of a generator into a folder, made when missing.

    `tensors` are set instead of drawn; tied ones are left out. CheckpointError names a field that is missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CONFIG_FILE).write_text(json.dumps(config), encoding="utf-8")
    fields = Fields.of(Checkpoint(folder, config, {}))
    family = family_of_fields(fields)
    if family is None:
        raise CheckpointError(f"{folder / CONFIG_FILE}: the fields are those of no known family")
    read = READERS[family](fields)
    shapes = {name: shape for name, shape in read.tensors().items() if name not in read.tied}
    header: dict[str, Any] = {}
    end = 0
    for name, shape in shapes.items():
        start, end = end, end + 4 * math.prod(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    random = np.random.default_rng(seed)
    with (folder / WEIGHTS_FILE).open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in shapes.items():
            file.write(np.ascontiguousarray((tensors or {}).get(name, _drawn(name, shape, random)), np.float32).data)
    return folder


def _drawn(name: str, shape: tuple[int, ...], random: np.random.Generator) -> FloatArray:
    if len(shape) > 1:
        return random.standard_normal(shape, np.float32) * np.float32(_SPREAD)
    return (np.zeros if name.endswith(".bias") else np.ones)(shape, np.float32)
