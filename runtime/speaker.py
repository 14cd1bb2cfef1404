"""The simplest way to speak: text in, chunks of sound out, for one listener."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import accumulate, count

import numpy as np

from . import names
from .bundle import Bundle
from .checks import require_number
from .chunk import Chunk
from .codec import Codec
from .engine import Engine
from .errors import InputError
from .lead_in import LeadIn
from .listener import Listener
from .manifest import Manifest
from .rate import frames_at, require_rate
from .rest import Rest
from .sampling import SamplingParams
from .script import Script
from .sentence_sound import Progress, SentenceSound, Studio
from .step_result import Event
from .stream import Stream, StreamSpec, require_depth
from .text import numbers
from .text.frontend import TextFrontEnd
from .text.phones import Token, word_tokens
from .warm_up import DEFAULT_WARM_UP, WarmUp

_CHUNK_FRAMES = (1, 1, 2, 4)
"""The first chunks are small because someone waits for them; four frames in one call cost half of four calls."""
_MAX_SECONDS = 86_400
_FASTEST, _SLOWEST = 0.5, 2.0
"""A target length may be this many times as long as the text takes by itself; the voice has heard no others."""
_MARGIN_FRAMES = 4
"""What a sentence takes beside its tokens, which tells in very short ones."""
_THROW_AWAY: list[Token] = word_tokens("HH AH0 L OW1 R AH0".split())
"""As many tokens as a prefix takes."""


class Speaker:
    """A voice that speaks in its caller's thread; `clock` gives seconds that never go back."""

    def __init__(self, bundle: Bundle, clock: Callable[[], float] = time.monotonic) -> None:
        self._manifest = bundle.manifest
        self._lexicon = bundle.open()
        self._engine = Engine(bundle)
        codec = Codec(bundle.codec_decoder(), bundle.manifest)
        self._studio = Studio(codec, bundle.manifest, clock, listener=Listener.of(bundle.path))

    @property
    def sample_rate_hz(self) -> int:
        """Samples of one second of a chunk's pcm."""
        return self._manifest.sample_rate_hz

    def prepare(self, depth: int | None = None) -> None:
        """Do now what the first utterance of a depth would have to wait for, so that it begins as soon as any other.

        It takes some 20 ms and a slot while it lasts, and leaves nothing behind that could be heard. InputError for
        a depth the voice has not.
        """
        stream = self._engine.admit(StreamSpec(SamplingParams(seed=0), require_depth(depth, self._manifest)))
        try:
            stream.feed.push(_THROW_AWAY)
            for result in self._engine.step([stream]):
                if result.codes is not None:
                    codec = self._studio.codec
                    codec.decode([(codec.begin(), result.codes[np.newaxis])])
        finally:
            self._engine.release(stream)
        # A number loads the package that knows its name.
        numbers.cardinal("1")

    def speak(
        self,
        text: str | Iterable[str],
        *,
        sampling: SamplingParams | None = None,
        depth: int | None = None,
        seconds: float | None = None,
        rate: float | None = None,
        warm_up: WarmUp | None = None,
    ) -> Iterator[Chunk]:
        """Speak a text, which may still be being written, in chunks that are made as they are asked for.

        Speech begins with the first few sounds of text, and text is read only when there is nothing to say without
        it. Each sentence is a stream of its own, the nth with `seed + n`. `depth` is how many code layers are made,
        `seconds` how long all of it is to last, about half to twice what it takes by itself, for which the whole text
        is read first. `rate`, 0.5 to 2, is how fast to speak, 1 as the voice does by itself: with any other a sentence
        begins when all of it has been read. `[pause 0.5s]` in the text is so much silence. `warm_up` says how shallow
        the speech of a voice with a delay head may begin, while the caller's lead is short; it is taken to hear each
        chunk as soon as the one before has ended. InputError names what cannot be used, or says that nothing in the
        text can be spoken: at once for a string, else with the first chunk.
        """
        if not isinstance(sampling, SamplingParams | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(f"sampling must be SamplingParams or None, got {sampling!r}")
        spec = StreamSpec(sampling or SamplingParams(), require_depth(depth, self._manifest))
        warm_up = require_warm_up(warm_up, self._manifest)
        if seconds is not None:
            require_number("seconds", seconds, 0, _MAX_SECONDS, above=True)
        if seconds is not None and rate is not None:
            raise InputError("seconds and rate are given, and each says how fast to speak; leave out one of the two")
        rate = require_rate(rate)
        script = Script(text, TextFrontEnd(self._lexicon))
        if isinstance(text, str):
            # It is all there: what is wrong with it is told now, not with the first chunk.
            _shares(script, seconds, self._manifest)
        return self._utter(script, spec, seconds, rate, warm_up)

    def _utter(
        self, script: Script, spec: StreamSpec, seconds: float | None, rate: float | None, warm_up: WarmUp | None
    ) -> Iterator[Chunk]:
        shares = iter(_shares(script, seconds, self._manifest))
        # Who asks for a length gets all of it.
        progress = Progress(lead_in=LeadIn.of(self._manifest) if seconds is None else None)
        target: int | None = None
        for place in count():
            yield from self._rest(script, progress)
            if not script.has_more():
                return
            if rate is not None:
                target = frames_at(rate, script.sentence_tokens(), self._manifest.text)
            elif not script.in_sentence:
                target = next(shares, None)
            seed = spec.sampling.seed
            sampling = replace(spec.sampling, seed=None if seed is None else seed + place)
            stream = self._engine.admit(replace(spec, sampling=sampling, target_frames=target))
            try:
                yield from self._say(stream, script, SentenceSound(stream, self._studio, progress, warm_up), progress)
            finally:
                self._engine.release(stream)
            # What goes on with a sentence that was cut off has what that left of its share, if anything.
            if target is not None:
                target = target - stream.feed.frames if target > stream.feed.frames else None

    def _rest(self, script: Script, progress: Progress) -> Iterator[Chunk]:
        """The pauses that stand before the next word."""
        while script.has_more() and (pause_s := script.take_pause()):
            rest = Rest(pause_s, self._studio, progress)
            while not rest.over:
                yield rest.chunk(_CHUNK_FRAMES[-1])

    def _say(self, stream: Stream, script: Script, sound: SentenceSound, progress: Progress) -> Iterator[Chunk]:
        """One sentence, or what one stream makes of it."""
        clock = self._studio.clock
        while not stream.done:
            if not stream.flushing:
                script.supply(stream.feed)
            if not stream.ready:
                due = sound.due(_wanted(progress), parked=True)
                if sound.has_spoken:
                    yield sound.chunk(due, Event.PARKED)
                elif due:
                    # Nothing was new when it parked; with the lead gone shorter it gives out what it had kept back.
                    yield sound.chunk(due, Event.SPOKEN)
                began_s = clock()
                script.wait()
                progress.wait.note(clock() - began_s)
                continue
            progress.waited(script.waits)
            began_s = clock()
            (result,) = self._engine.step([stream])
            self._studio.pace.step.note(clock() - began_s)
            if result.error is not None:
                raise result.error
            sound.take(result)
            while not stream.done and (due := sound.due(_wanted(progress))):
                chunk = sound.chunk(due, result.event)
                # Of the silence at the beginning nothing is given out.
                if len(chunk.pcm):
                    yield chunk
            if stream.done:
                yield sound.chunk(sound.due(_wanted(progress)), result.event)
        script.take_back(stream.feed)


def _wanted(progress: Progress) -> int:
    """How many frames the next chunk is to have."""
    return _CHUNK_FRAMES[min(progress.chunks, len(_CHUNK_FRAMES) - 1)]


def require_warm_up(warm_up: WarmUp | None, manifest: Manifest) -> WarmUp | None:
    """The ramp asked for, by default the voice's own; InputError for a voice that has none."""
    if manifest.head == names.DELAY:
        return warm_up or DEFAULT_WARM_UP
    if warm_up is not None:
        raise InputError(
            f"warm_up is for voices with a delay head; {manifest.name} has a local head, whose frames are whole at once"
        )
    return None


def _shares(script: Script, seconds: float | None, manifest: Manifest) -> list[int]:
    """The target length in frames of each sentence of an utterance, by its tokens; none without a length.

    InputError when there is nothing to speak, or when the voice cannot speak it in such a time.
    """
    if not script.has_more():
        raise InputError("the text holds nothing that can be spoken; give it at least one word or number")
    if seconds is None:
        return []
    lengths, rate, silence_s = script.sentence_lengths(), manifest.frame_rate_hz, script.silence_s()
    mean, total = manifest.text.frames_per_token, sum(lengths)
    if not lengths:
        raise InputError("seconds are given for a text of nothing but pauses, which say themselves how long they are")
    # Every sentence gets the same frames per token, so the margin is spread over the tokens of the longest.
    low_s = silence_s + total * _FASTEST * mean / rate
    high_s = silence_s + total * (_SLOWEST * mean + _MARGIN_FRAMES / max(lengths)) / rate
    low_s, high_s = math.ceil(low_s * 100) / 100, math.floor(high_s * 100) / 100
    if not low_s <= seconds <= high_s:
        raise InputError(f"seconds must be from {low_s} to {high_s} for this text, got {seconds!r}")
    ends = [round((seconds - silence_s) * rate * tokens / total) for tokens in accumulate(lengths)]
    return [max(end - begin, 1) for begin, end in zip([0, *ends], ends, strict=False)]
