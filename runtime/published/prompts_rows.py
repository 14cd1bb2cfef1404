"""Rows of a prompt from its parts.

A row is one text id and n_vq codes. A prompt is laid out as a list of parts; a part is a control id, a text to be
tokenised on its own, or a run of slots that carry codes. All arrays are int64; rows are [S, 1 + n_vq], codes
[frames, n_vq].
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError, InputError
from ..manifest import REMEDY
from .generator_info import GeneratorInfo
from .tokenizer import Encoder, control_ids

IntArray = NDArray[np.int64]
Codes = NDArray[Any]
"""What a caller gives as codes: whole numbers [frames, n_vq]."""
FRAMES_PER_SECOND = 12.5


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """A run of rows that carry codes [rows, n_vq]: the same text id on each."""

    token_id: int
    codes: IntArray


Part = int | str | Slots


def lay_out(parts: Sequence[Part], info: GeneratorInfo, encoder: Encoder) -> IntArray:
    """The rows of a prompt; InputError when they leave no room for an answer."""
    return checked_length(np.concatenate([_rows(part, info, encoder) for part in parts]), info)


def checked_length(rows: IntArray, info: GeneratorInfo) -> IntArray:
    """The rows, if the model has positions for them and at least one more."""
    if len(rows) >= info.backbone.max_positions:
        raise InputError(
            f"the prompt has {len(rows)} rows, the model's limit is {info.backbone.max_positions} with the answer; "
            f"shorten the text, or the audio in the prompt ({FRAMES_PER_SECOND} rows a second)"
        )
    return rows


def control_id(info: GeneratorInfo, name: str) -> int:
    """The id of a control by its name in the manifest."""
    token_id: int | None = getattr(info.ids, name)
    if token_id is None:
        raise BundleError(f"field generator.ids.{name} is missing, which prompts of {info.family} need; {REMEDY}")
    return token_id


def text_ids(text: str, info: GeneratorInfo, encoder: Encoder) -> list[int]:
    """Ids of a text; InputError when a control of the model is among them."""
    ids = encoder.encode(text)
    if controls := sorted(control_ids(info).intersection(ids)):
        raise InputError(f"the text is tokenised to control ids {controls}, which would break the prompt; remove them")
    if ids and max(ids) >= info.text_vocabulary:
        raise InputError(f"the text is tokenised to id {max(ids)}, the generator knows {info.text_vocabulary} ids")
    return ids


def id_rows(ids: Iterable[int], info: GeneratorInfo) -> IntArray:
    """Rows of text ids with the pad code in every layer."""
    column = np.fromiter(ids, np.int64)
    rows = np.full((len(column), 1 + info.n_vq), info.ids.audio_pad, np.int64)
    rows[:, 0] = column
    return rows


def delayed(codes: IntArray, pad: int) -> IntArray:
    """Codes [T, n] with layer j moved down by j rows: [T + n - 1, n], the gaps filled with the pad code."""
    frames, layers = codes.shape
    shifted = np.full((frames + layers - 1, layers), pad, np.int64)
    for layer in range(layers):
        shifted[layer : layer + frames, layer] = codes[:, layer]
    return shifted


def checked_codes(codes: Codes, info: GeneratorInfo, what: str, *, layers_first: bool = False) -> IntArray:
    """Codes as int64 [frames, n_vq].

    The orientation is told, never guessed from the shape: with as many frames as layers both would do.

    Args:
        codes: whole numbers [frames, n_vq].
        info: the generator they are for.
        what: their name in messages.
        layers_first: they are [n_vq, frames] instead.
    """
    array = np.asarray(codes)
    if array.dtype.kind not in "iu":
        raise InputError(f"{what} has dtype {array.dtype}; codes are whole numbers")
    wanted = f"[{info.n_vq}, frames]" if layers_first else f"[frames, {info.n_vq}]"
    array = array.T if layers_first else array
    if array.ndim != 2 or array.shape[1] != info.n_vq:
        raise InputError(
            f"{what} has shape {list(np.shape(codes))}, must be {wanted}; encode the audio with {info.n_vq} layers"
            + (", or pass layers_first=True" if np.shape(codes)[:1] == (info.n_vq,) and not layers_first else "")
        )
    if not len(array):
        raise InputError(f"{what} has no frames; give at least one, {1 / FRAMES_PER_SECOND:.2f} s of audio")
    if array.min() < 0 or array.max() >= info.codebook_size:
        raise InputError(f"{what} has codes {array.min()}..{array.max()}, must be 0..{info.codebook_size - 1}")
    return array.astype(np.int64)


def left_padded(prompts: Sequence[IntArray], info: GeneratorInfo, pad: int = 0) -> tuple[IntArray, NDArray[np.bool_]]:
    """One batch of prompts, padded on the left: rows [B, S, 1 + n_vq] and the mask [B, S], False on padding.

    `pad` stands in for the text pad where the family has none.
    """
    longest = max(map(len, prompts))
    text_pad = pad if info.ids.pad is None else info.ids.pad
    ids = np.stack([np.concatenate((id_rows([text_pad] * (longest - len(rows)), info), rows)) for rows in prompts])
    lengths = np.array([len(rows) for rows in prompts])
    return ids, np.arange(longest) >= (longest - lengths)[:, None]


def _rows(part: Part, info: GeneratorInfo, encoder: Encoder) -> IntArray:
    if isinstance(part, Slots):
        return np.column_stack((np.full(len(part.codes), part.token_id, np.int64), part.codes))
    return id_rows([part] if isinstance(part, int) else text_ids(part, info, encoder), info)
