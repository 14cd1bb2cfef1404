"""The local heads of a published generator: from the hidden state of a frame to channel 0 and its stack of codes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .. import names
from ..backbone import ROWS_PER_CALL
from ..errors import InputError
from ..sessions import Array, GraphSession
from . import generator_info as graph
from .generator_info import Family, GeneratorInfo
from .sampling_rules import BoolArray, ChannelSampling, FloatArray, PublishedSampling

IntArray = NDArray[np.int64]
NOT_FORCED = -1
_NO_TOP_P = 2.0
"""More than a sum of probabilities can be, whatever its rounding."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a head takes for one stream, frame after frame; arrays without the batch axis."""

    inv_temperature: FloatArray
    text_rank_bias: FloatArray
    text_top_p: float
    rank_bias: FloatArray
    top_p: float
    penalty: float


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """One stream's frame: hidden [H], uniforms [1 + depth or more], seen [n,W], and ids to take instead of drawing.

    `forced` int64 [1 + depth or more]: channel 0 first, `NOT_FORCED` where to draw; None draws all.
    """

    hidden: FloatArray
    uniforms: FloatArray
    seen: BoolArray
    settings: Settings
    forced: IntArray | None = None


@dataclass(frozen=True, slots=True)
class Frames:
    """What a head gives for B streams: text [B] (a token; 0 go on, 1 end; or None), codes [B,depth], and raw logits.

    text_logits [B, text classes] or None, logits [B,depth,W], before penalty and temperature.
    """

    text: IntArray | None
    codes: IntArray
    text_logits: FloatArray | None
    logits: FloatArray


class LocalHeads:
    """The heads of one generator; each depth is loaded when first asked for."""

    def __init__(self, open_depth: Callable[[int], GraphSession], info: GeneratorInfo) -> None:
        self._open_depth, self._info = open_depth, info
        self._sessions: dict[int, GraphSession] = {}

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return sum(session.busy_s for session in self._sessions.values())

    def draw(self, depth: int, requests: Sequence[FrameRequest]) -> Frames:
        """Draw the first `depth` codes of a frame for each of one stream or more, with the shallowest head that can."""
        exported = next((d for d in self._info.head_depths if d >= depth), None)
        if exported is None or depth < 1:
            raise InputError(f"depth must be from 1 to {self._info.n_vq}, got {depth}")
        if exported not in self._sessions:
            self._sessions[exported] = self._open_depth(exported)
        # Calls of nearly equal size: two of four rows are quicker than one of six and one of two.
        size = -(-len(requests) // -(-len(requests) // ROWS_PER_CALL))
        calls = [
            self._sessions[exported].call(self._feeds(exported, requests[start : start + size]))
            for start in range(0, len(requests), size)
        ]
        found = calls[0]
        if len(calls) > 1:
            found = {name: np.concatenate([call[name] for call in calls]) for name in calls[0]}
        return Frames(
            text=found.get(graph.TEXT),
            codes=found[names.CODES][:, :depth],
            text_logits=found.get(graph.TEXT_LOGITS),
            logits=found[graph.LOGITS][:, :depth],
        )

    def _feeds(self, depth: int, requests: Sequence[FrameRequest]) -> dict[str, Array]:
        channels = 1 + depth
        forced = np.full((len(requests), channels), NOT_FORCED, np.int64)
        for place, request in enumerate(requests):
            if request.forced is not None:
                forced[place] = request.forced[:channels]
        settings = [request.settings for request in requests]
        feeds: dict[str, Array] = {
            names.HIDDEN: np.stack([request.hidden for request in requests]),
            names.UNIFORMS: np.stack([request.uniforms[:channels] for request in requests]),
            names.INV_TEMPERATURE: np.stack([each.inv_temperature[:channels] for each in settings]),
            names.RANK_BIAS: np.stack([each.rank_bias for each in settings]),
            names.TOP_P: np.array([[each.top_p] for each in settings], np.float32),
            names.PENALTY: np.array([[each.penalty] for each in settings], np.float32),
            graph.SEEN: np.stack([request.seen[:depth] for request in requests]),
            graph.FORCED: forced,
        }
        if self._info.text_classes:
            feeds[graph.TEXT_RANK_BIAS] = np.stack([each.text_rank_bias for each in settings])
            feeds[graph.TEXT_TOP_P] = np.array([[each.text_top_p] for each in settings], np.float32)
        return feeds


def head_settings(sampling: PublishedSampling, info: GeneratorInfo) -> Settings:
    """The head's inputs for a way of sampling; InputError when the head does not sort enough ranks for its top-k."""
    text, codes = sampling.text, sampling.codes
    # The first MossTTSLocal takes the likeliest code as it is; all others still penalise before they do.
    unpenalised = info.family is Family.LOCAL and codes.greedy
    return Settings(
        inv_temperature=np.array([_inverse(text), *[_inverse(codes)] * info.n_vq], np.float32),
        text_rank_bias=_rank_bias(text, info.text_ranks, max(1, info.text_classes)),
        text_top_p=_top_p(text),
        rank_bias=_rank_bias(codes, info.code_ranks, info.code_classes),
        top_p=_top_p(codes),
        penalty=1.0 if unpenalised else sampling.repetition_penalty,
    )


def _inverse(rule: ChannelSampling) -> float:
    # The scale of the logits does not matter to the likeliest.
    return 1.0 if rule.greedy else 1 / rule.temperature


def _top_p(rule: ChannelSampling) -> float:
    return rule.top_p if rule.top_p < 1 else _NO_TOP_P


def _rank_bias(rule: ChannelSampling, ranks: int, classes: int) -> FloatArray:
    wanted = 1 if rule.greedy else min(rule.top_k or classes, classes)
    if wanted > ranks:
        raise InputError(
            f"top_k {rule.top_k or 'off'} needs {wanted} ranks, this generator's heads sort {ranks}; "
            "lower top_k, or export it with more ranks"
        )
    bias = np.zeros(ranks, np.float32)
    bias[wanted:] = names.MASKED
    return bias
