"""The simplest way to speak: text in, chunks of sound out, for one listener."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, count

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .checks import require_number
from .codec import Codec
from .engine import Engine, Event
from .errors import InputError
from .manifest import Manifest
from .sampling import SamplingParams
from .script import Script
from .stream import Stream, StreamSpec, require_depth
from .text import numbers
from .text.frontend import TextFrontEnd
from .text.lexicon import Lexicon
from .text.phones import Token, word_tokens

_CHUNK_FRAMES = (1, 1, 2, 4)
"""The first chunks are small because someone waits for them; four frames in one call cost half of four calls."""
_MAX_SECONDS = 86_400
_FASTEST, _SLOWEST = 0.5, 2.0
"""A target length may be this many times as long as the text takes by itself; the voice has heard no others."""
_MARGIN_FRAMES = 4
"""What a sentence takes beside its tokens, which tells in very short ones."""
_THROW_AWAY: list[Token] = word_tokens("HH AH0 L OW1 R AH0".split())
"""As many tokens as a prefix takes."""


@dataclass(frozen=True, slots=True)
class WordTiming:
    """A word as spelled in the text, and the second of the utterance in which it begins to sound."""

    text: str
    start_s: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an utterance.

    pcm: float32 [samples], mono, at the voice's sample rate. start_s: where it begins. words: those that begin in it.
    event: SPOKEN as a rule; PARKED when the sentence cannot go on until more text comes, told once each time, with no
    samples if all were given out before; ENDED at the end of a sentence; CAPPED when the voice ran away and was cut
    off, after which it goes on afresh with the words that were not heard.
    """

    pcm: NDArray[np.float32]
    start_s: float
    words: tuple[WordTiming, ...]
    event: Event = Event.SPOKEN


@dataclass(slots=True)
class _Progress:
    """How far an utterance is: samples given out, and chunks since the last of so many waits for text."""

    samples: int = 0
    chunks: int = 0
    waits: int = 0


class Speaker:
    """A voice that speaks in its caller's thread."""

    def __init__(self, bundle: Bundle) -> None:
        self._manifest = bundle.manifest
        self._lexicon = Lexicon.load(bundle.lexicon_path)
        self._engine = Engine(bundle)
        self._codec = Codec(bundle.codec_decoder(), bundle.manifest)

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
                    self._codec.decode([(self._codec.begin(), result.codes[np.newaxis])])
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
    ) -> Iterator[Chunk]:
        """Speak a text, which may still be being written, in chunks that are made as they are asked for.

        Speech begins with the first few sounds of text, and text is read only when there is nothing to say without
        it. Each sentence is a stream of its own, the nth with `seed + n`. `depth` is how many code layers are made,
        `seconds` how long all of it is to last, about half to twice what it takes by itself, for which the whole text
        is read first. InputError names what cannot be used, or says that nothing in the text can be spoken: at once
        for a string, else with the first chunk.
        """
        spec = StreamSpec(sampling or SamplingParams(), require_depth(depth, self._manifest))
        if seconds is not None:
            require_number("seconds", seconds, 0, _MAX_SECONDS, above=True)
        script = Script(text, TextFrontEnd(self._lexicon))
        if isinstance(text, str):
            # It is all there: what is wrong with it is told now, not with the first chunk.
            _shares(script, seconds, self._manifest)
        return self._utter(script, spec, seconds)

    def _utter(self, script: Script, spec: StreamSpec, seconds: float | None) -> Iterator[Chunk]:
        shares = iter(_shares(script, seconds, self._manifest))
        progress = _Progress()
        target: int | None = None
        for place in count():
            if not script.has_more():
                return
            if not script.in_sentence:
                target = next(shares, None)
            seed = spec.sampling.seed
            sampling = replace(spec.sampling, seed=None if seed is None else seed + place)
            stream = self._engine.admit(replace(spec, sampling=sampling, target_frames=target))
            try:
                yield from self._say(stream, script, progress)
            finally:
                self._engine.release(stream)
            # What goes on with a sentence that was cut off has what that left of its share, if anything.
            if target is not None:
                target = target - stream.feed.frames if target > stream.feed.frames else None

    def _say(self, stream: Stream, script: Script, progress: _Progress) -> Iterator[Chunk]:
        """One sentence, or what one stream makes of it."""
        voice = _Voice(stream, self._codec, self._manifest, progress)
        while not stream.done:
            script.supply(stream.feed)
            if not stream.feed.ready:
                if voice.has_spoken:
                    yield voice.chunk(Event.PARKED)
                script.wait()
                continue
            if script.waits > progress.waits:
                # Whoever listens has been waiting with us.
                progress.waits, progress.chunks = script.waits, 0
            (result,) = self._engine.step([stream])
            if result.codes is not None:
                voice.frames.append(result.codes)
                voice.has_spoken = True
            if stream.done or len(voice.frames) == _CHUNK_FRAMES[min(progress.chunks, len(_CHUNK_FRAMES) - 1)]:
                yield voice.chunk(result.event)
        script.take_back(stream.feed)


class _Voice:
    """One sentence on its way from codes to chunks.

    `frames` are the stacks not yet decoded; `has_spoken` tells whether it did since it was last PARKED.
    """

    def __init__(self, stream: Stream, codec: Codec, manifest: Manifest, progress: _Progress) -> None:
        self.frames: list[NDArray[np.int64]] = []
        self.has_spoken = False
        self._stream, self._codec, self._manifest, self._progress = stream, codec, manifest, progress
        self._state = codec.begin()
        self._begin = progress.samples
        self._words_told = 0

    def chunk(self, event: Event) -> Chunk:
        """Decode the frames that wait; the last chunk of the sentence takes along all that is left."""
        parts = [np.zeros(0, np.float32)]
        if self.frames:
            parts = self._codec.decode([(self._state, np.array(self.frames))])
        if self._stream.done:
            parts.append(self._codec.flush(self._state))
        self.frames.clear()
        if event is Event.PARKED:
            self.has_spoken = False
        pcm = np.concatenate(parts)
        start = self._progress.samples
        self._progress.samples += len(pcm)
        self._progress.chunks += 1
        return Chunk(pcm, start / self._manifest.sample_rate_hz, tuple(self._words()), event)

    def _words(self) -> Iterator[WordTiming]:
        """Words not told yet that begin before the last sample given out; at the end of the sentence all of them.

        A sentence that was cut off has no end: the words it did not come to are said again and told then.
        """
        feed, ended = self._stream.feed, self._stream.feed.ended
        for cue in feed.words[self._words_told :]:
            # A cue runs ahead of the sound, so the last ones may point beyond the end.
            frame = min(cue.frame, max(feed.frames - 1, 0)) if ended else cue.frame
            begin = self._begin + frame * self._manifest.frame_samples
            if begin >= self._progress.samples and not ended:
                return
            self._words_told += 1
            yield WordTiming(cue.text, begin / self._manifest.sample_rate_hz)


def _shares(script: Script, seconds: float | None, manifest: Manifest) -> list[int]:
    """The target length in frames of each sentence of an utterance, by its tokens; none without a length.

    InputError when there is nothing to speak, or when the voice cannot speak it in such a time.
    """
    if not script.has_more():
        raise InputError("the text holds nothing that can be spoken; give it at least one word or number")
    if seconds is None:
        return []
    lengths, rate = script.sentence_lengths(), manifest.frame_rate_hz
    mean, total = manifest.text.frames_per_token, sum(lengths)
    # Every sentence gets the same frames per token, so the margin is spread over the tokens of the longest.
    low_s = total * _FASTEST * mean / rate
    high_s = total * (_SLOWEST * mean + _MARGIN_FRAMES / max(lengths)) / rate
    low_s, high_s = math.ceil(low_s * 100) / 100, math.floor(high_s * 100) / 100
    if not low_s <= seconds <= high_s:
        raise InputError(f"seconds must be from {low_s} to {high_s} for this text, got {seconds!r}")
    ends = [round(seconds * rate * tokens / total) for tokens in accumulate(lengths)]
    return [max(end - begin, 1) for begin, end in zip([0, *ends], ends, strict=False)]
