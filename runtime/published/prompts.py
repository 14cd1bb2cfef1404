"""Prompts of the families that get all text before they speak: Delay, Local, Local v1.5 and Nano.

`build_prompt` turns a request into the rows the backbone is prefilled with. All four share one template and differ in
how it is tokenised, how codes are laid out and what they can be asked for.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .generator_info import Family, GeneratorInfo
from .prompts_rows import Codes, IntArray, Part, Slots, checked_codes, control_id, delayed, lay_out
from .text_normaliser import normalise_delay
from .tokenizer import Encoder

_HEAD, _TAIL = "<user_inst>\n- Reference(s):\n", "\n</user_inst>"
_NOTHING = "None"
_STYLE = ("instruction", "tokens", "quality", "sound_event", "ambient_sound", "language")
"""The fields of a request that the template lists between the references and the text, in its order."""


@dataclass(frozen=True, slots=True, eq=False)
class PromptRequest:
    """What a published generator is asked to say, and how. Codes are whole numbers [frames, n_vq].

    Attributes:
        text: what to say; [pause 1.5s], [S1] and {event} are passed through.
        reference: clips of the voices to speak with, one a speaker; None keeps a speaker's number free.
        prefix: audio to go on from, as one clip or several that follow each other.
        prompt_text: what the prefix says; it is put before `text` as it is, so end it with a blank where one is due.
        instruction: how to say it, in words.
        tokens: the length wanted, in frames (12.5 a second).
        quality: the recording quality wanted.
        sound_event: the sound wanted, of a sound effect model.
        ambient_sound: the background wanted.
        language: the language's English name.
        normalise: rewrite the text as Delay was trained on; the other families take it as it is.
    """

    text: str
    reference: Sequence[Codes | None] = ()
    prefix: Codes | Sequence[Codes] | None = None
    prompt_text: str | None = None
    instruction: str | None = None
    tokens: int | None = None
    quality: str | None = None
    sound_event: str | None = None
    ambient_sound: str | None = None
    language: str | None = None
    normalise: bool = True

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InputError("the text is empty; give at least one word")
        if self.prompt_text is not None and self.prefix is None:
            raise InputError("prompt_text is given without prefix; give the codes of the audio that says it")
        if self.prefix is not None and not self.clips:
            raise InputError("prefix has no clips; give one, or None")
        if self.tokens is not None and self.tokens < 1:
            raise InputError(f"tokens is {self.tokens}; it counts frames (12.5 a second), at least 1")

    @property
    def clips(self) -> tuple[Codes, ...]:
        """The clips of the prefix."""
        if self.prefix is None:
            return ()
        return (self.prefix,) if isinstance(self.prefix, np.ndarray) else tuple(self.prefix)


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """A request with its codes checked, int64 [frames, n_vq] each; `text` is the whole of the template's field."""

    text: str
    reference: tuple[IntArray | None, ...]
    prefix: tuple[IntArray, ...]
    style: str


def build_prompt(request: PromptRequest, info: GeneratorInfo, encoder: Encoder) -> IntArray:
    """The rows to prefill the backbone with, int64 [S, 1 + n_vq].

    They end where the model goes on: at the start of the assistant's turn (Delay), on the row that starts audio, or
    on the last row of the prefix.
    """
    layout = _LAYOUTS.get(info.family)
    if layout is None:
        raise InputError(f"{info.family} takes its text while it speaks; its prompts are in prompts_realtime")
    _check_family(request, info.family)
    return lay_out(layout(_asked(request, info), info), info, encoder)


def _delay(asked: _Asked, info: GeneratorInfo) -> list[Part]:
    """Codes are delayed; of a prefix, the rows that would finish its last stacks are left to the model."""
    pad, start, slot = info.ids.audio_pad, control_id(info, "audio_start"), control_id(info, "slot")
    parts = _joined_texts(_template(asked, _labelled(asked, info, lambda codes: delayed(codes, pad)), info))
    if not asked.prefix:
        return parts
    codes = np.concatenate(asked.prefix)
    return [*parts, start, Slots(slot, delayed(codes, pad)[: len(codes)])]


def _local(asked: _Asked, info: GeneratorInfo) -> list[Part]:
    parts = _joined_texts(_template(asked, _labelled(asked, info, lambda codes: codes), info))
    return [*parts, *_audio_opening(asked, info)]


def _piecewise(asked: _Asked, info: GeneratorInfo) -> list[Part]:
    """Local v1.5 and Nano: each piece is tokenised on its own, and a prefix leaves no place for references."""
    clips = [] if asked.prefix else [codes for codes in asked.reference if codes is not None]
    blocks = [part for codes in clips for part in _block(codes, info)]
    return [*_template(asked, blocks or [_NOTHING], info), *_audio_opening(asked, info)]


_LAYOUTS: dict[Family, Callable[[_Asked, GeneratorInfo], list[Part]]] = {
    Family.DELAY: _delay,
    Family.LOCAL: _local,
    Family.LOCAL_V15: _piecewise,
    Family.NANO: _piecewise,
}


def _template(asked: _Asked, references: Iterable[Part], info: GeneratorInfo) -> list[Part]:
    """The user's turn and the start of the assistant's, in the pieces they may be tokenised in."""
    im_start, im_end = control_id(info, "im_start"), control_id(info, "im_end")
    user: list[Part] = [im_start, "user\n", _HEAD, *references, asked.style, asked.text, _TAIL, im_end, "\n"]
    return [*user, im_start, "assistant\n"]


def _labelled(asked: _Asked, info: GeneratorInfo, shift: Callable[[IntArray], IntArray]) -> list[Part]:
    """References behind the number of their speaker, one below the other."""
    parts: list[Part] = []
    for speaker, codes in enumerate(asked.reference, start=1):
        if codes is not None:
            parts += ["\n" if parts else "", f"[S{speaker}]:\n", *_block(shift(codes), info)]
    return parts or [_NOTHING]


def _block(codes: IntArray, info: GeneratorInfo) -> list[Part]:
    slots = Slots(control_id(info, "user_slot"), codes)
    return [control_id(info, "audio_start"), slots, control_id(info, "audio_end")]


def _audio_opening(asked: _Asked, info: GeneratorInfo) -> list[Part]:
    return [control_id(info, "audio_start"), *(Slots(control_id(info, "slot"), codes) for codes in asked.prefix)]


def _joined_texts(parts: Iterable[Part]) -> list[Part]:
    """Texts that follow each other as one: whole messages are tokenised at once."""
    joined: list[Part] = []
    for part in parts:
        if isinstance(part, str) and joined and isinstance(joined[-1], str):
            joined[-1] += part
        else:
            joined.append(part)
    return joined


def _asked(request: PromptRequest, info: GeneratorInfo) -> _Asked:
    return _Asked(
        text=_text(request, info.family),
        reference=tuple(
            None if codes is None else checked_codes(codes, info, f"reference {speaker}")
            for speaker, codes in enumerate(request.reference, start=1)
        ),
        prefix=tuple(checked_codes(codes, info, "prefix") for codes in request.clips),
        style=_style(request, info.family),
    )


def _text(request: PromptRequest, family: Family) -> str:
    text = (request.prompt_text or "") + request.text
    if family is not Family.DELAY or not request.normalise:
        return text
    normalised = normalise_delay(text)
    if not normalised:
        raise InputError(f"nothing is left of the text {text[:40]!r} once it is normalised; give at least one word")
    return normalised


def _style(request: PromptRequest, family: Family) -> str:
    values: list[str] = []
    for name in _STYLE:
        given = getattr(request, name)
        value = "" if given is None else str(given)
        values += [f"- {name.replace('_', ' ').title()}:", value if value.strip() else _NOTHING]
        if family is Family.LOCAL_V15:
            values[-1] = values[-1].strip()
    return "\n".join(["", *values, "- Text:", ""])


def _check_family(request: PromptRequest, family: Family) -> None:
    """InputError when the family's template has no place for something that is asked for."""
    if family in (Family.LOCAL_V15, Family.NANO) and len(request.clips) > 1:
        raise InputError(f"{family} continues one clip; join the codes of the prefix to one array")
    if family is not Family.NANO:
        return
    if unknown := [name for name in _STYLE if getattr(request, name) is not None]:
        raise InputError(f"{family} cannot be told {', '.join(unknown)}; leave it out")
    if len(request.reference) > 1 or any(codes is None for codes in request.reference):
        raise InputError(f"{family} speaks with one voice; give one reference")
    if request.reference and request.prefix is not None:
        raise InputError(f"{family} either clones a reference or continues a prefix; give one of them")
    if request.prefix is not None and request.prompt_text is None:
        raise InputError(f"{family} needs prompt_text, what the prefix says, to continue it")
