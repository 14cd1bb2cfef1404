"""One utterance among many of a published generator: its text comes at any time, its frames when a batch is stepped."""

from abc import ABC, abstractmethod
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..step_result import Event
from .codec_decoder import CodecDecoder
from .generator import AnyGenerator
from .prompt_memory import PromptMemory
from .published_voice import PublishedVoice
from .speech_request import MAX_FRAMES, Drawing, Prompt, PublishedManner, prompts_of, row_limit
from .streams import Stream
from .tokenizer import JsonTokenizer, PieceTokenizer
from .utterance import Progress, Utterance

IntArray = NDArray[np.int64]
_LEAD_INS = 8
"""So many are kept; each holds a codec's state."""


@dataclass(frozen=True, slots=True)
class Instruments:
    """What all speeches of an ensemble share.

    plain: what the rows that prompts without a voice begin with left in the caches. lead_ins: sounds that have heard
    the end of a prompt that speech goes on from, by its rows and depth.
    """

    generator: AnyGenerator
    decoder: CodecDecoder
    tokenizer: JsonTokenizer | PieceTokenizer
    capacity: int
    plain: PromptMemory
    lead_ins: dict[tuple[bytes, int | None], Utterance] = field(default_factory=dict)

    def memory_of(self, voice: PublishedVoice | None) -> PromptMemory | None:
        """What prompts with a voice need not feed again; nothing where it would take longer to put back than to feed.

        Writing to the caches of a GPU takes all of them to the host and back, while everybody waits.
        """
        if not self.generator.info.takes_query_lengths:
            return None
        return self.plain if voice is None else voice.memory

    def sound_behind(self, prompt: Prompt, depth: int | None, progress: Progress) -> Utterance:
        """The sound of what follows a prompt; what the codec hears before it is decoded once for all that follows."""
        fresh = Utterance(self.decoder, self.generator.info, depth, progress)
        if not prompt.continued:
            return fresh
        rows = prompt.rows[-prompt.continued :]
        key = (rows.tobytes(), depth)
        if key not in self.lead_ins:
            if len(self.lead_ins) == _LEAD_INS:
                del self.lead_ins[next(iter(self.lead_ins))]
            fresh.continue_from(rows, prompt.continued)
            self.lead_ins[key] = fresh
        return self.lead_ins[key].copy(progress)


class Speech(ABC):
    """One utterance, made by `PublishedEnsemble.begin`: push its text, finish it, and step it to its end.

    Attributes:
        stream: its place in the generator while it has one.
        sound: what was generated, on its way to chunks.
        event: why what is spoken now will have no further frame; None while it goes on.
        pause_s: silence behind it.
        frames: how many the last step made.
        done: whether it has been spoken to its end, or given up.
    """

    def __init__(self, instruments: Instruments, manner: PublishedManner, how: Drawing) -> None:
        self.stream: Stream | None = None
        self.sound: Utterance | None = None
        self.event: Event | None = None
        self.pause_s = 0.0
        self.frames = 0
        self.done = False
        self._instruments, self._manner, self._how = instruments, manner, how
        self._progress = Progress()
        self._prefilling = False

    @property
    def row(self) -> int:
        """Its place in the caches, -1 for none; neighbours share calls."""
        return -1 if self.stream is None else self.stream.slot

    @property
    def pending(self) -> int:
        """Frames that were made and not given out."""
        return 0 if self.sound is None else self.sound.waiting

    @property
    def rows_left(self) -> int:
        """Rows of its prompt that are to be prefilled before it can be stepped."""
        unfed = self.stream.unfed if self.stream is not None and self._prefilling else None
        return 0 if unfed is None else len(unfed)

    def prefill(self, rows: int) -> int:
        """Feed at most so many rows of the prompt; returns how many were fed."""
        before = self.rows_left
        if self.stream is None or not before:
            return 0
        self._prefilling = self._instruments.generator.table.feed_part(self.stream, rows) > 0
        return before - self.rows_left

    @abstractmethod
    def push(self, text: str) -> None:
        """Say more."""

    @abstractmethod
    def finish(self) -> None:
        """Say that the text is complete."""

    @abstractmethod
    def ready(self) -> bool:
        """Give it what it needs for a step, a stream and text; false when it waits for text, or is done."""

    @abstractmethod
    def take(self, row: IntArray | None) -> None:
        """Take what a step generated."""

    @abstractmethod
    def go_on(self) -> None:
        """Behind the last chunk of what was spoken: begin the next part, or be done."""

    @abstractmethod
    def give_up(self) -> None:
        """Leave the generator as if it had never been; once more, or when it is done, does no harm."""

    @abstractmethod
    def stop_behind(self, seconds: float) -> None:
        """End it behind so many seconds of its sound, even when it is done, for those that go on from it."""


class PromptedSpeech(Speech):
    """An utterance of a family whose prompt holds all of the text: nothing happens before that is complete.

    A long text of Nano's is several prompts, one after the other, the nth with `seed + n`.
    """

    def __init__(self, instruments: Instruments, manner: PublishedManner, how: Drawing) -> None:
        super().__init__(instruments, manner, how)
        self._text: list[str] = []
        self._complete = False
        self._prompts: deque[Prompt] | None = None
        self._part = 0
        self._left = 0

    def push(self, text: str) -> None:
        """Say more."""
        self._text.append(text)

    def finish(self) -> None:
        """Say that the text is complete."""
        self._complete = True

    def ready(self) -> bool:
        """Begin the first prompt when the text is complete."""
        if not self._complete or self.done:
            return False
        if self._prompts is None:
            self._prompts = self._made()
            self.go_on()
        return not self.done

    def take(self, row: IntArray | None) -> None:
        """Take a row; the speech ends with the model's end, or where its limit is."""
        if self.stream is None or self.sound is None:
            raise RuntimeError("a speech without a stream has no rows")
        before = self.sound.made
        if row is not None:
            self.sound.take(row)
        self.frames = self.sound.made - before
        self._left -= 1
        if self.stream.ended:
            self.event = Event.ENDED
        elif not self._left:
            self.event = Event.CAPPED

    def go_on(self) -> None:
        """Begin the next prompt, if there is one."""
        self.give_up()
        if not self._prompts:
            return
        prompt, tools, how = self._prompts.popleft(), self._instruments, self._how
        seed, memory = None if how.seed is None else how.seed + self._part, tools.memory_of(self._manner.voice)
        (self.stream,) = tools.generator.open([prompt.rows], how.sampling, depth=how.depth, seed=seed, memory=memory)
        self.done, self._prefilling, self.event, self.pause_s = False, True, None, prompt.pause_s
        self._part += 1
        self.sound = tools.sound_behind(prompt, how.depth, self._progress)
        family = tools.generator.info.family
        limit = MAX_FRAMES[family] if self._manner.max_frames is None else self._manner.max_frames
        self._left = min(row_limit(limit, tools.generator.info), tools.capacity - len(prompt.rows))

    def give_up(self) -> None:
        """Give the stream back."""
        self.done = True
        if self.stream is not None:
            self._instruments.generator.release(self.stream)
            self.stream = self.sound = None

    def stop_behind(self, seconds: float) -> None:
        """Nothing goes on from it."""
        self.give_up()

    def _made(self) -> deque[Prompt]:
        text, manner, tools = "".join(self._text), self._manner, self._instruments
        if not text.strip():
            return deque()
        recording = None if manner.voice is None else manner.voice.recording
        info = tools.generator.info
        return deque(prompts_of(text, info, tools.tokenizer, recording, manner.style, manner.normalise))
