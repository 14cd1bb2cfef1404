"""One sentence on its way from codes to chunks: which frames are decoded when, how deep, and what is told of them."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .chunk import Chunk, WordTiming
from .codec import Codec, CodecState
from .doubt import CLEAR_LAYERS, Doubt, Reason, Watch
from .lead_in import AUDIBLE, LeadIn
from .listener import Listener
from .manifest import Manifest
from .step_result import Event, StepResult
from .stream import Stream
from .warm_up import Estimate, Lead, Need, Pace, WarmUp, frames_due

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float32]


@dataclass(slots=True)
class Progress:
    """How far an utterance is.

    Samples given out, and the lead they make; chunks since the last of so many waits for text, and how long those took.
    lead_in: what takes away the silence at its beginning, None where the length was asked for. quiet: samples of
    silence that the sound so far ends with. played_depth: how many layers of a frame are heard at most, None for all
    that were made.
    """

    samples: int = 0
    chunks: int = 0
    waits: int = 0
    lead: Lead = field(default_factory=Lead)
    wait: Estimate = field(default_factory=Estimate)
    lead_in: LeadIn | None = None
    quiet: int = 0
    played_depth: int | None = None

    def ends_with(self, pcm: FloatArray) -> None:
        """Note what was given out last, for the silence at its end."""
        loud = np.flatnonzero(np.abs(pcm) > AUDIBLE)
        self.quiet = len(pcm) - 1 - int(loud[-1]) if loud.size else self.quiet + len(pcm)

    def waited(self, waits: int) -> None:
        """Note that text was waited for; whoever listens has been waiting too."""
        if waits > self.waits:
            self.waits, self.chunks = waits, 0


@dataclass(slots=True)
class Studio:
    """What all sentences of a speaker share: the decoder, how long it and a step take, by which clock, and who listens.

    listener: tells which words are doubtful; None in a voice that has none.
    """

    codec: Codec
    manifest: Manifest
    clock: Callable[[], float]
    pace: Pace = field(default_factory=Pace.begin)
    listener: Listener | None = None


class SentenceSound:
    """The sound of one stream.

    `warm_up` is for a delay voice only. `has_spoken` tells whether it spoke since it was last PARKED.
    """

    def __init__(self, stream: Stream, studio: Studio, progress: Progress, warm_up: WarmUp | None) -> None:
        self.has_spoken = False
        self._stream, self._studio, self._progress, self._warm_up = stream, studio, progress, warm_up
        self._frame_s = 1 / studio.manifest.frame_rate_hz
        self._state = studio.codec.begin()
        self._begin = progress.samples
        self._words_told = 0
        self._watch = None if studio.listener is None else Watch(studio.listener, stream.feed)
        # Stacks of a local voice that wait to be decoded; those of a delay voice are in its line, from `_given` on.
        self._whole: list[IntArray] = []
        self._given = 0
        # What was handed to the decoder and is told with the next sound.
        self._depths: list[int] = []
        self._codes: list[IntArray] = []

    def take(self, result: StepResult) -> None:
        """Take note of a step of the stream."""
        if result.event is Event.SPOKEN:
            self.has_spoken = True
            if self._stream.line is None and result.codes is not None:
                self._whole.append(result.codes)

    @property
    def waiting(self) -> list[int]:
        """The depths of the frames that were made and not given out, oldest first."""
        line = self._stream.line
        if line is None:
            return [len(codes) for codes in self._whole]
        return [line.depth_of(frame) for frame in range(self._given, line.frames)]

    def due(self, wanted: int, *, parked: bool = False) -> int:
        """How many frames are to be given out before anything else is done; all that are left when none will come.

        `wanted`: how many are worth a decoder call. `parked`: the next thing to be done is to wait for text.
        """
        waiting = self.waiting
        if self._stream.done:
            return len(waiting)
        if self._warm_up is None:
            return len(waiting) if parked or len(waiting) >= wanted else 0
        lead, pace = self._progress.lead, self._studio.pace
        # How long text takes to come cannot be known; until some was waited for, it may take forever.
        wait = self._progress.wait
        wait_s = (wait.seconds if wait.known else math.inf) if parked else 0.0
        need = Need(lead.begun, lead.left_s(self._studio.clock()), pace.needed_s(wait_s), wanted)
        return frames_due(waiting, self._stream.depth, self._warm_up, need, self._frame_s)

    def chunk(self, count: int, event: Event) -> Chunk:
        """Decode so many frames more, and wrap them."""
        if not count:
            return self.wrapped(None, event)
        piece = self.piece(count)
        began_s = self._studio.clock()
        (pcm,) = self._studio.codec.decode([piece])
        self._studio.pace.decode.note(self._studio.clock() - began_s)
        return self.wrapped(pcm, event)

    def piece(self, count: int) -> tuple[CodecState, IntArray]:
        """The next frames, as deep as they are to be heard, for the decoder."""
        n_vq = self._studio.manifest.n_vq
        played = n_vq if self._progress.played_depth is None else self._progress.played_depth
        depths = [min(depth, played) for depth in self.waiting[:count]]
        self._depths += depths
        stacks = self._stacks(count)
        if self._watch is not None and min(depths) < min(CLEAR_LAYERS, self._studio.manifest.sampling.depth):
            self._watch.blind = self._given
        stacks[:, played:] = self._studio.manifest.null_code
        self._codes.append(stacks)
        return self._state, stacks

    def wrapped(self, pcm: FloatArray | None, event: Event) -> Chunk:
        """What was decoded of `piece`; the last chunk of the sentence takes along what the decoder held back."""
        studio, progress = self._studio, self._progress
        parts = [np.zeros(0, np.float32) if pcm is None else pcm]
        if self._stream.done:
            parts.append(studio.codec.flush(self._state))
        if event is Event.PARKED:
            self.has_spoken = False
        sound = np.concatenate(parts)
        pcm = self._audible(sound)
        depths: tuple[int, ...] = ()
        codes = np.zeros((0, studio.manifest.n_vq), np.int64)
        if len(pcm) or self._stream.done:
            # Frames whose sound is still held back are told with the first sound, of which they are a part.
            depths, codes = tuple(self._depths), np.concatenate([codes, *self._codes])
            self._depths, self._codes = [], []
        start, rate = progress.samples, studio.manifest.sample_rate_hz
        progress.samples += len(pcm)
        progress.ends_with(pcm)
        progress.chunks += 1
        if len(pcm):
            progress.lead.give(studio.clock(), len(pcm) / rate)
        # A chunk made while the last frames only gain layers is speech like any other.
        told = Event.SPOKEN if event is Event.DEEPENED else event
        # A chunk without sound may not be given out, and its words would be lost with it.
        words = tuple(self._words()) if len(pcm) or self._stream.done else ()
        return Chunk(pcm, start / rate, words, told, depths, codes, tuple(self._doubts(sound)))

    def _audible(self, pcm: FloatArray) -> FloatArray:
        """The same without the silence that the utterance begins with; all times move along."""
        lead_in = self._progress.lead_in
        if lead_in is None:
            return pcm
        before = lead_in.trimmed
        pcm = lead_in.cut(pcm, is_last=self._stream.done)
        self._begin -= lead_in.trimmed - before
        return pcm

    def _stacks(self, count: int) -> IntArray:
        """The stacks [count, n_vq] of the next frames, as deep as they are."""
        self._given += count
        if self._stream.line is not None:
            return self._stream.line.stacks(self._given - count, self._given)
        manifest = self._studio.manifest
        stacks = np.full((count, manifest.n_vq), manifest.null_code, np.int64)
        # A scheduler may change the depth of a stream between frames.
        for stack, codes in zip(stacks, self._whole, strict=False):
            stack[: len(codes)] = codes
        del self._whole[:count]
        return stacks

    def _words(self) -> Iterator[WordTiming]:
        """Words not told yet that begin before the last sample given out; at the end of the sentence all of them.

        A sentence that was cut off has no end: the words it did not come to are said again and told then.
        """
        feed, manifest = self._stream.feed, self._studio.manifest
        last = feed.ended and self._stream.done
        for cue in feed.words[self._words_told :]:
            # A cue runs ahead of the sound, so the last ones may point beyond the end.
            frame = min(cue.frame, max(feed.frames - 1, 0)) if feed.ended else cue.frame
            begin = max(self._begin + frame * manifest.frame_samples, 0)
            if begin >= self._progress.samples and not last:
                return
            self._words_told += 1
            yield WordTiming(cue.text, begin / manifest.sample_rate_hz)

    def _doubts(self, pcm: FloatArray) -> Iterator[Doubt]:
        """What is doubtful once this sound has been made too, which still has the silence it began with."""
        feed, rate = self._stream.feed, self._studio.manifest.sample_rate_hz
        if self._watch is not None:
            for found in self._watch.hear(pcm, is_last=self._stream.done):
                yield Doubt(found.word, self._second(found.start), self._second(found.end), found.reason)
        if self._stream.done and not feed.ended:
            begun = [word for word in feed.words if word.frame < feed.frames]
            word, frame = (begun[-1].text, begun[-1].frame) if begun else ("", 0)
            yield Doubt(word, self._second(frame), self._progress.samples / rate, Reason.CUT_OFF)

    def _second(self, frame: int) -> float:
        """When a frame of this sentence begins, in seconds of the utterance."""
        manifest = self._studio.manifest
        return max(self._begin + frame * manifest.frame_samples, 0) / manifest.sample_rate_hz
