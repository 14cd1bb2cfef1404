"""Many utterances spoken at once by one voice: text in at any time, sound out in batches of steps.

This is what a scheduler drives. It is synchronous, used by one thread, and never waits for text.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from .bundle import Bundle
from .checks import whole
from .chunk import Chunk
from .codec import Codec, CodecState, FloatArray, IntArray
from .engine import Engine
from .errors import CapacityError, InputError
from .guard import longest_sentence
from .lead_in import LeadIn
from .listener import Listener
from .rate import frames_at, require_rate
from .rest import Rest
from .sentence_sound import Progress, SentenceSound, Studio
from .speaker import require_warm_up
from .step_result import Event, StepResult
from .stream import Stream, StreamSpec, require_depth
from .text.frontend import TextFrontEnd
from .text_queue import TextQueue
from .utterance import Advance, Advanced, StepTimes, Utterance
from .warm_up import WarmUp


class Ensemble:
    """An engine, a codec and a text front end for up to `slots` utterances; BundleError as `Engine` and `Codec`."""

    def __init__(self, bundle: Bundle, slots: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.manifest = bundle.manifest
        self.times = StepTimes()
        self._lexicon = bundle.open()
        capacity = min(longest_sentence(bundle.manifest.text), bundle.manifest.backbone.max_positions)
        self._engine = Engine(bundle, slots, capacity)
        codec = Codec(bundle.codec_decoder(), bundle.manifest)
        self._studio = Studio(codec, bundle.manifest, clock, listener=Listener.of(bundle.path))

    @property
    def busy_s(self) -> float:
        """Seconds spent inside ONNX Runtime so far."""
        listener_s = 0.0 if self._studio.listener is None else self._studio.listener.busy_s
        return sum(self._engine.busy_s) + self._studio.codec.busy_s + listener_s

    def deep_enough(self, depth: int) -> int:
        """The fewest layers that can be made and hold `depth` to be heard; InputError when no head makes so many."""
        known = self.manifest.head_depths
        return min(made for made in known if made >= whole("depth", depth, 1, max(known)))

    def begin(self, spec: StreamSpec, warm_up: WarmUp | None = None, rate: float | None = None) -> Utterance:
        """An utterance that has no text yet; it takes a slot from its first word to its end.

        With a `rate`, 0.5 to 2, other than 1, the voice's own, each sentence waits until all of it has been written.
        """
        depth = require_depth(spec.depth, self.manifest)
        text = TextQueue(TextFrontEnd(self._lexicon))
        progress = Progress(lead_in=LeadIn.of(self.manifest))
        return Utterance(spec, depth, require_warm_up(warm_up, self.manifest), text, progress, require_rate(rate))

    def step(self, chosen: Sequence[tuple[Utterance, int]]) -> list[Advanced]:
        """Advance some utterances by a frame each, and decode of each whole chunks of its number of frames.

        What ends, or parks, is decoded to its end; that it parks is told by its `Advance`, not by its chunk. One that
        fails does not touch the others, and what was made of it is still given out.
        """
        errors: dict[Utterance, Exception] = {}
        outcomes = {utterance: self._prepared(utterance, errors) for utterance, _ in chosen}
        by_stream = {u.stream: u for u, advance in outcomes.items() if advance is Advance.SPOKEN and u.stream}
        began_s = self._studio.clock()
        results = {by_stream[result.stream]: result for result in self._engine.step(list(by_stream))}
        engine_s = self._studio.clock() - began_s
        if results:
            self._studio.pace.step.note(engine_s)
        for utterance, result in results.items():
            _sound(utterance).take(result)
            if result.error is not None:
                errors[utterance] = result.error
        began_s = self._studio.clock()
        chunks = self._decode(chosen, outcomes, results, errors)
        codec_s = self._studio.clock() - began_s
        self.times = StepTimes(engine_s, codec_s, sum(len(chunk.depths) for chunk in chunks.values()), len(results))
        for utterance, wanted in chosen:
            if utterance.rest is not None and not utterance.done:
                chunks[utterance] = utterance.rest.chunk(wanted)
        return [self._advanced(u, outcomes[u], results.get(u), chunks.get(u), errors.get(u)) for u, _ in chosen]

    def take_memory(self) -> None:
        """Have the memory of all slots now, some megabytes each, rather than page by page as streams grow."""
        self._engine.take_memory()

    def release(self, utterance: Utterance) -> None:
        """Give up an utterance, at any time; once more does no harm."""
        utterance.done = True
        if utterance.stream is not None:
            self._engine.release(utterance.stream)
            utterance.stream = utterance.sound = None

    @property
    def ages(self) -> bool:
        """Whether there is history to be aged."""
        return self._engine.ages

    def maintain(self) -> bool:
        """Age one block of one utterance's history; whether there is more to do."""
        return self._engine.maintain()

    def _prepared(self, utterance: Utterance, errors: dict[Utterance, Exception]) -> Advance:
        """What `_prepare` tells; FAILED when its text, or the stream it asks for, breaks it off."""
        try:
            return self._prepare(utterance)
        except (CapacityError, InputError):
            # It is not the utterance that is wrong, but who asks for too many of them, or for a depth there is not.
            raise
        except Exception as error:
            errors[utterance] = error
            if utterance.stream is not None:
                utterance.stream.done = True
            return Advance.FAILED

    def _prepare(self, utterance: Utterance) -> Advance:
        """Give an utterance what it needs for a step: a stream, its depth, and text."""
        if utterance.done:
            return Advance.DONE
        stream = utterance.stream
        if stream is None:
            if self._rests(utterance):
                return Advance.SPOKEN
            more = utterance.text.has_more()
            if not more:
                return Advance.PARKED if more is None else Advance.DONE
            stream = self._admit(utterance)
            if stream is None:
                return Advance.PARKED
        if stream.line is None:
            self._engine.set_depth(stream, utterance.depth)
        if stream.flushing or utterance.text.supply(stream.feed):
            if utterance.parked_at_s is not None:
                utterance.progress.wait.note(self._studio.clock() - utterance.parked_at_s)
                utterance.parked_at_s = None
            return Advance.SPOKEN
        if utterance.parked_at_s is None:
            utterance.parked_at_s = self._studio.clock()
        return Advance.PARKED

    def _rests(self, utterance: Utterance) -> bool:
        """Whether there is silence to be given out before the next word."""
        while utterance.rest is None or utterance.rest.over:
            utterance.rest = None
            if not (utterance.text.has_more() and (pause_s := utterance.text.take_pause())):
                return False
            utterance.rest = Rest(pause_s, self._studio, utterance.progress)
        return True

    def _admit(self, utterance: Utterance) -> Stream | None:
        """Begin the next sentence, the nth with `seed + n`; None when that must wait for its end."""
        target = utterance.spec.target_frames
        if utterance.rate is not None:
            tokens = utterance.text.sentence_tokens()
            if tokens is None:
                return None
            target = frames_at(utterance.rate, tokens, self.manifest.text)
        sampling = utterance.spec.sampling
        if sampling.seed is not None:
            sampling = replace(sampling, seed=sampling.seed + utterance.sentences)
        spec = replace(utterance.spec, sampling=sampling, depth=utterance.depth, target_frames=target)
        stream = self._engine.admit(spec)
        utterance.sentences += 1
        utterance.stream = stream
        utterance.sound = SentenceSound(stream, self._studio, utterance.progress, utterance.warm_up)
        return stream

    def _decode(
        self,
        chosen: Sequence[tuple[Utterance, int]],
        outcomes: Mapping[Utterance, Advance],
        results: Mapping[Utterance, StepResult],
        errors: dict[Utterance, Exception],
    ) -> dict[Utterance, Chunk]:
        """What is due of each, wrapped; of one that cannot be decoded the error."""
        counts: dict[Utterance, int] = {}
        for utterance, wanted in chosen:
            if utterance.sound is not None:
                counts[utterance] = utterance.sound.due(wanted, parked=outcomes[utterance] is Advance.PARKED)
        pieces = {utterance: _sound(utterance).piece(count) for utterance, count in counts.items() if count}
        pcm = self._sounds(pieces, errors)
        chunks: dict[Utterance, Chunk] = {}
        for utterance in counts:
            ended = utterance.stream is not None and utterance.stream.done
            if utterance in pcm or (ended and utterance not in pieces):
                event = _told(results.get(utterance)) if ended else Event.SPOKEN
                chunks[utterance] = _sound(utterance).wrapped(pcm.get(utterance), event)
        return chunks

    def _sounds(
        self, pieces: Mapping[Utterance, tuple[CodecState, IntArray]], errors: dict[Utterance, Exception]
    ) -> dict[Utterance, FloatArray]:
        """The sound of all pieces, in one call; when that breaks off, each is tried alone, and only some fail."""
        decode = self._studio.codec.decode
        try:
            return dict(zip(pieces, decode(list(pieces.values())), strict=True))
        except Exception:
            sounds: dict[Utterance, FloatArray] = {}
        for utterance, piece in pieces.items():
            try:
                (sounds[utterance],) = decode([piece])
            except Exception as error:
                errors.setdefault(utterance, error)
        return sounds

    def _advanced(
        self,
        utterance: Utterance,
        advance: Advance,
        result: StepResult | None,
        chunk: Chunk | None,
        error: Exception | None,
    ) -> Advanced:
        """What became of an utterance; at the end of a sentence its stream is given back."""
        frames = int(result is not None and result.event is Event.SPOKEN)
        stream = utterance.stream
        if error is not None:
            self.release(utterance)
            return Advanced(utterance, Advance.FAILED, chunk=chunk, error=error)
        if stream is not None and stream.done:
            self._engine.release(stream)
            utterance.text.take_back(stream.feed)
            utterance.stream = utterance.sound = None
            more = utterance.text.has_more()
            advance = Advance.SPOKEN if more else Advance.PARKED if more is None else Advance.DONE
        utterance.done = advance is Advance.DONE
        pending = len(utterance.sound.waiting) if utterance.sound is not None else 0
        return Advanced(utterance, advance, frames, pending, chunk)


def _told(last: StepResult | None) -> Event:
    """What the last chunk of a stream tells, given its last step: how it ended, or nothing when it failed."""
    return last.event if last is not None and last.event in (Event.ENDED, Event.CAPPED) else Event.SPOKEN


def _sound(utterance: Utterance) -> SentenceSound:
    if utterance.sound is None:
        raise RuntimeError("an utterance without a stream has no sound")
    return utterance.sound
