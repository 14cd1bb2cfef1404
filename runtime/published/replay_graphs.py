"""A generator taken apart for a replay: its backbone and heads by themselves, and the generator that runs them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .. import names
from ..sessions import GraphSession, open_session
from ..signatures import check_session
from . import generator_info as graph
from .delay_generator import DelayGenerator
from .generator import AnyGenerator
from .generator_info import Family, GeneratorInfo
from .generator_signatures import backbone_signature, delay_head_signature, local_head_signature
from .local_generator import LocalGenerator
from .local_heads import FrameRequest, Frames, LocalHeads, head_settings
from .realtime_generator import RealtimeGenerator
from .row_backbone import RowBackbone, check_rows
from .sampling_rules import GREEDY, ChannelSampling, PublishedSampling

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]
_SLOTS = 2
"""Streams of a reference batch."""


class ReplayGraphs:
    """The graphs of one generator, loaded once.

    Attributes:
        info: sizes and ids.
        generator: runs streams of at most `capacity` rows.
    """

    def __init__(self, folder: Path, info: GeneratorInfo, capacity: int) -> None:
        self.info = info
        backbone = open_session(folder / names.BACKBONE_FILE)
        check_session(backbone, backbone_signature(info), backbone.path)
        self._backbone = RowBackbone(backbone, info, _SLOTS, min(capacity, info.backbone.max_positions))
        self._delay_head: GraphSession | None = None
        self.generator: AnyGenerator
        if info.family is Family.DELAY:
            head = open_session(folder / graph.DELAY_HEAD_FILE)
            check_session(head, delay_head_signature(info), head.path)
            self._delay_head = head
            self.generator = DelayGenerator(self._backbone, head, info)
            return

        def open_depth(depth: int) -> GraphSession:
            session = open_session(folder / names.head_file(depth))
            check_session(session, local_head_signature(info, depth), session.path)
            return session

        self._heads = LocalHeads(open_depth, info)
        kind = RealtimeGenerator if info.family is Family.REALTIME else LocalGenerator
        self.generator = kind(self._backbone, self._heads, info)

    def hidden(self, rows: IntArray) -> FloatArray:
        """The hidden states [S,H] behind every row [S,1+n] of a stream, fed row by row; while no stream is open."""
        rows = check_rows(rows, self.info)
        slot = self._backbone.cache.join()
        states = [self._backbone.append(slot, row[None]) for row in rows]
        self._backbone.cache.leave(slot)
        return np.stack(states)

    def logits(self, hidden: FloatArray, told: IntArray, depth: int) -> tuple[FloatArray | None, FloatArray]:
        """Text logits [S,V] (None without such a channel) and code logits [S,depth,W] behind hidden states [S,H].

        `told` [S,1+n] is what was drawn: channel 0 (a token; 0 for go on), then the codes. A delay head needs none.
        """
        if self._delay_head is not None:
            found = self._delay_head.call({names.HIDDEN: hidden})
            return found[graph.TEXT_LOGITS], found[graph.LOGITS]
        info = self.info
        nothing = np.zeros((info.n_vq, info.code_classes), np.bool_)
        uniforms = np.zeros(1 + info.n_vq, np.float32)
        settings = head_settings(GREEDY, info)
        pairs = zip(hidden, told, strict=True)
        frames = self._draw(depth, [FrameRequest(state, uniforms, nothing, settings, row) for state, row in pairs])
        return frames.text_logits, frames.logits

    def draw(
        self, hidden: FloatArray, seen: NDArray[np.bool_], uniforms: FloatArray, sampling: PublishedSampling
    ) -> Frames:
        """Draw whole frames of a local head behind hidden states [S,H], from uniforms [S,1+n]."""
        settings = head_settings(sampling, self.info)
        inputs = zip(hidden, uniforms, seen, strict=True)
        return self._draw(self.info.n_vq, [FrameRequest(state, u, mask, settings) for state, u, mask in inputs])

    def _draw(self, depth: int, requests: Sequence[FrameRequest]) -> Frames:
        return self._heads.draw(depth, requests)


def likeliest(info: GeneratorInfo, penalty: float = 1.0) -> PublishedSampling:
    """Greedy sampling under a penalty, as the references were made.

    The first MossTTSLocal does not penalise when it is greedy; its references were sampled at next to no temperature.
    """
    if info.family is not Family.LOCAL or penalty == 1:
        return PublishedSampling(GREEDY.text, GREEDY.codes, penalty)
    cold = ChannelSampling(1e-6, top_k=min(50, info.head_ranks))
    return PublishedSampling(cold, cold, penalty)
