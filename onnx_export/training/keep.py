"""`keep` and `restore`: the weights of a training run in the repository, so that training can go on from a fresh clone.

Half precision and no optimiser state: momenta are rebuilt within some tens of steps, the file is a sixth of the size.
The work folder's own checkpoints hold everything.
"""

from pathlib import Path
from typing import Any

import torch

from .codec import synthesis_checkpoint
from .paths import WorkFolder

KEPT = Path(__file__).with_name("kept")
_PARTS = {
    "codec/analysis.pt": ("encoder", "quantiser"),
    "codec/synthesis.pt": ("decoder",),
    "codec/adversarial.pt": ("decoder",),
    "generator/generator.pt": ("model",),
}


def keep(folder: WorkFolder, kept: Path = KEPT) -> None:
    """Copy the weights of every finished or running stage from the work folder; of the codec's decoder the last."""
    kept.mkdir(exist_ok=True)
    for name, parts in _PARTS.items():
        if not (folder.root / name).exists() or name == _superseded(folder):
            (kept / Path(name).name).unlink(missing_ok=True)
            continue
        state = torch.load(folder.root / name, weights_only=True)
        weights = {part: _cast(state[part], torch.float32, torch.float16) for part in parts}
        torch.save({"step": state["step"], **weights}, kept / Path(name).name)


def restore(folder: WorkFolder, kept: Path = KEPT) -> None:
    """Put the kept weights into a work folder that has none of its own."""
    for name in _PARTS:
        target = folder.root / name
        if not (kept / target.name).exists():
            continue
        if target.exists():
            print(f"{target} exists and is left as it is")
            continue
        state = torch.load(kept / target.name, weights_only=True)
        folder.stage(str(Path(name).parent))
        torch.save({key: _cast(value, torch.float16, torch.float32) for key, value in state.items()}, target)


def _superseded(folder: WorkFolder) -> str:
    return "codec/synthesis.pt" if synthesis_checkpoint(folder).stem == "adversarial" else ""


def _cast(value: Any, old: torch.dtype, new: torch.dtype) -> Any:
    if isinstance(value, dict):
        return {name: tensor.to(new) if tensor.dtype == old else tensor for name, tensor in value.items()}
    return value
