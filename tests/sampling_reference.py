"""The head's sampling in plain numpy: the same logits and uniforms give the same codes as the graph."""

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime.names import TOP_K
from voicestack.runtime.sampling import HeadSettings

FloatArray = NDArray[np.float32]


def softmax(logits: FloatArray) -> FloatArray:
    """Probabilities of logits [n]."""
    powers = np.exp(logits - logits.max())
    return np.asarray(powers / powers.sum(), np.float32)


def pick(cumulated: FloatArray, limit: np.float32) -> int:
    """The first place whose cumulated probability is above the limit."""
    return int((cumulated <= limit).sum())


def draw_channel(logits: FloatArray, bias: FloatArray, uniform: np.float32, settings: HeadSettings) -> int:
    """Channel 0 from its logits [3]."""
    scaled = (logits + bias) * settings.inv_temperature[0]
    if settings.rank_bias[1] < 0:
        return int(scaled.argmax())
    return pick(np.cumsum(softmax(scaled))[:-1], uniform)


def draw_code(
    logits: FloatArray, recent: NDArray[np.int64], layer: int, uniform: np.float32, settings: HeadSettings
) -> int:
    """The code of one layer (0 the coarsest) from its logits [codebook] and recent codes, null codes among them."""
    logits = logits.copy()
    seen = np.unique(recent[recent < len(logits)])
    penalty = np.float32(settings.penalty)
    logits[seen] = np.where(logits[seen] > 0, logits[seen] / penalty, logits[seen] * penalty)
    logits *= settings.inv_temperature[1 + layer]
    codes = np.argsort(-logits, kind="stable")[:TOP_K]
    probabilities = softmax(logits[codes] + settings.rank_bias)
    total = np.cumsum(probabilities)
    kept = total - probabilities < settings.top_p
    return int(codes[pick(total, total[kept].max() * uniform)])
