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

from voicestack.runtime.errors import InputError

from .codec import synthesis_checkpoint
from .paths import KEPT, WorkFolder
from .progress import save_whole

_FACTS_FILE = "facts.json"
_PARTS = {
    "codec/analysis.pt": ("encoder", "quantiser"),
    "codec/synthesis.pt": ("decoder",),
    "codec/adversarial.pt": ("decoder",),
    "generator/generator.pt": ("model",),
    "delay/delay.pt": ("model",),
}
_DECODERS = ("codec/synthesis.pt", "codec/adversarial.pt")
_ANALYSIS = "codec/analysis.pt"
_GENERATORS = ("generator/generator.pt", "delay/delay.pt")
_GRAPH = "listener/listener.onnx"
_EVALUATION_FILE = "evaluation.json"


def keep(folder: WorkFolder, kept: Path = KEPT) -> None:
    """Copy the weights of every finished or running stage from the work folder; of the codec's decoder the last.

    `kept` is the folder of all voices. What the work folder lacks stays as it is kept; InputError when it lacks all, or
    has another codec and not all that has to be learned anew for that.
    """
    kept /= folder.voice_name
    parts = [name for name in _PARTS if (folder.root / name).exists()]
    if not parts and not (folder.root / _GRAPH).exists():
        raise InputError(f"{folder.root} holds no weights of {folder.voice_name} to be kept; give the --work that does")
    _check_codec(folder, kept, parts)
    kept.mkdir(parents=True, exist_ok=True)
    _copy(folder.root / _GRAPH, kept / Path(_GRAPH).name)
    evaluation = folder.evaluation(folder.voice_name)
    if evaluation.exists():
        summary = json.loads(evaluation.read_text("utf-8"))["summary"]
        (kept / _EVALUATION_FILE).write_text(json.dumps({"summary": summary}, indent=1) + "\n", "utf-8")
    decoder = f"codec/{synthesis_checkpoint(folder).name}"
    facts = _facts(kept)
    for name in parts:
        target = kept / Path(name).name
        if name in _DECODERS and name != decoder:
            continue
        state = torch.load(folder.root / name, weights_only=True)
        weights = {part: _cast(state[part], torch.float32, torch.float16) for part in _PARTS[name]}
        save_whole({"step": state["step"], **weights}, target)
        if "data" in state:
            facts[target.stem] = state["data"]
    if decoder in parts:
        for other in {*_DECODERS} - {decoder}:
            (kept / Path(other).name).unlink(missing_ok=True)
    (kept / _FACTS_FILE).write_text(json.dumps(facts, indent=1) + "\n", "utf-8")


def restore(folder: WorkFolder, kept: Path = KEPT) -> None:
    """Put the kept weights of its voice into a work folder that has none of its own.

    What is there is left alone. A codec trained there has codes of its own: beside it nothing kept means anything.
    """
    kept /= folder.voice_name
    if _has_other_codec(folder, kept):
        return
    _copy_missing(kept / Path(_GRAPH).name, folder.root / _GRAPH)
    _copy_missing(kept / _EVALUATION_FILE, folder.evaluation(folder.voice_name))
    facts = _facts(kept)
    decoder = synthesis_checkpoint(folder)
    for name in _PARTS:
        target = folder.root / name
        if target.exists() or not (kept / target.name).exists() or (name in _DECODERS and decoder.exists()):
            continue
        state = torch.load(kept / target.name, weights_only=True)
        if target.stem in facts:
            state["data"] = facts[target.stem]
        folder.stage(str(Path(name).parent))
        save_whole({key: _cast(value, torch.float16, torch.float32) for key, value in state.items()}, target)
        print(f"{target}: of the kept weights of {folder.voice_name}")


def _check_codec(folder: WorkFolder, kept: Path, parts: list[str]) -> None:
    """InputError when the work folder's codec would not fit what stays kept beside it."""
    if _ANALYSIS in parts and not _codebooks(folder.root / _ANALYSIS).any():
        raise InputError(f"{folder.root / _ANALYSIS} has no codebooks yet; finish the stage `codec` first")
    needed = {"decoder": any(name in parts for name in _DECODERS)}
    needed |= {Path(name).stem: name in parts for name in _GENERATORS if (kept / Path(name).name).exists()}
    lacking = [what for what, there in needed.items() if not there]
    if _has_other_codec(folder, kept) and lacking:
        raise InputError(
            f"{folder.root} has another codec than {kept}, and no {' and no '.join(lacking)} of it; train "
            f"{'that' if len(lacking) == 1 else 'those'} first, or delete what is kept"
        )


def _has_other_codec(folder: WorkFolder, kept: Path) -> bool:
    """Whether the work folder has a codec that is not the kept one."""
    own, theirs = folder.root / _ANALYSIS, kept / Path(_ANALYSIS).name
    if not (own.exists() and theirs.exists()):
        return False
    return not torch.equal(_codebooks(own), _codebooks(theirs))


def _codebooks(analysis: Path) -> torch.Tensor:
    books: torch.Tensor = torch.load(analysis, weights_only=True)["quantiser"]["codebooks"]
    return books.half()


def _copy_missing(source: Path, target: Path) -> None:
    if not target.exists():
        _copy(source, target)


def _copy(source: Path, target: Path) -> None:
    if source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _facts(kept: Path) -> dict[str, Any]:
    """What is known of the speech each generator learned from; a text file, so that it can be mended."""
    path = kept / _FACTS_FILE
    return dict(json.loads(path.read_text("utf-8"))) if path.exists() else {}


def _cast(value: Any, old: torch.dtype, new: torch.dtype) -> Any:
    if isinstance(value, dict):
        return {name: _cast(part, old, new) for name, part in value.items()}
    return value.to(new) if isinstance(value, torch.Tensor) and value.dtype == old else value
