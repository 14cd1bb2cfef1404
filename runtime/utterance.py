"""An utterance of an ensemble, and what a step does to it."""

from dataclasses import dataclass
from enum import StrEnum

from .chunk import Chunk
from .rest import Rest
from .sentence_sound import Progress, SentenceSound
from .stream import Stream, StreamSpec
from .text_queue import TextQueue
from .warm_up import WarmUp


class Advance(StrEnum):
    """What a step did to an utterance: went on, found no text, came to its end, or failed."""

    SPOKEN = "spoken"
    PARKED = "parked"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Advanced:
    """The step of one utterance. frames: how many were made; pending: how many are not decoded; chunk: what was."""

    utterance: "Utterance"
    advance: Advance
    frames: int = 0
    pending: int = 0
    chunk: Chunk | None = None
    error: Exception | None = None


@dataclass(slots=True, eq=False)
class Utterance:
    """One utterance, made by `Ensemble.begin`: push its text, finish it, and step it until it is DONE or FAILED.

    `depth` is how many layers its next frames have; it may be changed between steps to another head's depth.
    `rate` is how fast it speaks, None for as the voice does by itself; `rest` the pause it is in.
    """

    spec: StreamSpec
    depth: int
    warm_up: WarmUp | None
    text: TextQueue
    progress: Progress
    rate: float | None = None
    rest: Rest | None = None
    stream: Stream | None = None
    sound: SentenceSound | None = None
    sentences: int = 0
    done: bool = False
    parked_at_s: float | None = None

    @property
    def row(self) -> int:
        """Its place in the engine's memory, -1 for none; neighbours share calls."""
        return -1 if self.stream is None or self.stream.row is None else self.stream.row

    def push(self, text: str) -> None:
        """Say more; ValueError after `finish`."""
        self.text.push(text)

    def finish(self) -> None:
        """Say that the text is complete."""
        self.text.finish()

    def play(self, depth: int | None) -> None:
        """Have only so many layers of each frame heard from the next one on, however many are made; None for all."""
        self.progress.played_depth = depth


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Seconds that the last `step` spent in the engine and in the codec, and how many frames it decoded.

    stepped: how many utterances took part; the others were out of text, or silent.
    """

    engine_s: float = 0.0
    codec_s: float = 0.0
    decoded: int = 0
    stepped: int = 0
