"""Prompts of the Realtime family, whose text arrives while it speaks.

A conversation is a system turn, with or without a voice to speak with, then turns of the user (text and audio) and of
the assistant (text, one id a frame). Rows are int64 [S, 1 + n_vq], codes [frames, n_vq].
"""

import numpy as np

from ..errors import BundleError
from .generator_info import GeneratorInfo
from .prompts_rows import (
    Codes,
    IntArray,
    Part,
    Slots,
    checked_codes,
    checked_length,
    control_id,
    id_rows,
    lay_out,
    text_ids,
)
from .tokenizer import IM_END, IM_START, Tokenizer

TEXT_LEAD = 12
"""How many text ids the audio of a turn is late."""
SYSTEM_PROMPT = (
    "You are a highly expressive text-to-speech (TTS) engine developed by Mosi Intelligence. \n"
    "You possess natural language understanding, emotional modeling, and multi-style speech generation capabilities, "
    "allowing you to generate the corresponding speech based on the text given in the assistant."
)
_VOICE_PROMPT = "context\nThe assistant section should be synthesized using the following voice timbre:"


def system_rows(
    info: GeneratorInfo, tokenizer: Tokenizer, voice: Codes | None = None, system: str = SYSTEM_PROMPT
) -> IntArray:
    """The rows that open a conversation.

    Args:
        info: the generator.
        tokenizer: its tokenizer.
        voice: codes of a clip of the voice to speak with.
        system: what the model is told it is.
    """
    im_start, im_end = _turn_ids(info, tokenizer)
    parts: list[Part] = [im_start, f"system\n{system}", im_end, "\n"]
    if voice is not None:
        slots = Slots(control_id(info, "reference_audio_pad"), checked_codes(voice, info, "voice"))
        parts += [im_start, _VOICE_PROMPT, slots, im_end, "\n"]
    return lay_out(parts, info, tokenizer)


def assistant_rows(info: GeneratorInfo, tokenizer: Tokenizer, *, behind_another: bool = False) -> IntArray:
    """The rows that open the assistant's turn behind a system turn; a user's turn has them already.

    Those `behind_another` turn of the assistant close that first; the published code always has the user's between.
    """
    im_start, im_end = _turn_ids(info, tokenizer)
    closing: list[Part] = [im_end, "\n"] if behind_another else []
    return lay_out([*closing, im_start, "assistant\n"], info, tokenizer)


def user_rows(
    info: GeneratorInfo, tokenizer: Tokenizer, text: str, codes: Codes, *, layers_first: bool = False
) -> IntArray:
    """A user's turn, from the end of the turn before it to the start of the assistant's.

    The audio runs beside the text, TEXT_LEAD ids late or as many as the text has.

    Args:
        info: the generator.
        tokenizer: its tokenizer.
        text: what the user said.
        codes: how it sounded.
        layers_first: the codes are [n_vq, frames]. The published code guesses, and reads as many frames as layers
            the wrong way round.
    """
    frames = checked_codes(codes, info, "the user's codes", layers_first=layers_first)
    im_start, im_end = _turn_ids(info, tokenizer)
    opening = lay_out([im_end, "\n", im_start, "user\n"], info, tokenizer)
    said = text_ids(text, info, tokenizer)
    lead = min(len(said), TEXT_LEAD)
    pads = max(0, lead + len(frames) + 1 - len(said))
    body = id_rows([*said, *[control_id(info, "text_pad")] * pads], info)
    rows = np.concatenate((opening, body, lay_out([im_end, "\n", im_start, "assistant\n"], info, tokenizer)))
    first = len(opening) + lead
    rows[first - 1, 1] = control_id(info, "audio_bos")
    rows[first : first + len(frames), 1:] = frames
    rows[first + len(frames), 1] = control_id(info, "audio_eos")
    return checked_length(rows, info)


def _turn_ids(info: GeneratorInfo, tokenizer: Tokenizer) -> tuple[int, int]:
    """The ids that open and close a turn; the family's config does not name them."""
    start, end = tokenizer.id_of(IM_START), tokenizer.id_of(IM_END)
    if start is None or end is None:
        raise BundleError(f"the tokenizer has no {IM_START} or {IM_END}; use the tokenizer file of this checkpoint")
    return start, end
