"""The simplest way to speak: text in, chunks of sound out, for one listener."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import accumulate, chain

import numpy as np
from numpy.typing import NDArray

from .bundle import Bundle
from .codec import Codec
from .engine import Engine, Event
from .errors import InputError
from .manifest import Manifest
from .names import MAX_POSITIONS
from .sampling import SamplingParams
from .script import Script
from .stream import Stream, StreamSpec, require_depth
from .text.frontend import TextFrontEnd
from .text.lexicon import Lexicon

_CHUNK_FRAMES = (1, 1, 2, 4)
"""The first chunks are small because someone waits for them; four frames in one call cost half of four calls."""


@dataclass(frozen=True, slots=True)
class WordTiming:
    """A word as spelled in the text, and the second of the utterance in which it begins to sound."""

    text: str
    start_s: float


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of an utterance.

    pcm: float32 [samples], mono, at the voice's sample rate. start_s: where it begins. words: those that begin in it.
    event: SPOKEN as a rule; PARKED when the next chunk has to wait for text; ENDED at the end of a sentence; CAPPED
    when the voice ran away and was cut off, after which it goes on afresh with the text that is left.
    """

    pcm: NDArray[np.float32]
    start_s: float
    words: tuple[WordTiming, ...]
    event: Event = Event.SPOKEN


@dataclass(slots=True)
class _Progress:
    """How far an utterance is: samples given out, and chunks since someone last had to wait."""

    samples: int = 0
    chunks: int = 0


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
        `seconds` how long all of it is to last, for which the whole text is read first. InputError names what cannot
        be used, or says that nothing in the text can be spoken: at once for a string, else with the first chunk.
        """
        spec = StreamSpec(sampling or SamplingParams(), require_depth(depth, self._manifest))
        if seconds is not None and not 0 < seconds < math.inf:
            raise InputError(f"seconds must be a positive number, got {seconds!r}")
        script = Script(text, TextFrontEnd(self._lexicon))
        targets = _targets(script, seconds, self._manifest)
        if isinstance(text, str):
            # It is all there: what is wrong with it is told now, not with the first chunk.
            targets = chain([next(targets)], targets)
        return self._utter(script, spec, targets)

    def _utter(self, script: Script, spec: StreamSpec, targets: Iterator[int | None]) -> Iterator[Chunk]:
        progress = _Progress()
        for place, target in enumerate(targets):
            seed = spec.sampling.seed
            sampling = replace(spec.sampling, seed=None if seed is None else seed + place)
            yield from self._sentence(script, replace(spec, sampling=sampling, target_frames=target), progress)

    def _sentence(self, script: Script, spec: StreamSpec, progress: _Progress) -> Iterator[Chunk]:
        stream = self._engine.admit(spec)
        voice = _Voice(stream, self._codec, self._manifest, progress)
        try:
            while not stream.done:
                script.supply(stream.feed)
                if not stream.feed.ready:
                    if voice.frames:
                        yield voice.chunk(Event.PARKED)
                    progress.chunks = 0
                    script.wait()
                    continue
                (result,) = self._engine.step([stream])
                if result.codes is not None:
                    voice.frames.append(result.codes)
                if stream.done or len(voice.frames) == _CHUNK_FRAMES[min(progress.chunks, len(_CHUNK_FRAMES) - 1)]:
                    yield voice.chunk(result.event)
            script.take_back(stream.feed)
        finally:
            self._engine.release(stream)


class _Voice:
    """One sentence on its way from codes to chunks; `frames` are the stacks not yet decoded."""

    def __init__(self, stream: Stream, codec: Codec, manifest: Manifest, progress: _Progress) -> None:
        self.frames: list[NDArray[np.int64]] = []
        self._stream, self._codec, self._manifest, self._progress = stream, codec, manifest, progress
        self._state = codec.begin()
        self._begin = progress.samples
        self._words_told = 0

    def chunk(self, event: Event) -> Chunk:
        """Decode the frames that wait; the last chunk of the sentence takes along all that is left."""
        parts = self._codec.decode([(self._state, np.array(self.frames))]) if self.frames else []
        if self._stream.done:
            parts.append(self._codec.flush(self._state))
        self.frames.clear()
        pcm = np.concatenate(parts)
        start = self._progress.samples
        self._progress.samples += len(pcm)
        self._progress.chunks += 1
        return Chunk(pcm, start / self._manifest.sample_rate_hz, tuple(self._words()), event)

    def _words(self) -> Iterator[WordTiming]:
        """Words not told yet that begin before the last sample given out; at the end of the sentence all of them."""
        feed, done = self._stream.feed, self._stream.done
        for cue in feed.words[self._words_told :]:
            # A cue runs ahead of the sound, so the last ones may point beyond the end.
            frame = min(cue.frame, max(feed.frames - 1, 0)) if done else cue.frame
            begin = self._begin + frame * self._manifest.frame_samples
            if begin >= self._progress.samples and not done:
                return
            self._words_told += 1
            yield WordTiming(cue.text, begin / self._manifest.sample_rate_hz)


def _targets(script: Script, seconds: float | None, manifest: Manifest) -> Iterator[int | None]:
    """The target length in frames of each stream of an utterance, None where there is none."""
    if not script.has_more():
        raise InputError("the text holds nothing that can be spoken; give it at least one word or number")
    planned = iter(() if seconds is None else _shares(seconds, script.sentence_lengths(), manifest.frame_rate_hz))
    # More streams than sentences: one was cut off, and what was left of it has no target.
    while script.has_more():
        yield next(planned, None)


def _shares(seconds: float, lengths: list[int], frame_rate_hz: float) -> list[int]:
    """Divide a length over sentences of the given tokens; InputError when it is too short or long for them."""
    longest = MAX_POSITIONS // 2
    ends = [round(seconds * frame_rate_hz * tokens / sum(lengths)) for tokens in accumulate(lengths)]
    shares = [end - begin for begin, end in zip([0, *ends], ends, strict=False)]
    if min(shares) < 1 or max(shares) > longest:
        raise InputError(
            f"seconds must leave each of the {len(lengths)} sentences of this text {1 / frame_rate_hz} to "
            f"{longest / frame_rate_hz:.0f} s, got {seconds!r}"
        )
    return shares
