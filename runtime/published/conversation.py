"""A conversation with the Realtime family: turns over one memory, each spoken while its text is still being written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import count
from types import TracebackType

from ..checks import whole
from ..errors import CapacityError, InputError
from ..step_result import Event
from .codec_decoder import CodecDecoder
from .generator_info import Family
from .prompt_memory import PromptMemory
from .prompts_realtime import TEXT_LEAD, assistant_rows, system_rows, user_rows
from .prompts_rows import Codes, IntArray
from .realtime_generator import RealtimeGenerator
from .speech_request import MAX_FRAMES, Drawing
from .streams import Stream
from .tokenizer import JsonTokenizer
from .turn_text import TurnText, is_sound, turn_random
from .utterance import PublishedChunk, Utterance


@dataclass(frozen=True, slots=True, eq=False)
class UserTurn:
    """What the user said and how it sounded: codes, whole numbers [frames, n_vq]."""

    text: str
    codes: Codes


class Conversation:
    """Turns that go on from each other; used as a context manager, or closed, it gives its slot back.

    A turn that was not made to its end, because its iterator was closed or something failed, is forgotten: the next
    one is what it would have been without it.
    """

    def __init__(
        self,
        generator: RealtimeGenerator,
        decoder: CodecDecoder,
        tokenizer: JsonTokenizer,
        memory: PromptMemory | None,
        how: Drawing,
    ) -> None:
        self._generator, self._decoder, self._tokenizer = generator, decoder, tokenizer
        self._seed, self._turns, self._in_turn = how.seed, 0, False
        rows = system_rows(generator.info, tokenizer) if memory is None else memory.rows
        self._stream: Stream | None
        (self._stream,) = generator.prefill([rows], how.sampling, depth=how.depth, memory=memory)

    def __enter__(self) -> "Conversation":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give the slot back; a turn under way ends with that."""
        if self._stream is not None:
            self._generator.release(self._stream)
            self._stream = None

    def speak(
        self, text: str | Iterable[str], *, user: UserTurn | None = None, max_frames: int | None = None
    ) -> Iterator[PublishedChunk]:
        """The next turn, in chunks that are made as they are asked for; the nth is drawn by the seed and n.

        Text is read only when there is nothing to say without it: speech begins with the first dozen tokens. `user` is
        what the turn answers; without `max_frames` a turn is cut off that takes far longer than its text. InputError
        says what cannot be used, CapacityError that the conversation is too long.
        """
        check_turn(text)
        limit = None if max_frames is None else whole("max_frames", max_frames, 1)
        return self._turn(text, user, limit)

    def _turn(self, pieces: str | Iterable[str], user: UserTurn | None, limit: int | None) -> Iterator[PublishedChunk]:
        text = TurnText(self._tokenizer)
        reader = _Reader(pieces, text)
        generator, stream = self._generator, self._stream
        if stream is None or self._in_turn:
            raise InputError("the conversation is closed, or the turn before is not at its end; close its iterator")
        rows = self._opening(user)
        self._in_turn, is_whole = True, False
        try:
            generator.next_turn(stream, rows)
            stream.random = turn_random(self._seed, self._turns)
            for chunk in self._frames(stream, text, reader, limit):
                # Before it is given out: who has the last chunk need not ask for more.
                is_whole = chunk.event in (Event.ENDED, Event.CAPPED)
                yield chunk
                if self._stream is None:  # Closed meanwhile, and its slot may be another's.
                    return
        finally:
            self._in_turn = False
            self._turns += is_whole
            if not is_whole and self._stream is not None:
                generator.roll_back(stream)

    def _frames(self, stream: Stream, text: TurnText, reader: "_Reader", limit: int | None) -> Iterator[PublishedChunk]:
        generator, utterance = self._generator, Utterance(self._decoder, self._generator.info)
        room = generator.table.room(stream) - TEXT_LEAD
        if room < 1:
            raise CapacityError("the conversation has no room for a further turn; close it and begin another")
        last, has_spoken = min(room, MAX_FRAMES[Family.REALTIME] if limit is None else limit), False
        for frames in count(1):
            while generator.waits(stream):
                if has_spoken:
                    yield utterance.chunk(Event.PARKED)
                    has_spoken = False
                reader.supply(generator, stream)
            (row,) = generator.step([stream])
            if row is None or not is_sound(row, generator.info):
                stream.ended = True
                break
            utterance.take(row)
            has_spoken = True
            if frames == last or (limit is None and text.ran_away(frames)):
                break
            if utterance.due:
                yield utterance.chunk()
        yield utterance.chunk(Event.ENDED if stream.ended else Event.CAPPED)

    def _opening(self, user: UserTurn | None) -> IntArray:
        info, tokenizer = self._generator.info, self._tokenizer
        if user is None:
            return assistant_rows(info, tokenizer, behind_another=self._turns > 0)
        return user_rows(info, tokenizer, user.text, user.codes)


class _Reader:
    """The text of a turn that is read as it is wanted."""

    def __init__(self, text: str | Iterable[str], into: TurnText) -> None:
        self._pieces, self._into = iter((text,) if isinstance(text, str) else text), into

    def supply(self, generator: RealtimeGenerator, stream: Stream) -> None:
        """Read one more piece, or learn that there is none."""
        piece = next(self._pieces, None)
        if piece is None:
            if not self._into.has_words:
                raise InputError("the text is empty; give at least one word")
            self._into.finish()
        elif not isinstance(piece, str):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
            raise InputError(f"the text must be a string, or strings one after the other, got {piece!r:.40}")
        else:
            self._into.push(piece)
        self._into.supply(generator, stream)


def check_turn(text: str | Iterable[str]) -> None:
    """InputError when what is given for a turn's text is none."""
    if isinstance(text, str):
        if not text.strip():
            raise InputError("the text is empty; give at least one word")
    elif not isinstance(text, Iterable):  # pyright: ignore[reportUnnecessaryIsInstance]  # callers may be untyped
        raise InputError(f"the text must be a string, or strings one after the other, got {text!r:.40}")
