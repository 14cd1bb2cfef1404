"""A voice to speak with: a recording as codes, and what the backbone makes of a prompt with it ahead of any text."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .generator_info import Family, GeneratorInfo
from .prompt_memory import PromptMemory, common_length
from .prompts import PromptRequest, build_prompt
from .prompts_realtime import system_rows
from .text_estimate import guess_language
from .tokenizer import Tokenizer

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """Codes int64 [T, n_vq], and what is said in them where speech is to go on from it, else None."""

    codes: IntArray
    transcript: str | None = None

    def request(self, text: str, **fields: Any) -> PromptRequest:
        """A request for a text in this voice; `fields` are the others of `PromptRequest`."""
        if self.transcript is None:
            return PromptRequest(text, reference=[self.codes], **fields)
        return PromptRequest(text, prefix=self.codes, prompt_text=self.transcript, **fields)


@dataclass(frozen=True, slots=True, eq=False)
class PublishedVoice:
    """A recording made ready for one bundle.

    `memory` is what the rows that all texts have in common left in the caches: all of a recording to sound like, but of
    one to go on from only what is said in it, since its codes come behind the text. `bundle` is the identity of the
    bundle it belongs to.
    """

    recording: Recording
    memory: PromptMemory
    bundle: str


def common_rows(recording: Recording | None, info: GeneratorInfo, tokenizer: Tokenizer) -> IntArray:
    """The rows [P,1+n] that prompts with this recording, or without one, begin with, whatever they go on to say."""
    if info.family is Family.REALTIME:
        return system_rows(info, tokenizer, None if recording is None else recording.codes)
    ask = PromptRequest if recording is None else recording.request
    one, other = (build_prompt(ask(text, normalise=False), info, tokenizer) for text in ("a", "1"))
    return one[: common_length(one, other)]


def checked_transcript(transcript: str | None, info: GeneratorInfo) -> str | None:
    """A transcript as it stands before the text, with a blank where one is due."""
    if transcript is None:
        return None
    if info.family is Family.REALTIME:
        raise InputError("realtime does not go on from a recording; leave out what it says")
    if not transcript.strip():
        raise InputError("what the recording says is empty; give its words, or leave it out")
    joined = transcript[-1].isspace() or guess_language(transcript) == "zh"
    return transcript if joined else transcript + " "
