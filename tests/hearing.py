"""What a recogniser understands of speech that came over a wire."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from voicestack.onnx_export.training.judges import Recogniser
from voicestack.onnx_export.training.word_errors import word_errors

TEXT = (
    "I moved your meeting to Thursday afternoon. The train leaves in ten minutes. "
    "You can take the bus home, or wait for the next one. Is there anything else I can do for you?"
)
"""Everyday sentences, long enough that one word more or less does not decide."""


@cache
def recogniser() -> Recogniser:
    """One for all tests: it takes seconds to load."""
    return Recogniser()


def understood(pcm: NDArray[np.float32]) -> float:
    """Which share of TEXT is heard in float32 [samples] at 24 kHz; the voice that ships reaches some 0.9 anywhere."""
    errors = word_errors(TEXT, recogniser().hear(pcm))
    return 1 - errors.edits / errors.words
