"""Many utterances spoken at once by one published generator: one batch of steps, and one of decoding, at a time.

This is what a scheduler drives. It is synchronous, used by one thread, and never waits for text.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..step_result import Event
from ..utterance import Advance, StepTimes
from .bundle import PublishedBundle
from .generator_info import Family
from .published_voice import common_rows
from .realtime_generator import RealtimeGenerator
from .speech import Instruments, PromptedSpeech, Speech
from .speech_request import Drawing, PublishedManner, check_style
from .streams import Stream
from .studio import PublishedStudio
from .turns import Talk, TurnSpeech
from .utterance import PublishedChunk

IntArray = NDArray[np.int64]
_PLAIN = PublishedManner()


@dataclass(frozen=True, slots=True)
class PublishedAdvanced:
    """The step of one speech. frames: how many were made; pending: how many are not decoded; chunk: what was.

    rows_left: rows of its prompt that must be prefilled before it goes on.
    """

    speech: Speech
    advance: Advance
    frames: int = 0
    pending: int = 0
    chunk: PublishedChunk | None = None
    error: Exception | None = None
    rows_left: int = 0


class PublishedEnsemble(PublishedStudio):
    """A bundle's generator and codec for up to `slots` utterances, or conversations, of `capacity` rows each."""

    def __init__(
        self,
        bundle: PublishedBundle,
        slots: int,
        *,
        capacity: int | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        super().__init__(bundle, slots=slots, capacity=capacity)
        self.times = StepTimes()
        self._clock = clock
        self._talks: dict[int, Talk] = {}
        rows = common_rows(None, self.info, self._tokenizer)
        (stream,) = self._generator.prefill([rows])
        memory = self._generator.table.remember(stream, rows)
        self._generator.release(stream)
        self._instruments = Instruments(self._generator, self._decoder, self._tokenizer, self._capacity, memory)

    @property
    def busy_s(self) -> float:
        """Seconds spent inside ONNX Runtime so far."""
        return self._generator.busy_s + self._decoder.busy_s

    @property
    def converses(self) -> bool:
        """Whether the utterances of a conversation go on from each other."""
        return self.info.family is Family.REALTIME

    @property
    def depths(self) -> tuple[int, ...]:
        """How many layers an utterance may have: all, or those of a head where the family can make fewer."""
        takes_fewer = self.info.family in (Family.LOCAL, Family.NANO)
        return self.info.head_depths if takes_fewer else (self.info.n_vq,)

    def begin(
        self,
        manner: PublishedManner = _PLAIN,
        *,
        seed: int | None = None,
        depth: int | None = None,
        conversation: int | None = None,
    ) -> Speech:
        """An utterance that has no text yet; it takes a slot from its first prompt to its end.

        Those of one `conversation`, a number of the caller's, go on from each other where the family can do that. The
        slot is then the conversation's, to `end_conversation`, and so are voice, sampling and seed of its first one.
        """
        self.check(manner, depth)
        how = Drawing(manner.sampling, seed, depth)
        if self.info.family is Family.REALTIME:
            return TurnSpeech(self._instruments, manner, how, self._talks, conversation)
        return PromptedSpeech(self._instruments, manner, how)

    def check(self, manner: PublishedManner, depth: int | None) -> None:
        """InputError for what this bundle cannot do; may be called by any thread."""
        self._require_own(manner.voice)
        check_style(manner.style, self.info.family)
        if depth is not None and depth not in self.depths:
            raise InputError(f"depth must be one of {self.depths}, which this bundle has heads for, got {depth!r}")

    def prefill(self, speech: Speech, rows: int) -> int:
        """Feed at most so many rows of an utterance's prompt; returns how many were fed. None is known before a step.

        Raises whatever breaks it off; the utterance is then to be released.
        """
        return speech.prefill(rows)

    def step(self, chosen: Sequence[tuple[Speech, int]]) -> list[PublishedAdvanced]:
        """Advance some utterances by a row each, and decode of each whole chunks of its number of frames.

        What ends, or parks, is decoded to its end. One that fails does not touch the others.
        """
        failed: dict[Speech, Exception] = {}
        ready = [speech for speech, _ in chosen if self._ready(speech, failed)]
        able = [speech for speech in ready if not speech.rows_left]
        began_s = self._clock()
        stepped = set(self._generate(able, failed))
        engine_s = self._clock() - began_s
        began_s = self._clock()
        due = [
            speech
            for speech, frames in chosen
            if speech not in failed and _is_due(speech, frames, parked=speech not in ready)
        ]
        decoded = self._decode(due, failed)
        self.times = StepTimes(engine_s, self._clock() - began_s, decoded)
        given = {speech: _chunk(speech, parked=speech not in ready) for speech in due if speech not in failed}
        return [
            self._advanced(speech, speech in ready, speech in stepped, given.get(speech), failed)
            for speech, _ in chosen
        ]

    def release(self, speech: Speech) -> None:
        """Give up an utterance, at any time, as if it had never been; once more does no harm."""
        speech.give_up()

    def heard(self, speech: Speech, seconds: float) -> None:
        """So much of an utterance was heard; it ends there, even when it is done, and the next goes on from that.

        Of one that is not the newest of its conversation any more nothing can be forgotten.
        """
        speech.stop_behind(seconds)

    def end_conversation(self, conversation: int) -> None:
        """Give a conversation's slot back; of one that is not known does no harm."""
        if talk := self._talks.pop(conversation, None):
            talk.close()

    def rehearse(self, depth: int, batch: int, frames: Sequence[int], prompt_rows: int) -> "Iterator[Rehearsal]":
        """Speak nonsense with so many utterances, in turn decoding each number of frames; tells what that takes."""
        table, n_vq = self._generator.table, self.info.n_vq
        prompt = np.zeros((prompt_rows, 1 + n_vq), np.int64)
        began_s = self._clock()
        streams: list[Stream] = []
        try:
            for place in range(batch):
                streams += self._generator.prefill([prompt], depth=depth, seed=place)
            prefill_s = (self._clock() - began_s) / batch
            states = [self._decoder.begin() for _ in streams]
            self._give_nonsense(streams, sum(frames))
            for count in frames:
                going, step_s = streams, 0.0
                for _ in range(count):
                    going = [each for each in streams if not each.ended and table.room(each) > 1]
                    began_s = self._clock()
                    if going:
                        self._generator.step(going)
                    step_s = self._clock() - began_s
                began_s = self._clock()
                self._decoder.decode(states, [np.zeros((count, depth), np.int64)] * batch)
                yield Rehearsal(prompt_rows, prefill_s, len(going), step_s, batch * count, self._clock() - began_s)
        finally:
            for stream in reversed(streams):
                self._generator.release(stream)

    def _give_nonsense(self, streams: Sequence[Stream], frames: int) -> None:
        if isinstance(self._generator, RealtimeGenerator):
            for stream in streams:
                self._generator.push_text(stream, [0] * frames)
                self._generator.end_text(stream)

    def _ready(self, speech: Speech, failed: dict[Speech, Exception]) -> bool:
        try:
            return speech.ready()
        except Exception as error:
            failed[speech] = error
            return False

    def _generate(self, able: list[Speech], failed: dict[Speech, Exception]) -> list[Speech]:
        """A row of each, in one step; those of which there is one."""
        streams = [speech.stream for speech in able if speech.stream is not None]
        fed = [self._generator.table.fed(stream) for stream in streams]
        try:
            rows = self._generator.step(streams)
        except Exception as error:
            if len(able) == 1 or fed != [self._generator.table.fed(stream) for stream in streams]:
                failed.update(dict.fromkeys(able, error))
                return []
            # Nothing has been fed of any, so each can be stepped by itself, and who breaks the step off is found.
            return [speech for each in able for speech in self._generate([each], failed)]
        for speech, row in zip(able, rows, strict=True):
            speech.take(row)
        return able

    def _decode(self, due: list[Speech], failed: dict[Speech, Exception]) -> int:
        """Decode in one batch what is due of each; returns how many frames that was."""
        found = {speech: speech.sound.undecoded() for speech in due if speech.sound is not None}
        pieces = {speech: piece for speech, piece in found.items() if piece is not None}
        if not pieces:
            return 0
        states, codes = zip(*pieces.values(), strict=True)
        before = [state.frames for state in states]
        try:
            sounds = self._decoder.decode(states, codes)
        except Exception as error:
            if len(pieces) == 1 or before != [state.frames for state in states]:
                failed.update(dict.fromkeys(pieces, error))
                return 0
            return sum(self._decode([each], failed) for each in pieces)
        for speech, pcm in zip(pieces, sounds, strict=True):
            if speech.sound is not None:
                speech.sound.decoded(pcm)
        return sum(map(len, codes))

    def _advanced(
        self,
        speech: Speech,
        ready: bool,
        stepped: bool,
        chunk: PublishedChunk | None,
        failed: dict[Speech, Exception],
    ) -> PublishedAdvanced:
        if speech in failed:
            speech.give_up()
            return PublishedAdvanced(speech, Advance.FAILED, error=failed[speech])
        frames = speech.frames if stepped else 0
        if stepped and speech.event is not None:
            try:
                speech.go_on()
            except Exception as error:
                speech.give_up()
                return PublishedAdvanced(speech, Advance.FAILED, frames, 0, chunk, error)
        advance = Advance.DONE if speech.done else Advance.SPOKEN if ready else Advance.PARKED
        return PublishedAdvanced(speech, advance, frames, speech.pending, chunk, rows_left=speech.rows_left)


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a round of nonsense took: rows prefilled of one prompt, streams stepped, frames decoded; in seconds."""

    prompt_rows: int
    prefill_s: float
    stepped: int
    step_s: float
    decoded: int
    decode_s: float


def _is_due(speech: Speech, frames: int, *, parked: bool) -> bool:
    """Whether a chunk is to be given out: whole, or all there is, or the end."""
    if speech.sound is None:
        return False
    return speech.event is not None or speech.pending >= frames or (parked and speech.pending > 0)


def _chunk(speech: Speech, *, parked: bool) -> PublishedChunk | None:
    if speech.sound is None:
        return None
    if speech.event is not None:
        return speech.sound.chunk(speech.event, speech.pause_s)
    return speech.sound.chunk(Event.PARKED if parked else Event.SPOKEN)
