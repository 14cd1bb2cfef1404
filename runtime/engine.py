"""The engine: many streams, one step at a time, each step one new frame of every stream that has text for it.

With a local head the frame is made whole. With a delay head a step makes the first layer of the new frame and one more
of each frame before it that is not whole: `Stream.line` tells how deep they are. When such a stream has ended, further
steps make no new frame and finish the last ones.
"""

from collections.abc import Sequence

import numpy as np

from . import names
from .backbone import Backbone, FloatArray, IntArray
from .bundle import Bundle
from .checks import whole
from .cued_feed import CuedFeed, Row
from .delay_line import DelayLine
from .errors import InputError
from .guard import frame_cap
from .history_rows import Block, HistoryRows
from .history_upkeep import age
from .kv_cache import KVCache
from .sampling import head_settings, uniforms
from .stack_head import HeadRow, StackHead
from .step_result import Event, StepResult, failure, note, text_row
from .stream import Stream, StreamSpec, require_depth

MIN_CAPACITY = 1 + names.PRIMER_TOKENS


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
        self._head = StackHead(bundle.head, spec.d_model, manifest.residual_width)
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
        manifest, text = self._manifest, self._manifest.text
        depth = require_depth(spec.depth, manifest)
        settings = head_settings(spec.sampling, manifest.sampling, depth)
        # Loaded here, not at the first frame, which has a listener waiting.
        self._head.load(depth)
        stream = Stream(
            spec=spec,
            depth=depth,
            feed=CuedFeed(spec.target_frames, text.frames_per_token, text.tail_frames, text.foretold_marks),
            draws=np.random.Generator(np.random.PCG64(spec.sampling.seed)),
            settings=settings,
            stack=np.full(manifest.n_vq, manifest.null_code, np.int64),
            recent=np.full((manifest.n_vq, names.PENALTY_WINDOW), manifest.null_code, np.int64),
            hidden=np.zeros(manifest.backbone.d_model, np.float32),
            residuals=np.zeros((depth - 1, manifest.residual_width), np.float32),
            row=self._cache.join(),
            history=self._history(spec, depth),
            line=DelayLine(depth, manifest.n_vq, manifest.null_code) if manifest.head == names.DELAY else None,
        )
        self._streams.append(stream)
        return stream

    def step(self, streams: Sequence[Stream] | None = None) -> list[StepResult]:
        """Advance the given streams (None: all) by a step each; one result for each that is not done yet.

        When a call of several streams breaks off, each is tried alone, and only those fail that fail then.
        """
        for stream in streams or ():
            self._require_own(stream)
        going = [stream for stream in self._streams if not stream.done and (streams is None or stream in streams)]
        held = [StepResult(stream, event) for stream in going if (event := self._hold(stream))]
        ready = [stream for stream in going if not stream.done and stream.ready]
        failed = self._prefill([stream for stream in ready if not stream.feed.begun])
        failed += self._decode([stream for stream in ready if stream.feed.frames])
        return held + failed + self._speak([stream for stream in ready if not stream.done])

    def set_depth(self, stream: Stream, depth: int) -> None:
        """Make the next frames of a stream of a local head at another of the voice's depths; InputError for any other.

        What it was made of so far stays as deep as it was. A delay voice's streams keep their depth.
        """
        if depth == stream.depth:
            return
        if stream.line is not None:
            raise InputError("the depth of a delay voice's stream cannot change while it speaks; begin another stream")
        depth = require_depth(depth, self._manifest)
        self._head.load(depth)
        stream.depth = depth
        stream.settings = head_settings(stream.spec.sampling, self._manifest.sampling, depth)
        stream.stack[depth:] = self._manifest.null_code

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

    @property
    def ages(self) -> bool:
        """Whether a block of history is due, so that there is something to `maintain`."""
        return any(self._due(stream) is not None for stream in self._streams)

    def take_memory(self) -> None:
        """Have the memory of all slots now, rather than page by page as streams grow."""
        self._cache.touch()

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
        """Why a stream makes no step now, if it does not; what is in its delay line then stays as deep as it is."""
        feed, row = stream.feed, stream.row
        if row is None or not stream.ready:
            return Event.PARKED
        full = feed.begun and self._cache.lengths[row] == self._cache.capacity
        if stream.flushing:
            # All has been said: without room only the finest layers of its last frames are missing.
            stream.done = full
            return Event.ENDED if full else None
        cap = frame_cap(feed.tokens_fed, feed.target_frames, self._manifest.text)
        if full or (feed.begun and feed.frames >= cap):
            stream.done = True
            if stream.line is not None:
                stream.line.end()
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

    def _prefill(self, streams: Sequence[Stream]) -> list[StepResult]:
        """Give the backbone each stream's prefix, which begins its row of the cache; returns those that failed."""
        failed: list[StepResult] = []
        for stream in streams:
            text_ids = stream.feed.rows()
            try:
                stream.hidden = self._backbone.prefill(_row(stream), text_ids, stream.stack)
            except Exception as error:
                failed.append(failure(stream, error))
                continue
            if stream.history is not None:
                stream.history.prefix(text_ids, stream.stack)
        return failed

    def _decode(self, streams: Sequence[Stream]) -> list[StepResult]:
        """Give the backbone one more row of each stream, all in one batch; returns those that failed."""
        if not streams:
            return []
        rows = [_row(stream) for stream in streams]
        text_ids = [text_row(stream) for stream in streams]
        codes = [stream.stack for stream in streams]
        before = [self._cache.lengths[row] for row in rows]
        states: list[FloatArray | Exception] = []
        try:
            states += self._backbone.decode(rows, text_ids, codes)
        except Exception:
            for place, row in enumerate(rows):
                appended = self._cache.lengths[row] > before[place]
                states.append(
                    self._backbone.hidden(row) if appended else self._alone(row, text_ids[place], codes[place])
                )
        failed: list[StepResult] = []
        for stream, state, ids in zip(streams, states, text_ids, strict=True):
            if isinstance(state, Exception):
                failed.append(failure(stream, state))
                continue
            stream.hidden = state
            if stream.history is not None:
                stream.history.append(self._cache.lengths[_row(stream)] - 1, ids, stream.stack)
        return failed

    def _alone(self, row: int, text_ids: Row, codes: IntArray) -> FloatArray | Exception:
        """One row of the cache by itself."""
        try:
            return self._backbone.decode([row], [text_ids], [codes])[0]
        except Exception as error:
            return error

    def _speak(self, streams: Sequence[Stream]) -> list[StepResult]:
        """Draw for the next step of each stream, those of one depth in one batch."""
        results: list[StepResult] = []
        for depth in self._manifest.head_depths:
            group = [stream for stream in streams if stream.depth == depth]
            if not group:
                continue
            rows = [self._head_row(stream) for stream in group]
            try:
                drawn = self._head.draw(depth, rows)
            except Exception:
                results += [self._draw_alone(depth, *pair) for pair in zip(group, rows, strict=True)]
                continue
            results += map(note, group, *drawn)
        return results

    def _draw_alone(self, depth: int, stream: Stream, row: HeadRow) -> StepResult:
        try:
            (channel,), (codes,) = self._head.draw(depth, [row])
        except Exception as error:
            return failure(stream, error)
        return note(stream, channel, codes)

    def _head_row(self, stream: Stream) -> HeadRow:
        drawn = uniforms(stream.draws, self._manifest.n_vq)
        return HeadRow(stream.hidden, drawn, stream.feed.channel_bias, stream.recent, stream.settings, stream.residuals)


def _row(stream: Stream) -> int:
    if stream.row is None:
        raise ValueError("the stream was released; admit a new one")
    return stream.row
