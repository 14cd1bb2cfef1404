"""`keep` and `restore`: the weights of a training run in the repository, so that training can go on from a fresh clone.

Each voice has a folder of its name, and what else belongs to it there is left alone.
Half precision and no optimiser state: momenta are rebuilt within some tens of steps, the file is a sixth of the size.
A listener is the graph it will be in a bundle, and kept as it is; of an evaluation the summary is, for the model card.
The work folder's own checkpoints hold everything.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import torch

from .codec import synthesis_checkpoint
from .paths import KEPT, WorkFolder

_FACTS_FILE = "facts.json"
_PARTS = {
    "codec/analysis.pt": ("encoder", "quantiser"),
    "codec/synthesis.pt": ("decoder",),
    "codec/adversarial.pt": ("decoder",),
    "generator/generator.pt": ("model",),
    "delay/delay.pt": ("model",),
}
_GRAPH = "listener/listener.onnx"
_EVALUATION = "evaluate/evaluation.json"


def keep(folder: WorkFolder, kept: Path = KEPT) -> None:
    """Copy the weights of every finished or running stage from the work folder; of the codec's decoder the last.

    `kept` is the folder of all voices.
    """
    kept /= folder.voice_name
    kept.mkdir(parents=True, exist_ok=True)
    facts: dict[str, Any] = {}
    _copy(folder.root / _GRAPH, kept / Path(_GRAPH).name)
    evaluation = folder.root / _EVALUATION
    if evaluation.exists():
        summary = json.loads(evaluation.read_text("utf-8"))["summary"]
        (kept / Path(_EVALUATION).name).write_text(json.dumps({"summary": summary}, indent=1) + "\n", "utf-8")
    for name, parts in _PARTS.items():
        target = kept / Path(name).name
        if not (folder.root / name).exists() or name == _superseded(folder):
            target.unlink(missing_ok=True)
            continue
        state = torch.load(folder.root / name, weights_only=True)
        weights = {part: _cast(state[part], torch.float32, torch.float16) for part in parts}
        torch.save({"step": state["step"], **weights}, target)
        if "data" in state:
            facts[target.stem] = state["data"]
    (kept / _FACTS_FILE).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def restore(folder: WorkFolder, kept: Path = KEPT) -> None:
    """Put the kept weights of its voice into a work folder that has none of its own."""
    kept /= folder.voice_name
    for name in (_GRAPH, _EVALUATION):
        if not (folder.root / name).exists():
            _copy(kept / Path(name).name, folder.root / name)
    facts = _facts(kept)
    for name in _PARTS:
        target = folder.root / name
        if target.exists() or not (kept / target.name).exists():
            continue
        state = torch.load(kept / target.name, weights_only=True)
        if target.stem in facts:
            state["data"] = facts[target.stem]
        folder.stage(str(Path(name).parent))
        torch.save({key: _cast(value, torch.float16, torch.float32) for key, value in state.items()}, target)


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _facts(kept: Path) -> dict[str, Any]:
    """What is known of the speech each generator learned from; a text file, so that it can be mended."""
    path = kept / _FACTS_FILE
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _superseded(folder: WorkFolder) -> str:
    return "codec/synthesis.pt" if synthesis_checkpoint(folder).stem == "adversarial" else ""


def _cast(value: Any, old: torch.dtype, new: torch.dtype) -> Any:
    if isinstance(value, dict):
        return {name: _cast(part, old, new) for name, part in value.items()}
    return value.to(new) if isinstance(value, torch.Tensor) and value.dtype == old else value
