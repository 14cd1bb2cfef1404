"""Bundles of the tiny published generators that can speak: with a tokenizer, and a codec of fitting sizes."""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from codec_cases import write_checkpoint
from numpy.typing import NDArray
from published_bundles import DATA

from voicestack.onnx_export.published.bundle import export_bundle
from voicestack.onnx_export.published.checkpoint import Checkpoint
from voicestack.runtime.published import PublishedBundle, PublishedSpeaker

CODEC_OF = {
    "delay_nvq8": "codec24k",
    "delay_nvq32": "codec24k",
    "local": "codec24k",
    "local_v1.5": "codec_v2",
    "nano": "codec_nano",
    "realtime": "codec24k",
}
CASES = tuple(CODEC_OF)
PROMPTED = tuple(case for case in CASES if case != "realtime")
AS_IT_IS = "_as_it_is"
"""Behind `realtime`: the tiny checkpoint itself, which ends most of its turns after a frame or two."""
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []
_WORDS = "Hello there. One two three, a voice that speaks: quick brown fox; yes or no? user assistant None Text Tokens"


@cache
def checkpoints(case: str) -> tuple[Path, Path]:
    """A generator's checkpoint with a tokenizer, and a codec's that fits; not to be changed."""
    folder = tempfile.TemporaryDirectory()
    _FOLDERS.append(folder)
    generator = Path(folder.name) / case
    if case == "realtime":
        _quieten(DATA / case, generator)
    else:
        shutil.copytree(DATA / case.removesuffix(AS_IT_IS), generator)
    if case == "nano":
        _write_pieces(generator / "tokenizer.model")
    else:
        pytest.importorskip("tokenizers")
        name = case.removesuffix(AS_IT_IS)
        shutil.copyfile(DATA / "prompts" / name / "tokenizer.json", generator / "tokenizer.json")
    if case != "delay_nvq32":
        return generator, DATA / CODEC_OF[case.removesuffix(AS_IT_IS)]
    return generator, _cut_codec(DATA / CODEC_OF[case], Path(folder.name) / "codec", 32)


@cache
def speaking_path(case: str) -> Path:
    """The folder of a bundle that can speak; not to be changed."""
    generator, codec = checkpoints(case)
    path = generator.parent / "bundle"
    export_bundle(generator, path, codec=codec)
    return path


def speaker_of(case: str, *, slots: int = 1, capacity: int | None = 600) -> PublishedSpeaker:
    return PublishedSpeaker(PublishedBundle.load(speaking_path(case)), slots=slots, capacity=capacity)


def reference_codes(case: str, name: str = "ref_codes") -> NDArray[np.int64]:
    """Codes of a reference prompt, [frames, n_vq]."""
    with np.load(DATA / "prompts" / case / "reference.npz") as arrays:
        return np.asarray(arrays[name], np.int64)


def _quieten(source: Path, folder: Path) -> None:
    """Realtime's checkpoint with heads that hardly ever give a code that is no sound, and so never end a turn."""
    checkpoint = Checkpoint.open(source)
    tensors = {name: checkpoint.tensor(name).copy() for name in sorted(checkpoint.names)}
    for name, array in tensors.items():
        if ".local_lm_heads." in name:
            # Of 67 logits these three are then in the middle, where no draw of the likeliest 30 comes to.
            array[checkpoint.config["audio_pad_token"] :] = 0
    write_checkpoint(folder, checkpoint.config, tensors)


def _write_pieces(path: Path) -> None:
    """A sentencepiece model of at most 160 pieces with controls where Nano's has them."""
    sentencepiece = pytest.importorskip("sentencepiece")
    names = ["<im_start>", "<im_end>", "<audio_start>", "<audio_end>", "<user>", "<assistant>"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([_WORDS, _WORDS.lower()] * 4),
        model_prefix=str(path.with_suffix("")),
        vocab_size=90,
        model_type="bpe",
        hard_vocab_limit=False,
        pad_id=3,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        user_defined_symbols=names,
        minloglevel=2,
    )


def _cut_codec(source: Path, folder: Path, size: int) -> Path:
    """A codec's checkpoint with only the first codes of every codebook."""
    checkpoint = Checkpoint.open(source)
    tensors = {name: checkpoint.tensor(name) for name in sorted(checkpoint.names)}
    cut = {name: array[:size] if name.endswith("codebook.weight") else array for name, array in tensors.items()}
    config = json.loads((source / "config.json").read_text())
    config["quantizer_kwargs"]["codebook_size"] = size
    return write_checkpoint(folder, config, cut)
