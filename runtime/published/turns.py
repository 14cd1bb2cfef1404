"""Turns of conversations with the Realtime family, each spoken while its text is written, many at once."""

import math

from ..errors import BundleError, CapacityError
from ..step_result import Event
from .generator_info import Family
from .prompts_realtime import TEXT_LEAD, assistant_rows
from .prompts_rows import IntArray
from .realtime_generator import RealtimeGenerator
from .speech import Instruments, Speech
from .speech_request import MAX_FRAMES, Drawing, PublishedManner
from .streams import Stream
from .tokenizer import JsonTokenizer
from .turn_text import TurnText, is_sound, turn_random
from .utterance import Utterance

_ALMOST_S = 1e-6


class Talk:
    """A conversation's memory in the generator: a stream, and how many turns it holds.

    `seed` and the turn's number decide how a turn is drawn. `last` is the newest turn.
    """

    def __init__(self, instruments: Instruments, manner: PublishedManner, how: Drawing) -> None:
        generator, tokenizer = instruments.generator, instruments.tokenizer
        if not isinstance(generator, RealtimeGenerator) or not isinstance(tokenizer, JsonTokenizer):
            raise BundleError("only the realtime family, with a tokenizer.json, has turns that go on from each other")
        self.generator, self.tokenizer, self.seed = generator, tokenizer, how.seed
        rows = (instruments.plain if manner.voice is None else manner.voice.memory).rows
        memory = instruments.memory_of(manner.voice)
        opened = generator.open([rows], how.sampling, depth=how.depth, memory=memory)
        self.stream: Stream | None = opened[0]
        self.turns = 0
        self.last: TurnSpeech | None = None

    def close(self) -> None:
        """Give the stream back; once more does no harm."""
        if self.last is not None:
            self.last.done, self.last.stream, self.last.sound = True, None, None
        if self.stream is not None:
            self.generator.release(self.stream)
            self.stream = None


class TurnSpeech(Speech):
    """A turn. `talk` opens the conversation, or finds it."""

    def __init__(
        self, instruments: Instruments, manner: PublishedManner, how: Drawing, talks: dict[int, Talk], key: int | None
    ) -> None:
        super().__init__(instruments, manner, how)
        self._talks, self._key = talks, key
        self._talk: Talk | None = None
        tokenizer = instruments.tokenizer
        if not isinstance(tokenizer, JsonTokenizer):
            raise BundleError("the realtime family needs a tokenizer.json")
        self._text = TurnText(tokenizer)
        self._spoken = self._last = 0
        self._counted = self._settled = False

    def push(self, text: str) -> None:
        """Say more."""
        self._text.push(text)

    def finish(self) -> None:
        """Say that the text is complete."""
        self._text.finish()

    def ready(self) -> bool:
        """Open the turn at once; then it waits only for text."""
        if self.done:
            return False
        if self._text.complete and not self._text.has_words:
            self.give_up()
            return False
        if self.stream is None:
            self._open()
        talk, stream = self._talk, self.stream
        if talk is None or stream is None:
            raise RuntimeError("the turn has been opened")
        self._text.supply(talk.generator, stream)
        return self.rows_left > 0 or not talk.generator.waits(stream)

    def take(self, row: IntArray | None) -> None:
        """Take a row; the turn ends with a code that is no sound, or where its limit is."""
        if self.stream is None or self.sound is None:
            raise RuntimeError("a turn without a stream has no rows")
        self.frames = 0
        if row is None or not is_sound(row, self._instruments.generator.info):
            self.stream.ended, self.event = True, Event.ENDED
            return
        self.frames = 1
        self._spoken += 1
        self.sound.take(row)
        if self._spoken == self._last or (self._manner.max_frames is None and self._text.ran_away(self._spoken)):
            self.event = Event.CAPPED

    def go_on(self) -> None:
        """Be done; the conversation remembers the turn."""
        self.done = True
        if self._talk is not None and not self._counted:
            self._talk.turns += 1
            self._counted = True
        self._leave()

    def give_up(self) -> None:
        """Roll the turn back, unless it is done."""
        if not self.done:
            self.done = True
            self._roll_back()
            self._leave()

    def stop_behind(self, seconds: float) -> None:
        """End the turn behind so many seconds, even when it was made to its end; the rest is forgotten."""
        talk = self._talk
        if talk is None or talk.stream is None or talk.last is not self or self._settled:
            return
        frame_s = self._instruments.decoder.info.hop / self._instruments.decoder.info.sample_rate_hz
        heard = self._spoken if math.isinf(seconds) else min(self._spoken, math.ceil((seconds - _ALMOST_S) / frame_s))
        if self._counted and heard == self._spoken:
            return
        if heard <= 0:
            self._roll_back()
        else:
            frames = talk.stream.clock.frames
            talk.generator.interrupt(talk.stream, 0 if heard == self._spoken else frames - heard)
            talk.turns += not self._counted
            self._counted = True
        self.done = self._settled = True
        self._leave()

    def _open(self) -> None:
        talk = self._talks.get(self._key) if self._key is not None else None
        if talk is None:
            talk = Talk(self._instruments, self._manner, self._how)
            if self._key is not None:
                self._talks[self._key] = talk
        self._talk, stream = talk, talk.stream
        if stream is None:
            raise CapacityError("the conversation has been closed; begin another")
        generator = talk.generator
        rows = assistant_rows(generator.info, talk.tokenizer, behind_another=talk.turns > 0)
        generator.begin_turn(stream, rows)
        talk.last, self.stream, self._prefilling = self, stream, True
        stream.random = turn_random(talk.seed, talk.turns)
        self.sound = Utterance(self._instruments.decoder, generator.info, None, self._progress)
        room = generator.table.room(stream) - self.rows_left - TEXT_LEAD
        if room < 1:
            raise CapacityError("the conversation has no room for a further turn; close it and begin another")
        limit = self._manner.max_frames
        self._last = min(room, MAX_FRAMES[Family.REALTIME] if limit is None else limit)

    def _roll_back(self) -> None:
        talk = self._talk
        if talk is None or talk.stream is None or talk.last is not self:
            return
        talk.generator.roll_back(talk.stream)
        talk.turns -= self._counted
        self._counted, self._settled = False, True

    def _leave(self) -> None:
        """Let go of the stream, which is the conversation's, or the turn's own."""
        self.stream = self.sound = None
        if self._key is None and self._talk is not None:
            self._talk.close()
