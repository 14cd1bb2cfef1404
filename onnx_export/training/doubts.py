"""Stage `doubts`: how much of what may go wrong the runtime's listener tells, and how often it doubts what is right.

The voice says a hundred made sentences; in a copy of each a word of three frames or more goes wrong by hand: its sound
is muted, cut out, covered by noise, said again at once, or another word's; or the speech ends early, hangs on a sound,
or goes on after its end. A fault is told if a new doubt lies within two frames of it. Of words nobody touched each
doubt counts as false, though some are said badly. The figures, by how many layers were made, go to
`doubts/doubts.json`.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from voicestack.runtime import (
    Bundle,
    Codec,
    CuedFeed,
    Engine,
    InputError,
    SamplingParams,
    StreamSpec,
    Suspicion,
    Watch,
)
from voicestack.runtime.listener import FRAME_SAMPLES, Listener
from voicestack.runtime.text import Mark, SentenceEnd, TextEvent, TextFrontEnd, Word

from .evaluate import weights_hash
from .paths import VOICE, WorkFolder
from .sampling_sweep import sentences

DEPTHS = (8, 16)
_SEED = 5
_NEAR = 2
_BABBLE_FRAMES, _HANG_FRAMES = 20, 13
_NOISE = 0.1

Pcm = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Take:
    """A sentence as it was said: its text with its cues, and the sound, float32 [samples]."""

    feed: CuedFeed
    pcm: Pcm

    def words(self) -> list[slice]:
        """The frames of each word but the last, of those that last for three or more."""
        begins = [place for place, (_, word) in enumerate(self.feed.tokens) if word]
        onsets = self.feed.onsets
        spans = [slice(onsets[a], onsets[b]) for a, b in pairwise(begins) if b < len(onsets)]
        return [span for span in spans if span.stop - span.start > 2]

    def any_word(self, draws: np.random.Generator) -> slice:
        """One of them."""
        words = self.words()
        return words[draws.integers(len(words))]


Fault = Callable[[Take, slice, Take, np.random.Generator], tuple[Take, slice]]
"""What makes something go wrong with a word of a take, given another take: the result, and the frames to be doubted."""


def run(folder: WorkFolder, *, voice: Path = VOICE) -> dict[str, Any]:
    """Put every fault into every sentence, print and write the shares that are told; InputError without a listener."""
    bundle = Bundle.load(voice)
    listener = Listener.of(bundle.path)
    if listener is None:
        raise InputError(f"{voice} has no listener, so nothing is doubted; run the stage `listener` before `bundle`")
    result: dict[str, Any] = {"voice": bundle.manifest.name, "weights": weights_hash(bundle.manifest), "layers": {}}
    studio = _Studio(bundle)
    for depth in DEPTHS:
        takes = [take for take in tqdm(studio.spoken(depth), f"doubts, {depth} layers") if take.words()]
        result["layers"][str(depth)] = judged(listener, takes)
    path = folder.stage("doubts") / "doubts.json"
    path.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print(json.dumps(result, indent=1))
    return result


def judged(listener: Listener, takes: list[Take]) -> dict[str, Any]:
    """The share in percent of each fault that is told, and of the words nobody touched that are doubted."""
    draws = np.random.default_rng(_SEED)
    told = dict.fromkeys(FAULTS, 0)
    doubted = words = 0
    for place, take in enumerate(takes):
        untouched = _doubts(listener, take)
        doubted += len(untouched)
        words += sum(word is not None for _, word in take.feed.tokens)
        for name, fault in FAULTS.items():
            spoiled, wrong = fault(take, take.any_word(draws), takes[place - 1], draws)
            doubts = [found for found in _doubts(listener, spoiled) if found not in untouched]
            told[name] += any(_is_near(found, wrong) for found in doubts)
    return {
        "sentences": len(takes),
        "told_percent": {name: round(100 * count / len(takes), 1) for name, count in told.items()},
        "words": words,
        "doubted_untouched_percent": round(100 * doubted / words, 2),
    }


def _doubts(listener: Listener, take: Take) -> list[Suspicion]:
    return list(Watch(listener, take.feed).hear(take.pcm, is_last=True))


def _is_near(found: Suspicion, wrong: slice) -> bool:
    return found.start < wrong.stop + _NEAR and found.end > wrong.start - _NEAR


class _Studio:
    """Where the voice says the sentences of the stage, so that the cues of each are known."""

    def __init__(self, bundle: Bundle) -> None:
        self._manifest, self._lexicon = bundle.manifest, bundle.open()
        self._engine, self._codec = Engine(bundle, slots=1), Codec(bundle.codec_decoder(), bundle.manifest)

    def spoken(self, depth: int) -> Iterator[Take]:
        """Each with so many layers; what is more than one sentence is left out."""
        for place, text in enumerate(sentences()):
            front_end = TextFrontEnd(self._lexicon)
            events = front_end.push(text) + front_end.finish()
            if sum(isinstance(event, SentenceEnd) for event in events) == 1:
                yield self._take(events, StreamSpec(SamplingParams(seed=place), depth))

    def _take(self, events: list[TextEvent], spec: StreamSpec) -> Take:
        stream = self._engine.admit(spec)
        for event in events:
            if isinstance(event, Word | Mark):
                stream.feed.push(event.tokens, event.spelling if isinstance(event, Word) else None)
        stream.feed.finish()
        made: list[NDArray[np.int64]] = []
        while not stream.done:
            made += [result.codes for result in self._engine.step() if result.codes is not None]
        self._engine.release(stream)
        codes = np.stack(made)
        missing = self._manifest.n_vq - codes.shape[1]
        stacks = np.pad(codes, ((0, 0), (0, missing)), constant_values=self._manifest.null_code)
        state = self._codec.begin()
        (pcm,) = self._codec.decode([(state, stacks)])
        return Take(stream.feed, np.concatenate([pcm, self._codec.flush(state)]))


def _samples(frames: slice) -> slice:
    return slice(frames.start * FRAME_SAMPLES, frames.stop * FRAME_SAMPLES)


def _with_sound(take: Take, word: slice, sound: Pcm) -> tuple[Take, slice]:
    """Another sound in place of the word's, and as long."""
    pcm, span = take.pcm.copy(), _samples(word)
    pcm[span] = np.resize(sound, pcm[span].size)
    return Take(take.feed, pcm), word


def _muted(take: Take, word: slice, other: Take, draws: np.random.Generator) -> tuple[Take, slice]:
    return _with_sound(take, word, np.zeros(1, np.float32))


def _noise(take: Take, word: slice, other: Take, draws: np.random.Generator) -> tuple[Take, slice]:
    return _with_sound(take, word, draws.normal(0, _NOISE, take.pcm.size).astype(np.float32))


def _another_word(take: Take, word: slice, other: Take, draws: np.random.Generator) -> tuple[Take, slice]:
    return _with_sound(take, word, other.pcm[_samples(other.any_word(draws))])


def _cut_out(take: Take, word: slice, other: Take, draws: np.random.Generator) -> tuple[Take, slice]:
    """All that follows is early by the word, to the end."""
    span = _samples(word)
    rest = np.concatenate([take.pcm[: span.start], take.pcm[span.stop :], np.zeros(span.stop - span.start, np.float32)])
    return Take(take.feed, rest), slice(word.start, take.feed.frames)


def _said_twice(take: Take, word: slice, other: Take, draws: np.random.Generator) -> tuple[Take, slice]:
    """All that follows is late by the word, to the end, which is not heard."""
    span = _samples(word)
    late = np.concatenate([take.pcm[: span.stop], take.pcm[span.start :]])[: take.pcm.size]
    return Take(take.feed, late), slice(word.start, take.feed.frames)


def _ends_early(take: Take, word: slice, other: Take, draws: np.random.Generator) -> tuple[Take, slice]:
    return Take(_feed(take, word.start, 0), take.pcm[: _samples(word).start]), slice(word.start, take.feed.frames)


def _hangs(take: Take, word: slice, other: Take, draws: np.random.Generator) -> tuple[Take, slice]:
    """The last frame of the word goes on for a second."""
    more, end = _HANG_FRAMES, _samples(word).stop
    held = np.tile(take.pcm[end - FRAME_SAMPLES : end], more)
    feed = _feed(take, take.feed.frames + more, more, behind=word.start)
    return Take(feed, np.concatenate([take.pcm[:end], held, take.pcm[end:]])), slice(word.start, word.stop + more)


def _babbles(take: Take, word: slice, other: Take, draws: np.random.Generator) -> tuple[Take, slice]:
    """More is said behind the end."""
    frames, more = take.feed.frames, other.pcm[: _BABBLE_FRAMES * FRAME_SAMPLES]
    said = take.pcm[: frames * FRAME_SAMPLES]
    return Take(_feed(take, frames + _BABBLE_FRAMES, 0), np.concatenate([said, more])), slice(
        frames, frames + _BABBLE_FRAMES
    )


FAULTS: dict[str, Fault] = {
    "muted": _muted,
    "cut out": _cut_out,
    "covered by noise": _noise,
    "another word's sound": _another_word,
    "said twice": _said_twice,
    "ends early": _ends_early,
    "hangs": _hangs,
    "babbles on": _babbles,
}


def _feed(take: Take, frames: int, later: int, *, behind: int = 0) -> CuedFeed:
    """The text of a take that lasts for so many frames; the onsets behind a frame come so much later."""
    feed = CuedFeed(frames=frames, tokens=list(take.feed.tokens), ended=True)
    feed.onsets += [onset + later if onset > behind else onset for onset in take.feed.onsets]
    return feed
