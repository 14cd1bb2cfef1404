"""The engine: many streams, one step at a time, each step one new frame of every stream that has text for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from . import names
from .backbone import Backbone, IntArray
from .bundle import Bundle
from .cued_feed import CuedFeed
from .errors import InputError
from .guard import frame_cap
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

    `capacity` is how many positions (prefix and frames) a stream may have; memory is taken as streams grow.
    """

    def __init__(self, bundle: Bundle, slots: int = 8, capacity: int = names.MAX_POSITIONS) -> None:
        manifest, spec = bundle.manifest, bundle.manifest.backbone
        if slots < 1:
            raise InputError(f"slots must be at least 1, got {slots}")
        if not MIN_CAPACITY <= capacity <= spec.max_positions:
            raise InputError(f"capacity must be from {MIN_CAPACITY} to {spec.max_positions}, got {capacity}")
        self._manifest = manifest
        self._session = bundle.backbone()
        self._cache = KVCache(slots, spec.layers, spec.kv_heads, spec.head_dim, capacity)
        self._backbone = Backbone(self._session, self._cache, manifest.n_vq, spec.d_model)
        self._head = LocalHead(bundle.head, spec.d_model)
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
        """Begin a stream, whose text is to be pushed to its `feed`; CapacityError when all slots are taken."""
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
        )
        self._streams.append(stream)
        return stream

    def step(self, streams: Sequence[Stream] | None = None) -> list[StepResult]:
        """Advance the given streams (None: all) by a frame each; one result for each that is not done yet."""
        going = [stream for stream in self._streams if not stream.done and (streams is None or stream in streams)]
        held = [StepResult(stream, event) for stream in going if (event := self._hold(stream))]
        ready = [stream for stream in going if not stream.done and stream.feed.ready]
        self._prefill([stream for stream in ready if not stream.feed.begun])
        self._decode([stream for stream in ready if stream.feed.frames])
        return held + self._speak(ready)

    def release(self, stream: Stream) -> None:
        """Give a stream's slot back, whether it has ended or not; once more does no harm."""
        if stream.row is None:
            return
        moved = self._cache.leave(stream.row)
        last = self._streams.pop()
        if moved is not None:
            self._streams[stream.row] = last
            last.row = stream.row
        stream.row, stream.done = None, True

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

    def _prefill(self, streams: Sequence[Stream]) -> None:
        """Give the backbone each stream's prefix, which begins its row of the cache."""
        for stream in streams:
            stream.hidden = self._backbone.prefill(_row(stream), stream.feed.rows(), stream.stack)

    def _decode(self, streams: Sequence[Stream]) -> None:
        """Give the backbone one more row of each stream, all in one batch."""
        if not streams:
            return
        text_ids = [stream.feed.rows()[0] for stream in streams]
        codes = [stream.stack for stream in streams]
        hidden = self._backbone.decode([_row(stream) for stream in streams], text_ids, codes)
        for stream, state in zip(streams, hidden, strict=True):
            stream.hidden = state

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
    stream.stack[: stream.depth] = codes
    stream.recent[: stream.depth, stream.feed.frames % names.PENALTY_WINDOW] = codes
    return StepResult(stream, Event.SPOKEN, codes)


def _row(stream: Stream) -> int:
    if stream.row is None:
        raise ValueError("the stream was released; admit a new one")
    return stream.row
