"""A published checkpoint that speaks: text in, chunks of sound out, while they are generated."""

from collections.abc import Callable, Iterable, Iterator

import numpy as np

from ..checks import whole
from ..errors import BundleError, InputError
from ..step_result import Event
from .conversation import Conversation, check_turn
from .generator_info import Family
from .prompt_memory import PromptMemory
from .published_voice import PublishedVoice
from .realtime_generator import RealtimeGenerator
from .sampling_rules import PublishedSampling
from .speech_request import MAX_FRAMES, Drawing, Prompt, SpeechStyle, check_style, prompts_of, row_limit, whole_text
from .streams import Stream
from .studio import PublishedStudio
from .tokenizer import JsonTokenizer
from .utterance import Progress, PublishedChunk, Utterance

_NO_STYLE = SpeechStyle()


class PublishedSpeaker(PublishedStudio):
    """A bundle's generator and codec, speaking in its caller's thread.

    `slots` texts or conversations can be under way at once, each of at most `capacity` rows. BundleError when the
    bundle has no codec or no tokenizer; the tokenizer needs the `published` extra.
    """

    def prepare(self, depth: int | None = None) -> None:
        """Do now what the first text of a depth would have to wait for. InputError for a depth the family has not."""
        generator = self._generator
        (stream,) = generator.prefill([np.zeros((1, 1 + self.info.n_vq), np.int64)], depth=depth)
        try:
            if isinstance(generator, RealtimeGenerator):
                generator.push_text(stream, [0])
                generator.end_text(stream)
            generator.step([stream])
        finally:
            generator.release(stream)
        self._decoder.decode([self._decoder.begin()], [np.zeros((1, 1), np.int64)])

    def speak(
        self,
        text: str | Iterable[str],
        *,
        voice: PublishedVoice | None = None,
        style: SpeechStyle = _NO_STYLE,
        sampling: PublishedSampling | None = None,
        seed: int | None = None,
        depth: int | None = None,
        max_frames: int | None = None,
        normalise: bool = True,
    ) -> Iterator[PublishedChunk]:
        """Speak a text, in chunks that are made as they are asked for.

        Realtime speaks a text that is still being written, as one turn; all other families read it to its end first.
        InputError names what cannot be used: at once for a string, else with the first chunk.

        Args:
            text: what to say; Nano cuts a long one into parts when it speaks with a voice.
            voice: what to sound like, or to go on from.
            style: what else is asked of the speech.
            sampling: how codes are drawn, else as the family's published code does by default.
            seed: speaks the same way every time.
            depth: how many code layers are made, all if None; only Local and Nano can make fewer.
            max_frames: the limit of a prompt's speech, 12.5 a second, else that of `MAX_FRAMES`.
            normalise: rewrite the text as Delay and Nano were trained on; the others take it as it is.
        """
        self._require_own(voice)
        check_style(style, self.info.family)
        how = Drawing(sampling, seed, depth)
        if self.info.family is Family.REALTIME:
            check_turn(text)
            return self._one_turn(text, voice, how, max_frames)
        limit = whole("max_frames", MAX_FRAMES[self.info.family] if max_frames is None else max_frames, 1)
        recording, memory = (None, None) if voice is None else (voice.recording, voice.memory)

        def prompts(text: str) -> list[Prompt]:
            return prompts_of(text, self.info, self._tokenizer, recording, style, normalise)

        if isinstance(text, str):
            made = prompts(text)
            return self._utter(lambda: made, how, memory, limit)
        return self._utter(lambda: prompts(whole_text(text)), how, memory, limit)

    def converse(
        self,
        voice: PublishedVoice | None = None,
        *,
        sampling: PublishedSampling | None = None,
        seed: int | None = None,
    ) -> Conversation:
        """Begin a conversation, whose turns go on from each other: only Realtime can. It takes a slot."""
        self._require_own(voice)
        return self._conversation(voice, Drawing(sampling, seed))

    def _conversation(self, voice: PublishedVoice | None, how: Drawing) -> Conversation:
        generator, tokenizer = self._generator, self._tokenizer
        if not isinstance(generator, RealtimeGenerator):
            raise InputError(f"{self.info.family} has no turns that go on from each other; use speak")
        if not isinstance(tokenizer, JsonTokenizer):
            raise BundleError(f"{self._bundle.path}: field tokenizer must be a tokenizer.json, which realtime needs")
        return Conversation(generator, self._decoder, tokenizer, None if voice is None else voice.memory, how)

    def _one_turn(
        self, text: str | Iterable[str], voice: PublishedVoice | None, how: Drawing, max_frames: int | None
    ) -> Iterator[PublishedChunk]:
        with self._conversation(voice, how) as conversation:
            yield from conversation.speak(text, max_frames=max_frames)

    def _utter(
        self, prompts: Callable[[], list[Prompt]], how: Drawing, memory: PromptMemory | None, limit: int
    ) -> Iterator[PublishedChunk]:
        """Prompt after prompt, the nth with `seed + n`."""
        progress = Progress()
        for place, prompt in enumerate(prompts()):
            seed = None if how.seed is None else how.seed + place
            (stream,) = self._generator.prefill([prompt.rows], how.sampling, depth=how.depth, seed=seed, memory=memory)
            try:
                yield from self._say(stream, prompt, Utterance(self._decoder, self.info, how.depth, progress), limit)
            finally:
                self._generator.release(stream)

    def _say(self, stream: Stream, prompt: Prompt, utterance: Utterance, limit: int) -> Iterator[PublishedChunk]:
        if prompt.continued:
            utterance.continue_from(prompt.rows[-prompt.continued :], prompt.continued)
        rows = min(row_limit(limit, self.info), self._generator.table.room(stream))
        for left in reversed(range(rows)):
            (row,) = self._generator.step([stream])
            if row is not None:
                utterance.take(row)
            if stream.ended:
                break
            if utterance.due and left:
                yield utterance.chunk()
        yield utterance.chunk(Event.ENDED if stream.ended else Event.CAPPED, prompt.pause_s)
