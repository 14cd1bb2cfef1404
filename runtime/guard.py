"""The runaway guard: how many frames the text fed so far can account for."""

import math

from . import names
from .manifest import TextSpec
from .text.frontend import MAX_SENTENCE_TOKENS

_MEAN_FACTOR = 1.5
_TARGET_FACTOR, _TARGET_SLACK = 1.25, 12


def frame_cap(tokens_fed: int, target_frames: int | None, text: TextSpec) -> int:
    """The frames after which a stream is running away: it babbles, or is stuck on a sound.

    It grows with each token the model takes, so a stream that hangs is caught where it hangs, and how the text
    arrived makes no difference. With a target length that alone decides.
    """
    if target_frames is not None:
        return math.ceil(target_frames * _TARGET_FACTOR) + _TARGET_SLACK
    return math.ceil(tokens_fed * text.frames_per_token * _MEAN_FACTOR + text.frames_slack)


def longest_sentence(text: TextSpec) -> int:
    """The positions that the longest sentence of the front end may take: prefix, frames, and the flush of a delay head.

    A sentence is divided once it has MAX_SENTENCE_TOKENS, behind the word that is then being said.
    """
    frames = frame_cap(2 * MAX_SENTENCE_TOKENS, None, text)
    return 1 + names.PRIMER_TOKENS + frames + names.HEAD_DEPTHS[-1]
