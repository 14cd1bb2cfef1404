"""What a published generator can be asked for beside the text, and the prompts a text becomes."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, fields

import numpy as np
from numpy.typing import NDArray

from ..checks import whole
from ..errors import InputError
from .generator_info import Family, GeneratorInfo
from .prompts import PromptRequest, build_prompt
from .published_voice import PublishedVoice, Recording
from .sampling_rules import PublishedSampling
from .text_nano import APP_CHUNK_TOKENS, NanoChunk, chunk_text
from .text_normaliser import normalise_nano
from .tokenizer import Encoder

IntArray = NDArray[np.int64]

MAX_FRAMES = {
    Family.DELAY: 1000,
    Family.LOCAL: 4096,
    Family.LOCAL_V15: 4096,
    Family.REALTIME: 4096,
    Family.NANO: 375,
}
"""Frames (12.5 a second) of one text, or of one turn, unless the caller says otherwise.

Delay's, v1.5's and Nano's are those of the published code, which stops the other two at their memory only.
"""
WITHOUT_STYLE = (Family.NANO, Family.REALTIME)
"""The families whose prompts have no place for a `SpeechStyle`."""


@dataclass(frozen=True, slots=True)
class SpeechStyle:
    """What the prompt says of the speech wanted; `PromptRequest` tells what each means, None leaves it to the model."""

    instruction: str | None = None
    tokens: int | None = None
    quality: str | None = None
    sound_event: str | None = None
    ambient_sound: str | None = None
    language: str | None = None

    @property
    def asked(self) -> tuple[str, ...]:
        """The fields that are given."""
        return tuple(each.name for each in fields(self) if getattr(self, each.name) is not None)


@dataclass(frozen=True, slots=True)
class PublishedManner:
    """How an utterance is spoken; what each means, `PublishedSpeaker.speak` tells."""

    voice: PublishedVoice | None = None
    style: SpeechStyle = field(default_factory=SpeechStyle)
    sampling: PublishedSampling | None = None
    max_frames: int | None = None
    normalise: bool = True

    def __post_init__(self) -> None:
        if self.max_frames is not None:
            whole("max_frames", self.max_frames, 1)


@dataclass(frozen=True, slots=True)
class Drawing:
    """How codes are drawn: by the family's published defaults unless told otherwise, all layers if `depth` is None."""

    sampling: PublishedSampling | None = None
    seed: int | None = None
    depth: int | None = None

    def __post_init__(self) -> None:
        if self.seed is not None:
            whole("seed", self.seed, 0)


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """Rows [S,1+n] to prefill, how many of the last ones are sound to go on from, and the silence behind the speech."""

    rows: IntArray
    continued: int
    pause_s: float


def prompts_of(
    text: str,
    info: GeneratorInfo,
    encoder: Encoder,
    recording: Recording | None,
    style: SpeechStyle,
    normalise: bool,
) -> list[Prompt]:
    """The prompts a text is spoken from, one after the other: one, or Nano's several for a long text.

    InputError names what the family cannot be asked for, or says that there is nothing to speak.
    """
    ask = PromptRequest if recording is None else recording.request
    frames = 0
    if recording is not None and recording.transcript is not None:
        # Delay's prefix begins with the row that starts audio: the published code cuts that off, too, a frame too many.
        frames = len(recording.codes) + (info.family is Family.DELAY)
    prompts = []
    for part in _parts(text, info, encoder, recording, normalise):
        request = ask(part.text, normalise=normalise, **asdict(style))
        prompts.append(Prompt(build_prompt(request, info, encoder), frames, part.pause_s))
    return prompts


def row_limit(frames: int, info: GeneratorInfo) -> int:
    """How many rows may be generated for so many frames."""
    # A delay generator's frame is complete n - 1 rows after it began, and a row that is no sound comes first.
    return frames + info.n_vq if info.family is Family.DELAY else frames


def check_style(style: SpeechStyle, family: Family) -> None:
    """InputError when the family's prompts have no place for what is asked for."""
    if style.asked and family in WITHOUT_STYLE:
        raise InputError(f"{family} cannot be told {', '.join(style.asked)}; leave it out")


def whole_text(text: Iterable[str]) -> str:
    """The pieces of a text joined, once the last one has come."""
    try:
        return "".join(text)
    except TypeError as error:
        raise InputError(f"the text must be a string, or strings one after the other ({error})") from error


def _parts(
    text: str, info: GeneratorInfo, encoder: Encoder, recording: Recording | None, normalise: bool
) -> list[NanoChunk]:
    """Nano clones a voice for some 75 tokens at a time; all other text is spoken in one go."""
    if info.family is not Family.NANO:
        return [NanoChunk(text, 0.0)]
    text = normalise_nano(text) if normalise else text
    # Without a recording every part would have another voice.
    if recording is None or recording.transcript is not None or not text.strip():
        return [NanoChunk(text, 0.0)]
    parts = chunk_text(text, APP_CHUNK_TOKENS, lambda piece: len(encoder.encode(piece)))
    return [*parts[:-1], NanoChunk(parts[-1].text, 0.0)]
