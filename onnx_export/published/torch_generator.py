"""A published generator as plain torch functions: its backbone, and its heads told what was drawn."""

import torch
from torch import Tensor
from torch.nn import functional as F

from voicestack.runtime.published.generator_info import Family

from .generator_config import GeneratorConfig
from .torch_stacks import Load, rms_norm, run_stack, swiglu

_NORM_EPS = 1e-6


def backbone(config: GeneratorConfig, load: Load, rows: Tensor) -> Tensor:
    """The hidden states [S,H] behind rows [S,1+n] of one stream."""
    x = load(config.text_table)[rows[:, 0]]
    for name, codes in zip(config.code_tables, rows[:, 1:].T, strict=True):
        # The code behind the last row is the null code.
        x = x + F.pad(load(name), (0, 0, 0, 1))[codes]
    return run_stack(config.backbone, load, x[None])[0]


def delay_logits(config: GeneratorConfig, load: Load, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Text logits [S,V] and code logits [S,n,W] behind hidden states [S,H]; pad is never given."""
    codes = torch.stack([F.linear(hidden, load(name)) for name in config.code_heads], 1)
    codes[..., config.ids.audio_pad] = -torch.inf
    return F.linear(hidden, load(str(config.text_head))), codes


def local_logits(config: GeneratorConfig, load: Load, hidden: Tensor, told: Tensor) -> tuple[Tensor | None, Tensor]:
    """Text logits (None without such a channel) and code logits [S,n,W] of frames told to be drawn as [S,1+n].

    The frames are a batch of short sequences through the local stack, all positions at once.
    """
    if config.local is None:
        raise ValueError(f"a generator of family {config.family} has no local head")
    inputs = [hidden]
    if config.family is Family.LOCAL:
        inputs.append(load(config.text_table)[told[:, 0]])
    elif config.family is Family.NANO:
        inputs.append(load(config.text_table)[torch.full_like(told[:, 0], config.ids.slot or 0)])
    first = len(inputs) - 1
    codes_before = told[:, 1 : config.n_vq].T
    # Nothing follows the last code, whose table some families have and some have not.
    inputs += [load(name)[codes] for name, codes in zip(config.local_code_tables, codes_before, strict=False)]
    x = torch.stack(inputs, 1)
    if config.mlp_ffn is not None:
        x = swiglu(load, "speech_embedding_to_local_mlp", x)
    states = run_stack(config.local, load, x)
    text = None
    if config.text_head is not None:
        rows = slice(None) if config.text_head_rows is None else list(config.text_head_rows)
        text = F.linear(_head_input(config, load, 0, states[:, 0]), load(config.text_head)[rows])
    codes = [
        F.linear(_head_input(config, load, 1 + j, states[:, first + j]), load(name)[: config.code_classes])
        for j, name in enumerate(config.code_heads)
    ]
    return text, torch.stack(codes, 1)


def _head_input(config: GeneratorConfig, load: Load, channel: int, state: Tensor) -> Tensor:
    if config.mlp_ffn is None:
        return state
    wide = swiglu(load, f"local_to_speech_embedding_mlps.{channel}", state)
    return rms_norm(wide, load(f"layer_norm_before_lm_heads.{channel}.weight"), _NORM_EPS)
