"""MossTTSDelay: all codebooks from one hidden state, each a row later than the one before it; drawn in numpy."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .. import names
from ..errors import InputError
from ..sessions import GraphSession
from . import generator_info as graph
from .delay_state import DelayIds, DelayState, advance, begin, forced_token, live_codebooks, masked_logits
from .generator_base import Generator
from .generator_info import GeneratorInfo
from .prompt_memory import PromptMemory
from .row_backbone import RowBackbone
from .sampling_rules import DEFAULTS, FloatArray, PublishedSampling, draw, penalised, probabilities
from .seen_codes import SeenCodes
from .stream_table import StreamTable
from .streams import Stream

IntArray = NDArray[np.int64]


class DelayGenerator(Generator):
    """Generates rows [text id, codes] of the delay pattern; `segments.py` turns them into frames."""

    def __init__(self, backbone: RowBackbone, head: GraphSession, info: GeneratorInfo) -> None:
        self.info, self._head = info, head
        self._ids = DelayIds.of(info)
        self.table = StreamTable(backbone, info)

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return self.table.busy_s + self._head.busy_s

    def open(
        self,
        prompts: Sequence[IntArray],
        sampling: PublishedSampling | None = None,
        *,
        depth: int | None = None,
        seed: int | None = None,
        memory: PromptMemory | None = None,
    ) -> list[Stream]:
        """Begin a stream for each prompt [S,1+n]; all of them share what the penalty has seen."""
        n_vq = self.info.n_vq
        if depth not in (None, n_vq):
            raise InputError(f"depth must be {n_vq}: a delay generator makes all its codebooks, got {depth}")
        seen = SeenCodes.of(self.info)
        wishes = sampling or DEFAULTS[self.info.family]
        streams = self.table.open(prompts, wishes, n_vq, lambda: seen, seed, memory)
        for stream, prompt in zip(streams, prompts, strict=True):
            stream.delay = begin(prompt[:, 0], self._ids)
        return streams

    def step(self, streams: Sequence[Stream]) -> list[IntArray | None]:
        """Generate the next row of each stream; None for one that has stopped."""
        running = [stream for stream in streams if not stream.ended]
        if not running:
            return [None] * len(streams)
        self.table.feed(running)
        found = self._head.call({names.HIDDEN: np.stack([stream.hidden for stream in running])})
        logits = zip(found[graph.TEXT_LOGITS], found[graph.LOGITS], strict=True)
        rows = [self._row(stream, *pair) for stream, pair in zip(running, logits, strict=True)]
        # Noted after the whole step: streams that share a set must not see each other's present row.
        for stream, row in zip(running, rows, strict=True):
            stream.seen.mark(row[None, 1:])
        given = {id(stream): row for stream, row in zip(running, rows, strict=True)}
        return [given.get(id(stream)) for stream in streams]

    def _row(self, stream: Stream, text_logits: FloatArray, logits: FloatArray) -> IntArray:
        state, n_vq = _state(stream), self.info.n_vq
        uniforms = stream.random.random(1 + n_vq, dtype=np.float32)
        row = np.full(1 + n_vq, self._ids.audio_pad, np.int64)
        row[0] = self._token(stream, state, text_logits, uniforms[:1])
        live = live_codebooks(state, n_vq)
        if live.any():
            rule = stream.sampling.codes
            wanted = penalised(logits[live], stream.seen.mask[live], stream.sampling.repetition_penalty)
            row[1:][live] = draw(probabilities(wanted, rule, keep_ties=False), uniforms[1:][live])
        advance(state, int(row[0]), n_vq, self._ids)
        stream.ended, stream.unfed = state.stopped, row[None]
        return row

    def _token(self, stream: Stream, state: DelayState, logits: FloatArray, uniform: FloatArray) -> int:
        forced = forced_token(state, self.info.n_vq, self._ids)
        if forced is not None:
            return forced
        masked = masked_logits(state, logits, self.info.n_vq, self._ids)
        # Within sound only a few tokens may come: sorting the vocabulary for them would take longer than the step.
        able = np.flatnonzero(masked > -np.inf)
        return int(able[draw(probabilities(masked[None, able], stream.sampling.text, keep_ties=False), uniform)[0]])


def _state(stream: Stream) -> DelayState:
    if stream.delay is None:
        raise InputError("this stream was not made by the delay generator's prefill")
    return stream.delay
