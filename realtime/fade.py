"""Sound that stops without a click."""

import numpy as np
from numpy.typing import NDArray

FADE_S = 0.005


def faded(pcm: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """The same, [samples] or [samples, channels], its last few milliseconds falling to silence."""
    result, count = pcm.copy(), min(len(pcm), round(FADE_S * rate_hz))
    fall = np.linspace(1, 0, count, dtype=np.float32)
    result[len(result) - count :] *= fall if pcm.ndim == 1 else fall[:, None]
    return result
