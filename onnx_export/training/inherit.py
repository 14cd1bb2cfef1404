"""What a voice takes over from the one it begins with: what text sounds like is much the same to both.

Codes enter and leave the generator through the codebooks' vectors, so its matrices go on meaning what they meant, as
long as the latent space stays where it was; only what belongs to single codes is lost. A voice may have more layers
than what it begins with: the new ones add nothing until they learn to.
"""

import re
from pathlib import Path
from typing import Any

import torch

from voicestack.runtime.errors import InputError

from .generator_model import Generator
from .paths import KEPT, WorkFolder
from .voices import recipe_of

_OF_THE_CODEC = ("codebooks", "layer_scale")
_OF_SINGLE_CODES = ("local_bias",)
_BACKBONE = re.compile(r"layers\.(\d+)\.(.+)")
_WHAT_A_LAYER_ADDS = ("o.weight", "down.weight")


def inherited(folder: WorkFolder, name: str, kept: Path = KEPT) -> dict[str, Any] | None:
    """The kept state of the same name, in float32, of the voice that this one begins with; None if it begins afresh."""
    origin = recipe_of(folder).begins_with
    if origin is None:
        return None
    path = kept / origin / name
    if not path.exists():
        raise InputError(f"{path}: no such file; {folder.voice_name} begins with {origin}'s weights: stand in a clone")
    state: dict[str, Any] = torch.load(path, weights_only=True)
    return {
        part: {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}
        for part, weights in state.items()
        if isinstance(weights, dict)
    }


def take_over(model: Generator, weights: dict[str, torch.Tensor]) -> None:
    """Load a generator's weights but for what its own codec says, and let no code be likelier than another."""
    own = model.state_dict()
    weights = deepened(weights, model.config.layers)
    kept = {name: value for name, value in weights.items() if name not in (*_OF_THE_CODEC, *_OF_SINGLE_CODES)}
    single = {name: torch.zeros_like(own[name]) for name in _OF_SINGLE_CODES if name in own}
    model.load_state_dict(own | kept | single)


def deepened(weights: dict[str, torch.Tensor], layers: int) -> dict[str, torch.Tensor]:
    """The same generator with `layers` layers in its backbone, copies that add nothing standing between those it had.

    What it computes stays as it was, unless it is to have fewer than it had (Wu et al. 2024, "LLaMA Pro: Progressive
    LLaMA with Block Expansion", section 3.2).
    """
    parts: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in weights.items():
        if found := _BACKBONE.fullmatch(name):
            parts.setdefault(int(found[1]), {})[found[2]] = value
    deeper = {name: value for name, value in weights.items() if not _BACKBONE.fullmatch(name)}
    origins = [place * len(parts) // layers for place in range(layers)]
    for place, origin in enumerate(origins):
        is_copy = place > 0 and origins[place - 1] == origin
        for part, value in parts[origin].items():
            silent = is_copy and part in _WHAT_A_LAYER_ADDS
            deeper[f"layers.{place}.{part}"] = torch.zeros_like(value) if silent else value.clone()
    return deeper
