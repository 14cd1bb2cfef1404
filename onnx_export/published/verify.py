"""A bundle against the checkpoint it was made from: its stored weights, and its outputs against plain torch.

Random inputs go through both. Greater ones than 1 are measured relative to the largest value.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray

from voicestack.runtime.published import Check, PublishedBundle, ReplayGraphs
from voicestack.runtime.published.generator_info import Family

from .bundle import is_codec
from .checkpoint import Checkpoint, CheckpointError
from .codec_config import read_codec_config
from .codec_weights import CodecWeights
from .family import read_config
from .form import Form
from .generator_config import GeneratorConfig
from .torch_codec import decode, encode, frames_beyond
from .torch_generator import backbone, delay_logits, local_logits
from .torch_stacks import Load
from .verify_weights import check_codec_weights, check_generator_weights
from .weight_stream import DType

_LIMITS = {"float32": 2e-4, "float16": 5e-3}
_ROUNDED_LIMITS = {8: 0.1, 4: 1.0}
"""Wide: they tell a wrong graph from rounded weights, not good weights from bad ones."""
_ROWS = 24
_CLOSE_CALLS = {"float32": 1e-5, "float16": 5e-3}
"""A code that won by less than this may be another one in another order of adding, or of rounded weights."""


def check_against(bundle: PublishedBundle, folder: Path) -> Iterator[Check]:
    """Compare the part of a bundle that a checkpoint's folder is of; CheckpointError when it has no such part."""
    checkpoint = Checkpoint.open(folder)
    codec = is_codec(checkpoint)
    if (bundle.manifest.codec if codec else bundle.manifest.generator) is None:
        part = "codec" if codec else "generator"
        raise CheckpointError(f"{folder}: this is a {part}, and {bundle.path} has none; give the folder of its own")
    with torch.inference_mode():
        yield from _codec(bundle, checkpoint) if codec else _generator(bundle, checkpoint)


def _generator(bundle: PublishedBundle, checkpoint: Checkpoint) -> Iterator[Check]:
    info, manifest = bundle.generator_info, bundle.manifest
    bits = manifest.quantisation.bits if manifest.quantisation else None
    form = Form(manifest.target, cast(DType, manifest.dtype), bits)
    config = read_config(checkpoint, info.family)
    yield from check_generator_weights(bundle.path, info, config, checkpoint, form)
    load, limit = _loader(checkpoint.tensor, config), _ROUNDED_LIMITS[bits] if bits else _LIMITS[form.dtype]
    random = np.random.default_rng(0)
    rows = _random_rows(config, random)
    graphs = ReplayGraphs(bundle.path, info, 2 * _ROWS)
    hidden = graphs.hidden(rows)
    what = f"{_ROWS} random rows"
    yield _compared("hidden", what, hidden, backbone(config, load, torch.from_numpy(rows)), limit)
    told = rows.copy()
    told[:, 0] = told[:, 0] if config.family is Family.LOCAL else 0
    told[:, 1:] = np.minimum(told[:, 1:], config.codebook - 1)
    text, codes = graphs.logits(hidden, told, info.n_vq)
    # The heads by themselves: both get the hidden states of the graph.
    states = torch.from_numpy(hidden)
    if config.family is Family.DELAY:
        torch_text: torch.Tensor | None
        torch_text, torch_codes = delay_logits(config, load, states)
    else:
        torch_text, torch_codes = local_logits(config, load, states, torch.from_numpy(told))
    if text is not None and torch_text is not None:
        yield _compared("text_logits", what, text, torch_text, limit)
    yield _compared("logits", f"{what}, {info.n_vq} codebooks", codes, torch_codes, limit)


def _codec(bundle: PublishedBundle, checkpoint: Checkpoint) -> Iterator[Check]:
    config, dtype = read_codec_config(checkpoint), cast(DType, bundle.manifest.dtype)
    yield from check_codec_weights(bundle.path, bundle.codec_info, config, checkpoint, dtype)
    load, random = _loader(CodecWeights(checkpoint, config).tensor), np.random.default_rng(0)
    frames = frames_beyond(config.decoder)
    stacks = random.integers(0, config.quantiser.codebook_size, (frames, config.quantiser.n_vq))
    decoder = bundle.codec_decoder()
    sound = decoder.decode([decoder.begin()], [stacks])[0]
    what = f"{frames} random frames, beyond every window"
    yield _compared("pcm", what, sound, decode(config, load, torch.from_numpy(stacks)), _LIMITS[dtype])
    frames = frames_beyond(config.encoder)
    noise = random.normal(0, 0.1, (frames * config.hop, config.channels)).astype(np.float32)
    codes = bundle.codec_encoder().encode_clip(noise)
    expected, margins = (value.numpy() for value in encode(config, load, torch.from_numpy(noise)))
    # What a close call decides otherwise changes all finer layers of its frame.
    open_calls = np.logical_or.accumulate(margins < _CLOSE_CALLS[dtype], axis=1)
    differing = float(((codes != expected) & ~open_calls).sum())
    yield Check("codes", f"{frames} frames of noise, beyond every window", differing)


def _random_rows(config: GeneratorConfig, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows of any text and code ids, null codes among them."""
    text = random.integers(0, config.text_vocabulary, (_ROWS, 1))
    return np.concatenate([text, random.integers(0, config.codes_embedded + 1, (_ROWS, config.n_vq))], axis=1)


def _loader(read: Callable[[str], NDArray[Any]], config: GeneratorConfig | None = None) -> Load:
    """A checkpoint's tensors for torch, tied ones found."""

    def load(name: str) -> torch.Tensor:
        return torch.from_numpy(read(name))

    def load_tied(name: str) -> torch.Tensor:
        try:
            return load(name)
        except CheckpointError:
            if config is None or name not in config.tied:
                raise
            return load(config.tied[name])

    return load_tied


def _compared(name: str, what: str, ours: NDArray[np.float32], expected: torch.Tensor, limit: float) -> Check:
    theirs = expected.numpy()
    if ours.shape != theirs.shape:
        return Check(name, what, limit=limit, problem=f"shape {list(ours.shape)} for {list(theirs.shape)}")
    finite = theirs[np.isfinite(theirs)]
    with np.errstate(invalid="ignore"):
        error = np.where(ours == theirs, 0.0, np.abs(ours - theirs)).max(initial=0)
    return Check(name, what, float(np.nan_to_num(error, nan=np.inf)) / max(1.0, float(np.abs(finite).max())), limit)
