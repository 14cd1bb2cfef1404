"""The engine: many streams, one step at a time, each step one new frame of every stream that has text for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from . import names
from .backbone import Backbone, IntArray
from .bundle import Bundle
from .checks import whole
from .cued_feed import CuedFeed
from .guard import frame_cap
from .history_rows import Block, HistoryRows
from .history_upkeep import age
from .kv_cache import KVCache
from .local_head import HeadRow, LocalHead
from .sampling import head_settings, uniforms
from .stream import Stream, StreamSpec, require_depth

MIN_CAPACITY = 1 + names.PRIMER_TOKENS


class Event(StrEnum):
    """What a step did to a stream: made a frame, found no text to go on with, saw its end, or cut a runaway off."""

    SPOKEN = "spoken"
    PARKED = "parked"
    ENDED = "ended"
    CAPPED = "capped"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did to one stream; `codes` int64 [depth] when it was SPOKEN."""

    stream: Stream
    event: Event
    codes: IntArray | None = None


class Engine:
    """Generates up to `slots` streams of one voice at once; to be used by one thread at a time.

    `capacity` is how many positions (prefix and frames) a stream may have, by default all that the voice has; memory
    is taken as streams grow. BundleError when a graph needed at the voice's own depth cannot be used.
    """

    def __init__(self, bundle: Bundle, slots: int = 8, capacity: int | None = None) -> None:
        manifest, spec = bundle.manifest, bundle.manifest.backbone
        slots = whole("slots", slots, 1)
        if capacity is None:
            capacity = spec.max_positions
        capacity = whole("capacity", capacity, MIN_CAPACITY, spec.max_positions)
        self._manifest = manifest
        self._session = bundle.backbone()
        self._cache = KVCache(slots, spec.layers, spec.kv_heads, spec.head_dim, capacity)
        self._backbone = Backbone(self._session, self._cache, manifest.n_vq, spec.d_model)
        self._head = LocalHead(bundle.head, spec.d_model)
        self._head.load(manifest.sampling.depth)
        self._streams: list[Stream] = []

    @property
    def streams(self) -> tuple[Stream, ...]:
        """The streams admitted and not yet released."""
        return tuple(self._streams)

    @property
    def busy_s(self) -> tuple[float, float]:
        """Seconds spent inside ONNX Runtime so far: in the backbone, in the heads."""
        return self._session.busy_s, self._head.busy_s

    def admit(self, spec: StreamSpec) -> Stream:
        """Begin a stream, whose text is to be pushed to its `feed`; CapacityError when all slots are taken.

        BundleError when the head of its depth, opened at the first stream of that depth, cannot be used.
        """
        manifest = self._manifest
        depth = require_depth(spec.depth, manifest)
        settings = head_settings(spec.sampling, manifest.sampling, depth)
        # Loaded here, not at the first frame, which has a listener waiting.
        self._head.load(depth)
        stream = Stream(
            spec=spec,
            depth=depth,
            feed=CuedFeed(spec.target_frames),
            draws=np.random.Generator(np.random.PCG64(spec.sampling.seed)),
            settings=settings,
            stack=np.full(manifest.n_vq, manifest.null_code, np.int64),
            recent=np.full((manifest.n_vq, names.PENALTY_WINDOW), manifest.null_code, np.int64),
            hidden=np.zeros(manifest.backbone.d_model, np.float32),
            row=self._cache.join(),
            history=self._history(spec, depth),
        )
        self._streams.append(stream)
        return stream

    def step(self, streams: Sequence[Stream] | None = None) -> list[StepResult]:
        """Advance the given streams (None: all) by a frame each; one result for each that is not done yet."""
        for stream in streams or ():
            self._require_own(stream)
        going = [stream for stream in self._streams if not stream.done and (streams is None or stream in streams)]
        held = [StepResult(stream, event) for stream in going if (event := self._hold(stream))]
        ready = [stream for stream in going if not stream.done and stream.feed.ready]
        self._prefill([stream for stream in ready if not stream.feed.begun])
        self._decode([stream for stream in ready if stream.feed.frames])
        return held + self._speak(ready)

    def maintain(self) -> bool:
        """Age one block of one stream's history, the most overdue; whether there is more to do.

        A unit of work for when nothing is urgent: it takes about as long as a few rows of prefill. A stream that is
        never maintained is only remembered longer, and grows until its capacity ends it.
        """
        due = [(block.overdue, stream, block) for stream in self._streams if (block := self._due(stream))]
        if not due:
            return False
        _, stream, block = max(due, key=lambda entry: entry[0])
        if stream.history is not None:
            age(block, stream.history, _row(stream), self._backbone, self._cache)
        return len(due) > 1 or self._due(stream) is not None

    def release(self, stream: Stream) -> None:
        """Give a stream's slot back, whether it has ended or not; once more does no harm."""
        if stream.row is None:
            return
        self._require_own(stream)
        moved = self._cache.leave(stream.row)
        last = self._streams.pop()
        if moved is not None:
            self._streams[stream.row] = last
            last.row = stream.row
        stream.row, stream.done = None, True

    def _require_own(self, stream: Stream) -> None:
        """ValueError for a stream of another engine; one that was released belongs to none and is done."""
        row = stream.row
        if row is not None and (row >= len(self._streams) or self._streams[row] is not stream):
            raise ValueError("the stream belongs to another engine; use the one that admitted it")

    def _hold(self, stream: Stream) -> Event | None:
        """Why a stream gets no frame in this step, if it does not."""
        feed, row = stream.feed, stream.row
        if row is None or not feed.ready:
            return Event.PARKED
        cap = frame_cap(feed.tokens_fed, feed.target_frames, self._manifest.text)
        if feed.begun and (feed.frames >= cap or self._cache.lengths[row] == self._cache.capacity):
            stream.done = True
            return Event.CAPPED
        return None

    def _history(self, spec: StreamSpec, depth: int) -> HistoryRows | None:
        manifest = self._manifest
        if spec.history.is_full:
            return None
        return HistoryRows.begin(
            spec.history, depth, manifest.frame_rate_hz, self._cache.capacity, manifest.null_code, manifest.n_vq
        )

    def _due(self, stream: Stream) -> Block | None:
        """The block of a stream's history that is to age next."""
        if stream.history is None or stream.done:
            return None
        return stream.history.due(self._cache.lengths[_row(stream)])

    def _prefill(self, streams: Sequence[Stream]) -> None:
        """Give the backbone each stream's prefix, which begins its row of the cache."""
        for stream in streams:
            text_ids = stream.feed.rows()
            stream.hidden = self._backbone.prefill(_row(stream), text_ids, stream.stack)
            if stream.history is not None:
                stream.history.prefix(text_ids, stream.stack)

    def _decode(self, streams: Sequence[Stream]) -> None:
        """Give the backbone one more row of each stream, all in one batch."""
        if not streams:
            return
        text_ids = [stream.feed.rows()[0] for stream in streams]
        codes = [stream.stack for stream in streams]
        hidden = self._backbone.decode([_row(stream) for stream in streams], text_ids, codes)
        for stream, state, ids in zip(streams, hidden, text_ids, strict=True):
            stream.hidden = state
            if stream.history is not None:
                stream.history.append(self._cache.lengths[_row(stream)] - 1, ids, stream.stack)

    def _speak(self, streams: Sequence[Stream]) -> list[StepResult]:
        """Draw the next frame of each stream, those of one depth in one batch."""
        results: list[StepResult] = []
        for depth in self._manifest.head_depths:
            group = [stream for stream in streams if stream.depth == depth]
            if group:
                channels, codes = self._head.draw(depth, [self._head_row(stream) for stream in group])
                results += map(_note, group, channels, codes)
        return results

    def _head_row(self, stream: Stream) -> HeadRow:
        drawn = uniforms(stream.draws, self._manifest.n_vq)
        return HeadRow(stream.hidden, drawn, stream.feed.channel_bias, stream.recent, stream.settings)


def _note(stream: Stream, channel: int, codes: IntArray) -> StepResult:
    """Write a drawn frame into its stream."""
    stream.feed.heed(channel)
    if stream.feed.ended:
        stream.done = True
        return StepResult(stream, Event.ENDED)
    # What the backbone is told of it: no more than the newest band of its history keeps.
    depth = stream.depth if stream.history is None else stream.history.depths[0]
    stream.stack[:depth] = codes[:depth]
    stream.recent[: stream.depth, stream.feed.frames % names.PENALTY_WINDOW] = codes
    return StepResult(stream, Event.SPOKEN, codes)


def _row(stream: Stream) -> int:
    if stream.row is None:
        raise ValueError("the stream was released; admit a new one")
    return stream.row
