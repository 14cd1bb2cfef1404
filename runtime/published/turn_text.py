"""The text of one turn of the Realtime family on its way to the generator, and when such a turn is at its end."""

import numpy as np

from .generator_info import GeneratorInfo
from .prompts_rows import IntArray
from .realtime_generator import RealtimeGenerator
from .streams import Stream
from .text_stream import TextDelta
from .tokenizer import JsonTokenizer

_FRAMES_PER_TOKEN, _FRAMES_ANYWAY = 12, 50
"""What a turn may take at most, unless its caller sets a limit: three times what tokens take on average."""


class TurnText:
    """Text as it is written, tokenised as it comes.

    Attributes:
        has_words: whether there is anything to say.
        complete: whether no text will follow.
    """

    def __init__(self, tokenizer: JsonTokenizer) -> None:
        self.has_words = self.complete = False
        self._delta = TextDelta(tokenizer)
        self._waiting: list[int] = []
        self._tokens, self._is_told = 0, False

    def push(self, piece: str) -> None:
        """Say more."""
        self.has_words = self.has_words or bool(piece.strip())
        self._take(self._delta.push(piece))

    def finish(self) -> None:
        """Say that the text is complete; once more does no harm."""
        if not self.complete:
            self._take(self._delta.finish())
            self.complete = True

    def supply(self, generator: RealtimeGenerator, stream: Stream) -> None:
        """Give the generator what has come since the last time."""
        tokens, self._waiting = self._waiting, []
        generator.push_text(stream, tokens)
        if self.complete and not self._is_told:
            generator.end_text(stream)
            self._is_told = True

    def ran_away(self, frames: int) -> bool:
        """Whether that many frames are more than all of the text can take."""
        return self.complete and frames >= _FRAMES_ANYWAY + _FRAMES_PER_TOKEN * self._tokens

    def _take(self, tokens: list[int]) -> None:
        self._tokens += len(tokens)
        self._waiting += tokens


def is_sound(row: IntArray, info: GeneratorInfo) -> bool:
    """Whether a row's codes can be heard: pad and the marks of beginning and end are codes in this family, too."""
    return bool((row[1:] < info.codebook_size).all())


def turn_random(seed: int | None, turn: int) -> np.random.Generator:
    """What the nth turn of a conversation is drawn by."""
    return np.random.default_rng(None if seed is None else [seed, turn])
