"""MossTTSRealtime: text comes in while audio goes out, one token a frame; turns share one stream.

A turn begins when its first twelve tokens are there, or all of a shorter text. From then on every frame takes the next
token; without one the stream waits, and never pads, until the text is said to be complete. Text thus leads
audio by twelve frames. The model ends a turn by the code `audio_eos` in the first codebook.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import BundleError, InputError
from .generator_base import Generator
from .generator_info import GeneratorInfo
from .local_heads import LocalHeads, head_settings
from .prompt_memory import PromptMemory
from .row_backbone import RowBackbone, check_rows
from .sampling_rules import DEFAULTS, PublishedSampling
from .seen_codes import SeenCodes
from .stream_table import StreamTable
from .streams import Stream, TextClock, frame_request

IntArray = NDArray[np.int64]
TEXT_LEAD = 12
"""Tokens a turn wants before its first frame."""


class RealtimeGenerator(Generator):
    """Generates rows [text id fed with this frame, codes]; the row with `audio_eos` is given, and is no sound."""

    def __init__(self, backbone: RowBackbone, heads: LocalHeads, info: GeneratorInfo) -> None:
        self.info, self._heads = info, heads
        ids = info.ids
        if ids.audio_bos is None or ids.audio_eos is None or ids.text_pad is None:
            raise BundleError("the ids of audio_bos, audio_eos and text_pad are not known; export the generator anew")
        self._bos, self._eos, self._text_pad = ids.audio_bos, ids.audio_eos, ids.text_pad
        self.table = StreamTable(backbone, info)

    @property
    def busy_s(self) -> float:
        """Time spent inside ONNX Runtime."""
        return self.table.busy_s + self._heads.busy_s

    def open(
        self,
        prompts: Sequence[IntArray],
        sampling: PublishedSampling | None = None,
        *,
        depth: int | None = None,
        seed: int | None = None,
        memory: PromptMemory | None = None,
    ) -> list[Stream]:
        """Begin a stream for each prompt [S,1+n]; its first turn waits for `push_text`."""
        info = self.info
        if depth not in (None, info.n_vq):
            raise InputError(f"depth must be {info.n_vq}: realtime makes all its codebooks, got {depth}")
        wishes = sampling or DEFAULTS[info.family]
        settings = head_settings(wishes, info)
        streams = self.table.open(prompts, wishes, info.n_vq, lambda: SeenCodes.of(info), seed, memory)
        for stream in streams:
            stream.settings = settings
            stream.clock.began = self.table.fed(stream) + len(self._unfed(stream))
        return streams

    def push_text(self, stream: Stream, tokens: Sequence[int]) -> None:
        """Append tokens to the text of the present turn."""
        if stream.clock.complete and tokens:
            raise InputError("this turn's text has been ended; begin the next turn with next_turn")
        for token in tokens:
            if not 0 <= token < self.info.text_vocabulary:
                raise InputError(f"text id {token} is outside the vocabulary of {self.info.text_vocabulary}")
        stream.clock.tokens.extend(tokens)

    def end_text(self, stream: Stream) -> None:
        """Say that the present turn has all its text."""
        if not stream.clock.frames and not stream.clock.tokens:
            raise InputError("a turn needs at least one token of text; push some before ending it")
        stream.clock.complete = True

    def next_turn(self, stream: Stream, rows: IntArray) -> None:
        """Go on in the same stream with the rows [S,1+n] of the next turn; what the penalty has seen is forgotten.

        The last frame of the turn before, audio_eos or not, is never fed.
        """
        self.begin_turn(stream, rows)
        self.table.feed([stream])

    def begin_turn(self, stream: Stream, rows: IntArray) -> None:
        """As `next_turn`, but the rows are still to be fed, behind what is left of the prompt."""
        checked, left = check_rows(rows, self.info), self._prompt_left(stream)
        stream.unfed = np.concatenate([left, checked])
        stream.clock, stream.ended = TextClock(began=self.table.fed(stream) + len(left)), False
        stream.seen.forget()

    def interrupt(self, stream: Stream, unheard: int) -> None:
        """End a turn early and forget its last so many frames, which nobody has heard, and the text fed with them.

        The next turn then goes on as if the turn had been stopped after what was heard.
        """
        fed = max(0, stream.clock.frames - 1)
        if not 0 <= unheard <= stream.clock.frames:
            raise InputError(f"unheard must be from 0 to the {stream.clock.frames} frames of this turn, got {unheard}")
        self.table.rewind(stream, fed - min(fed, stream.clock.frames - unheard))
        stream.clock, stream.ended = TextClock(complete=True, began=stream.clock.began), True

    def roll_back(self, stream: Stream) -> None:
        """End a turn and forget all of it, its own rows included: `next_turn` then goes on as if it had never been.

        A turn that began with `prefill` has no rows of its own; the prompt stays.
        """
        left = self._prompt_left(stream)
        self.table.rewind(stream, max(0, self.table.fed(stream) - stream.clock.began))
        stream.clock, stream.ended = TextClock(complete=True, began=stream.clock.began), True
        stream.unfed = left if len(left) else None
        stream.seen.forget()

    def waits(self, stream: Stream) -> bool:
        """Whether a stream can only go on with more text, or its end."""
        clock = stream.clock
        if clock.complete or stream.ended:
            return False
        return len(clock.tokens) < (1 if clock.frames else TEXT_LEAD)

    def step(self, streams: Sequence[Stream]) -> list[IntArray | None]:
        """Generate the next frame of each stream; None for one that has ended or waits for text."""
        running = [stream for stream in streams if not stream.ended and not self.waits(stream)]
        if not running:
            return [None] * len(streams)
        for stream in running:
            # Rows are there already when a step before failed for want of room in another stream.
            stream.unfed = self._next_rows(stream) if stream.unfed is None else stream.unfed
        tokens = [int(stream.unfed[-1, 0]) for stream in running if stream.unfed is not None]
        self.table.feed(running)
        frames = self._heads.draw(self.info.n_vq, [frame_request(stream, self.info.n_vq) for stream in running])
        rows: dict[int, IntArray] = {}
        for stream, token, codes in zip(running, tokens, frames.codes, strict=True):
            stream.clock.last_codes, stream.ended = codes, int(codes[0]) == self._eos
            stream.clock.frames += 1
            stream.seen.mark(codes[None])
            rows[id(stream)] = np.concatenate([[token], codes])
        return [rows.get(id(stream)) for stream in streams]

    def _unfed(self, stream: Stream) -> IntArray:
        return np.zeros((0, 1 + self.info.n_vq), np.int64) if stream.unfed is None else stream.unfed

    def _prompt_left(self, stream: Stream) -> IntArray:
        """The rows ahead of the present turn's own that are still to be fed."""
        return self._unfed(stream)[: max(0, stream.clock.began - self.table.fed(stream))]

    def _next_rows(self, stream: Stream) -> IntArray:
        """What the backbone gets before the next frame: at first the text that leads, then a token and a frame."""
        clock = stream.clock
        count = 1 if clock.frames else min(TEXT_LEAD, len(clock.tokens))
        rows = np.full((count, 1 + self.info.n_vq), self.info.ids.audio_pad, np.int64)
        rows[:, 0] = [clock.tokens.popleft() if clock.tokens else self._text_pad for _ in range(count)]
        if clock.last_codes is None:
            rows[-1, 1] = self._bos
        else:
            rows[0, 1:] = clock.last_codes
        return rows
