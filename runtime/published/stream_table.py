"""The streams of one generator: their places in the caches, and the rows the backbone has yet to take."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import CapacityError, InputError
from .generator_info import GeneratorInfo
from .prompt_memory import PromptMemory
from .row_backbone import RowBackbone, check_rows
from .sampling_rules import PublishedSampling
from .seen_codes import SeenCodes
from .streams import Stream

IntArray = NDArray[np.int64]


class StreamTable:
    """The streams by their slots, and the backbone they share."""

    def __init__(self, backbone: RowBackbone, info: GeneratorInfo) -> None:
        self._backbone, self._info = backbone, info
        self._streams: list[Stream] = []

    def open(
        self,
        prompts: Sequence[IntArray],
        sampling: PublishedSampling,
        depth: int,
        seen: Callable[[], SeenCodes],
        seed: int | None,
        memory: PromptMemory | None = None,
    ) -> list[Stream]:
        """A stream for each prompt, not fed yet; InputError or CapacityError, and no stream, when one does not fit."""
        checked = [check_rows(prompt, self._info) for prompt in prompts]
        cache = self._backbone.cache
        if len(prompts) > cache.slots - cache.rows:
            raise CapacityError(
                f"{len(prompts)} streams do not fit: {cache.rows} of {cache.slots} slots are taken; release some first"
            )
        for rows in checked:
            if len(rows) >= cache.capacity:
                raise CapacityError(
                    f"a prompt of {len(rows)} rows leaves no room in {cache.capacity}; shorten its text or its voice"
                )
        streams = [self._join(rows, sampling, depth, seen(), seed, place) for place, rows in enumerate(checked)]
        if memory is not None:
            for stream in streams:
                self._recall(stream, memory)
        return streams

    def close(self, stream: Stream) -> None:
        """Free a stream's slot; the last stream moves into it."""
        moved = self._backbone.cache.leave(stream.slot)
        last = self._streams.pop()
        if moved is not None:
            last.slot = stream.slot
            self._streams[stream.slot] = last

    @property
    def busy_s(self) -> float:
        """Time the backbone spent inside ONNX Runtime."""
        return self._backbone.busy_s

    def fed(self, stream: Stream) -> int:
        """How many rows a stream has fed so far."""
        return self._backbone.cache.lengths[stream.slot]

    def room(self, stream: Stream) -> int:
        """How many rows there still is room for."""
        return self._backbone.cache.capacity - self.fed(stream)

    def rewind(self, stream: Stream, rows: int) -> None:
        """Forget the last so many rows a stream has fed."""
        self._backbone.cache.lengths[stream.slot] -= rows

    def remember(self, stream: Stream, rows: IntArray) -> PromptMemory:
        """What the rows [S,1+n] a stream has fed so far, no more and no fewer, have left in the caches."""
        if len(rows) != self.fed(stream):
            raise InputError(f"the stream has fed {self.fed(stream)} rows, not {len(rows)}")
        return PromptMemory.copied(self._backbone.cache, stream.slot, rows, stream.depth)

    def feed_part(self, stream: Stream, count: int) -> int:
        """Give the backbone at most `count` of a stream's unfed rows; returns how many are left."""
        if stream.unfed is None:
            return 0
        part, rest = stream.unfed[:count], stream.unfed[count:]
        stream.hidden = self._backbone.append(stream.slot, self._cut(stream, part))
        stream.unfed = rest if len(rest) else None
        return len(rest)

    def feed(self, streams: Sequence[Stream]) -> None:
        """Give the backbone every row that is still unfed: prompts one by one, single rows in one call.

        When that fails for one stream, nothing has been fed of any.
        """
        before = [(stream, stream.unfed, self.fed(stream)) for stream in streams]
        try:
            self._feed(streams)
        except Exception:
            for stream, unfed, fed in before:
                stream.unfed, self._backbone.cache.lengths[stream.slot] = unfed, fed
            raise

    def _feed(self, streams: Sequence[Stream]) -> None:
        for stream in streams:
            if stream.unfed is not None and len(stream.unfed) > 1:
                stream.hidden = self._backbone.append(stream.slot, self._cut(stream, stream.unfed))
                stream.unfed = None
        waiting = sorted((each for each in streams if each.unfed is not None), key=lambda each: each.slot)
        rows = [self._cut(stream, stream.unfed)[0] for stream in waiting if stream.unfed is not None]
        hidden = self._backbone.step([stream.slot for stream in waiting], rows)
        for stream, state in zip(waiting, hidden, strict=True):
            stream.hidden, stream.unfed = state, None

    def _join(
        self, rows: IntArray, sampling: PublishedSampling, depth: int, seen: SeenCodes, seed: int | None, place: int
    ) -> Stream:
        # The streams of one call must not draw alike.
        random = np.random.default_rng(None if seed is None else [seed, place])
        hidden = np.zeros(self._info.backbone.d_model, np.float32)
        stream = Stream(self._backbone.cache.join(), sampling, depth, seen, random, rows, hidden)
        stream.seen.mark_prompt(rows[:, 1:])
        self._streams.append(stream)
        return stream

    def _recall(self, stream: Stream, memory: PromptMemory) -> None:
        """Put back what the first rows of a prompt once left in the caches, and feed only the others."""
        if stream.unfed is None or (memory.depth != stream.depth and self._info.nulls_above_depth):
            return  # rows of another depth are other rows
        # The hidden state behind the last row is not remembered.
        count = min(memory.shared_with(stream.unfed), len(stream.unfed) - 1)
        memory.restore(self._backbone.cache, stream.slot, count)
        stream.unfed = stream.unfed[count:]

    def _cut(self, stream: Stream, rows: IntArray) -> IntArray:
        """Rows with null codes where the first MossTTSLocal leaves out the codebooks it does not generate."""
        if stream.depth == self._info.n_vq or not self._info.nulls_above_depth:
            return rows
        rows = rows.copy()
        rows[:, 1 + stream.depth :] = self._info.null_code
        return rows
