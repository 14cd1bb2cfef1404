"""What stands for a scheduler in the tests of published ensembles."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from speaking_bundles import speaking_path

from voicestack.runtime import Advance
from voicestack.runtime.published import PublishedBundle, PublishedChunk, PublishedEnsemble, PublishedManner, Speech

LIMIT, ROWS = 25, 700
CUT = PublishedManner(max_frames=LIMIT)

IntArray = NDArray[np.int64]


def ensemble_of(case: str, slots: int = 4, capacity: int = ROWS) -> PublishedEnsemble:
    return PublishedEnsemble(PublishedBundle.load(speaking_path(case)), slots, capacity=capacity)


def begun(ensemble: PublishedEnsemble, text: str, manner: PublishedManner = CUT, **more: Any) -> Speech:
    """An utterance whose text is complete."""
    speech = ensemble.begin(manner, **more)
    speech.push(text)
    speech.finish()
    return speech


class Driver:
    """Steps utterances as a scheduler would, prefilling a few rows of each between the steps."""

    def __init__(self, ensemble: PublishedEnsemble, rows: int = 9) -> None:
        self.ensemble, self.rows = ensemble, rows
        self.left: dict[Speech, int] = {}
        self.chunks: dict[Speech, list[PublishedChunk]] = {}
        self.errors: dict[Speech, Exception] = {}
        self.parked: set[Speech] = set()
        self.over: set[Speech] = set()

    def round(self, speeches: Sequence[Speech], frames: int = 1) -> None:
        able = []
        for speech in speeches:
            if left := self.left.get(speech, 0):
                self.left[speech] = left - self.ensemble.prefill(speech, self.rows)
            if not self.left.get(speech, 0):
                able.append((speech, frames))
        for advanced in self.ensemble.step(able):
            speech = advanced.speech
            self.left[speech] = advanced.rows_left
            if advanced.chunk is not None:
                self.chunks.setdefault(speech, []).append(advanced.chunk)
            if advanced.error is not None:
                self.errors[speech] = advanced.error
            (self.parked.add if advanced.advance is Advance.PARKED else self.parked.discard)(speech)
            if advanced.advance in (Advance.DONE, Advance.FAILED):
                self.over.add(speech)

    def run(self, speeches: Sequence[Speech], until: int = 3000) -> None:
        for turn in range(until):
            going = [speech for speech in speeches if speech not in self.over]
            if not going:
                return
            self.round(going, (1, 2, 4)[turn % 3])

    def codes(self, speech: Speech) -> IntArray:
        return codes_of(self.chunks[speech])

    def sound(self, speech: Speech) -> NDArray[np.float32]:
        return np.concatenate([chunk.pcm for chunk in self.chunks[speech]])


def codes_of(chunks: Sequence[PublishedChunk]) -> IntArray:
    return np.concatenate([chunk.codes for chunk in chunks])


def slots_taken(ensemble: PublishedEnsemble) -> int:
    return len(ensemble._generator.table._streams)
