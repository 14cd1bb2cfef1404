"""The tiny published generators in tests/data: exported once, with what the published code made of the same inputs."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from voicestack.onnx_export.published.checkpoint import Checkpoint
from voicestack.onnx_export.published.export import export_generator
from voicestack.runtime import names
from voicestack.runtime.published.generator import AnyGenerator, open_generator
from voicestack.runtime.published.generator_info import GeneratorInfo
from voicestack.runtime.published.local_heads import LocalHeads
from voicestack.runtime.published.row_backbone import RowBackbone
from voicestack.runtime.published.sampling_rules import GREEDY, ChannelSampling, PublishedSampling
from voicestack.runtime.published.streams import Stream
from voicestack.runtime.sessions import open_session

DATA = Path(__file__).parent / "data" / "published"
DELAYED = ("delay_nvq8", "delay_nvq32")
LOCALS = ("local", "local_v1.5", "nano")
CASES = (*DELAYED, *LOCALS, "realtime")
CAPACITY = 400

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


@dataclass
class Run:
    """One stream's generated rows, and the hidden state behind each of its decisions."""

    rows: list[IntArray] = field(default_factory=list)
    hidden: list[FloatArray] = field(default_factory=list)


@cache
def exported(case: str) -> tuple[Path, GeneratorInfo]:
    """A case's graphs, written once; the folder goes away with the process."""
    folder = tempfile.TemporaryDirectory()
    _FOLDERS.append(folder)
    depths = (2, 4) if case in LOCALS else None
    return Path(folder.name), export_generator(checkpoint(case), Path(folder.name), depths=depths)


@cache
def reference(case: str) -> Mapping[str, NDArray[Any]]:
    """What the published code made of a case."""
    with np.load(DATA / case / "reference.npz") as arrays:
        return dict(arrays)


def checkpoint(case: str) -> Checkpoint:
    return Checkpoint.open(DATA / case)


def opened(case: str, slots: int = 2) -> AnyGenerator:
    return open_generator(*exported(case), slots=slots, capacity=CAPACITY)


def backbone(case: str, slots: int = 1) -> RowBackbone:
    folder, info = exported(case)
    return RowBackbone(open_session(folder / names.BACKBONE_FILE), info, slots, CAPACITY)


@cache
def prefill_hidden(case: str) -> FloatArray:
    """The hidden states behind every row of a case's `prefill_ids`, fed row by row."""
    graph = backbone(case)
    slot = graph.cache.join()
    return np.stack([graph.append(slot, row[None]) for row in reference(case)["prefill_ids"]])


def prompts(case: str, run: str) -> list[IntArray]:
    """The prompts a run of the published code was made from, the padding of its batches taken off."""
    arrays = reference(case)
    if run == "batch":
        pairs = zip(arrays["batch_input_ids"], arrays["batch_attention_mask"], strict=True)
        return [rows[mask] for rows, mask in pairs]
    return [arrays["prompt_cont" if run == "cont" else "prompt_clone"]]


def generate(generator: AnyGenerator, streams: Sequence[Stream], steps: int) -> list[Run]:
    """Step streams so often, or until all have ended; then release them."""
    runs = [Run() for _ in streams]
    for _ in range(steps):
        going = [not stream.ended for stream in streams]
        for run, stream, row, went in zip(runs, streams, generator.step(streams), going, strict=True):
            if went:
                run.hidden.append(stream.hidden)
            if row is not None:
                run.rows.append(row)
        if all(stream.ended for stream in streams):
            break
    for stream in reversed(streams):
        generator.release(stream)
    return runs


def local_heads(folder: Path, info: GeneratorInfo) -> LocalHeads:
    return LocalHeads(lambda depth: open_session(folder / names.head_file(depth)), info)


def two_choices(info: GeneratorInfo) -> list[int]:
    """The text ids that mean go on and end."""
    assert info.ids.slot is not None
    assert info.ids.audio_end is not None
    return [info.ids.slot, info.ids.audio_end]


def greedy(penalty: float = 1.0) -> PublishedSampling:
    return PublishedSampling(GREEDY.text, GREEDY.codes, penalty)


def nearly_greedy(penalty: float) -> PublishedSampling:
    """As good as greedy, but by way of sampling."""
    cold = ChannelSampling(1e-6, top_k=50)
    return PublishedSampling(cold, cold, penalty)


def changed_checkpoint(
    case: str,
    folder: Path,
    config: Mapping[str, Any] | None = None,
    tensors: Mapping[str, FloatArray | None] | None = None,
) -> Checkpoint:
    """A copy of a case with some config fields and tensors set otherwise; None takes one out."""
    source = checkpoint(case)
    fields = {**source.config, **(config or {})}
    (folder / "config.json").write_text(json.dumps({k: v for k, v in fields.items() if v is not None}))
    arrays = {name: source.tensor(name) for name in sorted(source.names)} | dict(tensors or {})
    header: dict[str, Any] = {}
    blocks: list[bytes] = []
    for name, array in arrays.items():
        if array is not None:
            start = sum(map(len, blocks))
            blocks.append(np.asarray(array, np.float32).tobytes())
            place = [start, start + len(blocks[-1])]
            header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": place}
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"".join(blocks))
    return Checkpoint.open(folder)
