"""What a voice takes over from the one it begins with: what text sounds like is much the same to both.

Codes enter and leave the generator through the codebooks' vectors, so its matrices go on meaning what they meant, as
long as the latent space stays where it was; only what belongs to single codes is lost.
"""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from voicestack.runtime.errors import InputError

from .paths import KEPT, WorkFolder
from .voices import recipe_of

_OF_THE_CODEC = ("codebooks", "layer_scale")
_OF_SINGLE_CODES = ("local_bias",)


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


def take_over(model: nn.Module, weights: dict[str, torch.Tensor]) -> None:
    """Load a generator's weights but for what its own codec says, and let no code be likelier than another."""
    own = model.state_dict()
    kept = {name: value for name, value in weights.items() if name not in (*_OF_THE_CODEC, *_OF_SINGLE_CODES)}
    single = {name: torch.zeros_like(own[name]) for name in _OF_SINGLE_CODES if name in own}
    model.load_state_dict(own | kept | single)
