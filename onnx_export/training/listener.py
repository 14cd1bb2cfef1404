"""Stage `listener`: a small network that knows which phones are heard in the teacher's speech, as a graph.

What it is for is told in `voicestack.runtime.listener`; a bundle has it when the work folder does.
The shards say to the sample when each phone begins, so nothing has to be aligned. A frame may hold several phones; it
is to be heard as each by its share. What the graph tells is the logarithm of how much likelier a phone is in this frame
than in speech as a whole.
"""

from pathlib import Path

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn
from tqdm import tqdm

from voicestack.onnx_export.graph_writer import IR_VERSION, OPSET
from voicestack.runtime.listener import (
    CLASSES,
    CONTEXT,
    EVIDENCE,
    FEATURES,
    FRAME_SAMPLES,
    LISTENER_FILE,
    SPECTRA,
    spectra_of,
    unit_classes,
)
from voicestack.runtime.text.phones import UNIT_IDS

from .audio import VALIDATION_SHARDS, require_shards
from .data import Utterance, read_shard
from .paths import WorkFolder, whole_file
from .speech import SAMPLE_RATE_HZ

_SHARDS = 45
"""An hour and a half or more of speech; the network is too small to learn from more."""
_SEED = 0
_HIDDEN, _STEPS, _ROWS = 96, 1800, 768
_RATE, _FALL = 3e-3, 0.6
_LOUDER_DB = 3.0
"""Speech is heard this much louder or softer, by chance, lest loudness be taken for a phone."""

FloatArray = NDArray[np.float32]


def make(folder: WorkFolder) -> Path:
    """Train the listener on the finished shards and print how often it is right on speech it has not heard.

    Returns its file, at once when that is there already; InputError when there are too few shards.
    """
    path = graph_file(folder)
    if path.exists():
        return path
    files = folder.shard_files()
    known, held_out = files[VALIDATION_SHARDS:], files[:VALIDATION_SHARDS]
    require_shards(folder, len(known))
    draws = np.random.default_rng(_SEED)
    network, prior = _train(*_examples(known[:: max(1, len(known) // _SHARDS)][:_SHARDS], draws))
    heard, said = _examples(held_out, draws)
    with torch.no_grad():
        right = network(heard).argmax(1) == said.argmax(1)
    print(f"listener: {right.float().mean():.1%} of unheard frames are taken for what most of them is")
    folder.stage(path.parent.name)
    with whole_file(path) as aside:
        onnx.save(_graph(network, prior), aside)
    return path


def graph_file(folder: WorkFolder) -> Path:
    """Where a work folder has its listener, once that is trained."""
    return folder.root / "listener" / LISTENER_FILE


def shares(utterance: Utterance) -> FloatArray:
    """What is said in each whole frame of an utterance: the share of each class, float32 [frames, classes]."""
    frames = len(utterance.pcm) // FRAME_SAMPLES
    units = [unit for _, phones, mark in utterance.words for unit in (*phones, *mark)]
    classes = np.array([0, *(max(_CLASS[UNIT_IDS[unit]], 0) for unit in units)])
    starts_s = np.array([0.0, *utterance.onsets_s])
    ends_s = np.append(starts_s[1:], len(utterance.pcm) / SAMPLE_RATE_HZ)
    edges_s = np.arange(frames + 1)[:, None] * FRAME_SAMPLES / SAMPLE_RATE_HZ
    overlap = np.minimum(ends_s, edges_s[1:]) - np.maximum(starts_s, edges_s[:-1])
    said = overlap.clip(0) @ np.eye(len(CLASSES))[classes]
    return (said / said.sum(1, keepdims=True)).astype(np.float32)


_CLASS = unit_classes()


def _examples(files: list[Path], draws: np.random.Generator) -> tuple[Tensor, Tensor]:
    """What is heard in the frames of some shards [frames, CONTEXT * FEATURES], and what is said [frames, classes]."""
    heard: list[FloatArray] = []
    said: list[FloatArray] = []
    for path in tqdm(files, desc="listener"):
        for utterance in read_shard(path):
            gain = np.float32(10 ** (draws.uniform(-_LOUDER_DB, _LOUDER_DB) / 20) / 32768)
            whole = len(utterance.pcm) // FRAME_SAMPLES * FRAME_SAMPLES
            spectra = spectra_of(utterance.pcm[:whole].astype(np.float32) * gain)
            padded = np.pad(spectra, ((1, 1), (0, 0)), mode="edge")
            heard.append(np.concatenate([padded[:-2], spectra, padded[2:]], axis=1))
            said.append(shares(utterance))
    return torch.from_numpy(np.concatenate(heard)), torch.from_numpy(np.concatenate(said))


def _train(heard: Tensor, said: Tensor) -> tuple[nn.Sequential, Tensor]:
    """The trained network, from spectra to the logarithm of each class's share, and that of speech as a whole."""
    torch.manual_seed(_SEED)
    generator = torch.Generator().manual_seed(_SEED)
    mean, spread = heard.mean(0), heard.std(0) + 1e-3
    first, last = nn.Linear(CONTEXT * FEATURES, _HIDDEN), nn.Linear(_HIDDEN, len(CLASSES))
    network = nn.Sequential(first, nn.ReLU(), last, nn.LogSoftmax(1))
    optimiser = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=1e-3)
    for step in tqdm(range(_STEPS), desc="listener"):
        for group in optimiser.param_groups:
            group["lr"] = _RATE * min(1.0, (_STEPS - step) / (_STEPS * _FALL))
        rows = torch.randint(len(heard), (_ROWS,), generator=generator)
        loss = -(said[rows] * network((heard[rows] - mean) / spread)).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    with torch.no_grad():
        # The scaling becomes a part of the first matrix.
        first.weight.div_(spread)
        first.bias.sub_(first.weight @ mean)
    return network, said.mean(0).clamp(min=1e-6).log()


def _graph(network: nn.Sequential, prior: Tensor) -> onnx.ModelProto:
    """The network as a graph of its own, weights in float16."""
    state = network.state_dict()
    weights = {
        **{"in.weight": state["0.weight"].T, "in.bias": state["0.bias"]},
        **{"out.weight": state["2.weight"].T, "out.bias": state["2.bias"], "prior": prior},
    }
    halves = [
        numpy_helper.from_array(value.numpy().astype(np.float16), f"{name}.half") for name, value in weights.items()
    ]
    nodes = [
        *(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT) for name in weights),
        helper.make_node("Gemm", [SPECTRA, "in.weight", "in.bias"], ["wide"]),
        helper.make_node("Relu", ["wide"], ["hidden"]),
        helper.make_node("Gemm", ["hidden", "out.weight", "out.bias"], ["logits"]),
        helper.make_node("LogSoftmax", ["logits"], ["posterior"], axis=-1),
        helper.make_node("Sub", ["posterior", "prior"], [EVIDENCE]),
    ]
    inputs = [helper.make_tensor_value_info(SPECTRA, TensorProto.FLOAT, ["frames", CONTEXT * FEATURES])]
    outputs = [helper.make_tensor_value_info(EVIDENCE, TensorProto.FLOAT, ["frames", len(CLASSES)])]
    graph = helper.make_graph(nodes, "listener", inputs, outputs, halves)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION)
