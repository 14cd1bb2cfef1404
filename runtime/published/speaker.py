"""A published checkpoint that speaks: text in, chunks of sound out, while they are generated."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import BundleError, InputError
from ..step_result import Event
from .bundle import PublishedBundle
from .codec_encoder import CodecEncoder
from .conversation import Conversation, check_turn
from .generator_info import Family
from .prompt_memory import PromptMemory
from .prompts_rows import Codes, checked_codes
from .published_voice import PublishedVoice, Recording, checked_transcript, common_rows
from .realtime_generator import RealtimeGenerator
from .sampling_rules import PublishedSampling
from .speech_request import MAX_FRAMES, WITHOUT_STYLE, Drawing, Prompt, SpeechStyle, check_style, prompts_of, whole_text
from .streams import Stream
from .tokenizer import JsonTokenizer
from .utterance import Progress, PublishedChunk, Utterance
from .voice_file import bundle_identity, read_voice, write_voice
from .voice_prompt import VoicePromptFormat, load_voice_prompt, prepare_voice_prompt

IntArray = NDArray[np.int64]
Source = str | Path | BinaryIO | NDArray[Any]
"""A file with a recording, or its samples."""
CAPACITY = 8192
"""Rows a stream may have unless the caller says otherwise: some ten minutes, prompt included."""
_NO_STYLE = SpeechStyle()


class PublishedSpeaker:
    """A bundle's generator and codec, speaking in its caller's thread.

    `slots` texts or conversations can be under way at once, each of at most `capacity` rows. BundleError when the
    bundle has no codec or no tokenizer; the tokenizer needs the `published` extra.
    """

    def __init__(self, bundle: PublishedBundle, *, slots: int = 1, capacity: int | None = None) -> None:
        self.info = bundle.generator_info
        self._capacity = min(CAPACITY, self.info.backbone.max_positions) if capacity is None else capacity
        self._decoder = bundle.codec_decoder()
        self._tokenizer = bundle.tokenizer()
        self._generator = bundle.generator(slots=slots, capacity=self._capacity)
        self._identity = bundle_identity(bundle.manifest)
        self._bundle = bundle
        self._encoder: CodecEncoder | None = None

    @property
    def sample_rate_hz(self) -> int:
        """Samples of one second of a chunk's pcm."""
        return self._decoder.info.sample_rate_hz

    @property
    def channels(self) -> int:
        """Channels of a chunk's pcm."""
        return self._decoder.info.channels

    @property
    def frame_samples(self) -> int:
        """Samples of one frame, per channel."""
        return self._decoder.info.hop

    @property
    def takes_style(self) -> bool:
        """Whether the family's prompts have a place for a `SpeechStyle`."""
        return self.info.family not in WITHOUT_STYLE

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

    def voice(self, recording: Source, *, rate_hz: int | None = None, transcript: str | None = None) -> PublishedVoice:
        """A voice from a recording, as `encode` takes it.

        With a `transcript` speech goes on from the recording; without, it sounds like it. CapacityError when the
        recording leaves no room in the speaker's memory.
        """
        return self.voice_of_codes(self.encode(recording, rate_hz=rate_hz), transcript=transcript)

    def encode(self, recording: Source, *, rate_hz: int | None = None) -> IntArray:
        """The codes int64 [T, n_vq] of a WAV, FLAC or OGG file, or of samples [N] or [N, channels] at `rate_hz`.

        InputError says what is wrong with a recording: too short or long, silent, clipped, not finite.
        """
        codec = self._decoder.info
        wanted = VoicePromptFormat.of(self.info.family, codec.sample_rate_hz, codec.channels)
        if not isinstance(recording, np.ndarray):
            pcm = load_voice_prompt(Path(recording) if isinstance(recording, str) else recording, wanted)
        elif rate_hz is None:
            raise InputError("samples are given without rate_hz; say how many there are in a second")
        else:
            pcm = prepare_voice_prompt(recording, rate_hz, wanted)
        if self._encoder is None:
            self._encoder = self._bundle.codec_encoder()
        return self._encoder.encode_clip(pcm, self.info.n_vq).astype(np.int64)

    def voice_of_codes(self, codes: Codes, *, transcript: str | None = None) -> PublishedVoice:
        """A voice from what the codec made of a recording, whole numbers [frames, n_vq]."""
        checked = checked_codes(codes, self.info, "the recording's codes")
        recording = Recording(checked, checked_transcript(transcript, self.info))
        rows = common_rows(recording, self.info, self._tokenizer)
        (stream,) = self._generator.prefill([rows])
        try:
            return PublishedVoice(recording, self._generator.table.remember(stream, rows), self._identity)
        finally:
            self._generator.release(stream)

    def save_voice(self, voice: PublishedVoice, path: str | Path) -> None:
        """Write a voice to a file that `load_voice` reads."""
        self._require_own(voice)
        write_voice(Path(path), voice, self.info, self._bundle.manifest.name)

    def load_voice(self, path: str | Path) -> PublishedVoice:
        """Read a `.voice` file; BundleError when it is broken, or was made with another bundle."""
        return read_voice(Path(path), self.info, self._identity)

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
        # A delay generator's frame is complete n - 1 rows after it began, and a row that is no sound comes first.
        rows = limit + self.info.n_vq if self.info.family is Family.DELAY else limit
        for left in reversed(range(min(rows, self._generator.table.room(stream)))):
            (row,) = self._generator.step([stream])
            if row is not None:
                utterance.take(row)
            if stream.ended:
                break
            if utterance.due and left:
                yield utterance.chunk()
        yield utterance.chunk(Event.ENDED if stream.ended else Event.CAPPED, prompt.pause_s)

    def _require_own(self, voice: PublishedVoice | None) -> None:
        if voice is not None and voice.bundle != self._identity:
            raise InputError("the voice was made with another bundle; make it again with this one")
