"""The sampling of the published generators: penalty, temperature, top-k, top-p and the draw, in numpy.

All families share these rules up to what the penalty looks at (`seen_codes.py`). A penalty before or after the
temperature comes to the same, so it is first here.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .generator_info import Family

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
_MAX = 100.0


@dataclass(frozen=True, slots=True)
class ChannelSampling:
    """How one kind of channel is drawn: temperature 0 takes the likeliest; top_p 1 and top_k 0 leave all in."""

    temperature: float
    top_p: float = 1.0
    top_k: int = 0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.temperature) and 0 <= self.temperature <= _MAX):
            raise InputError(f"temperature must be between 0 and {_MAX:g}, got {self.temperature!r}")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top_p must be above 0 and at most 1, got {self.top_p!r}")
        if self.top_k < 0:
            raise InputError(f"top_k must be 0 (off) or more, got {self.top_k!r}")

    @property
    def greedy(self) -> bool:
        """Whether the likeliest is taken always."""
        return self.temperature == 0


@dataclass(frozen=True, slots=True)
class PublishedSampling:
    """How a stream is drawn: channel 0, the codes, and the penalty on codes seen before (1 is none)."""

    text: ChannelSampling
    codes: ChannelSampling
    repetition_penalty: float = 1.0

    def __post_init__(self) -> None:
        if not (math.isfinite(self.repetition_penalty) and 0 < self.repetition_penalty <= _MAX):
            raise InputError(
                f"repetition_penalty must be above 0 and at most {_MAX:g}, got {self.repetition_penalty!r}"
            )


GREEDY = PublishedSampling(ChannelSampling(0), ChannelSampling(0))
"""The likeliest of everything, without a penalty."""

DEFAULTS = {
    Family.DELAY: PublishedSampling(ChannelSampling(1.5, 1.0, 50), ChannelSampling(1.7, 0.8, 25)),
    Family.LOCAL: PublishedSampling(ChannelSampling(1.5, 1.0, 50), ChannelSampling(1.0, 0.95, 50), 1.1),
    Family.LOCAL_V15: PublishedSampling(ChannelSampling(1.0, 1.0, 50), ChannelSampling(1.0, 0.95, 50)),
    Family.REALTIME: PublishedSampling(ChannelSampling(0), ChannelSampling(0.8, 0.6, 30), 1.1),
    Family.NANO: PublishedSampling(ChannelSampling(1.5, 1.0, 50), ChannelSampling(1.7, 0.8, 25)),
}
"""What the published generation code uses when it is told nothing."""


def penalised(logits: FloatArray, seen: BoolArray, penalty: float) -> FloatArray:
    """Logits [R,W] with those of the codes seen ([R,W], or [1,W] for all rows) made less likely, each once."""
    if penalty == 1:
        return logits
    factor = np.float32(penalty)
    return np.where(seen, np.where(logits > 0, logits / factor, logits * factor), logits)


def probabilities(logits: FloatArray, rule: ChannelSampling, *, keep_ties: bool = True) -> FloatArray:
    """The distribution of each row [R,W] that is drawn from.

    Top-k keeps what is at least the k-th largest, so ties make it more than k, unless `keep_ties` is false: delay
    keeps exactly k. Top-p drops an entry when those above it already exceed p, so the one that crosses p stays.
    """
    if rule.greedy:
        chosen = np.zeros_like(logits)
        np.put_along_axis(chosen, logits.argmax(-1)[:, None], 1.0, -1)
        return chosen
    scaled = logits / np.float32(rule.temperature)
    order = _ranking(scaled, rule.top_k)
    ranked = np.take_along_axis(scaled, order, -1)
    if 0 < rule.top_k < scaled.shape[-1]:
        dropped = np.arange(ranked.shape[-1]) >= rule.top_k
        if keep_ties:
            dropped = ranked < ranked[:, rule.top_k - 1, None]
        ranked = np.where(dropped, np.float32(-np.inf), ranked)
    shares = _softmax(ranked)
    if rule.top_p < 1:
        before = np.cumsum(shares, -1) - shares
        shares = _softmax(np.where(before > rule.top_p, np.float32(-np.inf), ranked))
    result = np.zeros_like(scaled)
    np.put_along_axis(result, order, shares, -1)
    return result


def draw(shares: FloatArray, uniforms: FloatArray) -> IntArray:
    """One id for each row of a distribution [R,W] from its uniform [R], walking the ids in their own order."""
    total = np.cumsum(shares, -1)
    # A uniform of 0 must not take a first id that has no probability.
    limits = np.maximum(uniforms * total[:, -1], np.finfo(np.float32).tiny)
    found = (total < limits[:, None]).sum(-1)
    return np.asarray(found, np.int64)


def draw_ranked(shares: FloatArray, uniforms: FloatArray) -> IntArray:
    """As `draw`, walking from the likeliest id down, as the graphs of the local heads do."""
    order = np.argsort(-shares, axis=-1, kind="stable")
    ranks = draw(np.take_along_axis(shares, order, -1), uniforms)
    return np.asarray(np.take_along_axis(order, ranks[:, None], -1)[:, 0], np.int64)


def _ranking(values: FloatArray, count: int) -> IntArray:
    """Ids of the largest values of each row, falling, the lower id first among equals.

    At least `count` of them, and all that equal the last of these; all ids when `count` is 0 or too large.
    """
    size = values.shape[-1]
    if not 0 < count < size:
        return np.argsort(-values, axis=-1, kind="stable")
    # Sorting a few candidates is several times quicker than sorting a codebook, let alone a vocabulary.
    least = np.partition(values, size - count, -1)[:, size - count, None]
    width = int((values >= least).sum(-1).max())
    candidates = np.sort(np.argpartition(values, size - width, -1)[:, size - width :], -1)
    order = np.argsort(-np.take_along_axis(values, candidates, -1), axis=-1, kind="stable")
    return np.take_along_axis(candidates, order, -1)


def _softmax(logits: FloatArray) -> FloatArray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True), np.float32)
