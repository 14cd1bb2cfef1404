"""A published bundle made ready to speak: its generator, codec and tokenizer, and the voices made with them."""

from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .bundle import PublishedBundle
from .codec_encoder import CodecEncoder
from .prompts_rows import Codes, checked_codes
from .published_voice import PublishedVoice, Recording, checked_transcript, common_rows
from .speech_request import WITHOUT_STYLE
from .voice_file import bundle_identity, read_voice, write_voice
from .voice_prompt import VoicePromptFormat, load_voice_prompt, prepare_voice_prompt

IntArray = NDArray[np.int64]
Source = str | Path | BinaryIO | NDArray[Any]
"""A file with a recording, or its samples."""
CAPACITY = 8192
"""Rows a stream may have unless the caller says otherwise: some ten minutes, prompt included."""


class PublishedStudio:
    """A bundle's generator for `slots` streams of at most `capacity` rows, and its codec; one thread uses it.

    BundleError when the bundle has no codec or no tokenizer; the tokenizer needs the `published` extra.
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

    def _require_own(self, voice: PublishedVoice | None) -> None:
        if voice is not None and voice.bundle != self._identity:
            raise InputError("the voice was made with another bundle; make it again with this one")
