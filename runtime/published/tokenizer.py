"""The tokenizer a checkpoint was trained with: a `tokenizer.json`, or Nano's sentencepiece model.

Text is only ever read as text: a control token spelled out in it is tokenised letter by letter, so that nobody can
close a turn from inside a sentence. Prompts put control ids in by number.
"""

import re
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

from ..errors import BundleError, InputError
from .generator_info import Family, GeneratorInfo
from .tokenizer_extras import from_extra

IM_START, IM_END = "<|im_start|>", "<|im_end|>"
AUDIO_PAD, TEXT_PAD = "<|audio_pad|>", "<|text_pad|>"
_REMEDY = "use the tokenizer file of the same checkpoint"


class Encoder(Protocol):
    """Text to ids."""

    def encode(self, text: str) -> list[int]:
        """Ids of a text, none added."""
        ...


class WordEncoder(Encoder, Protocol):
    """An encoder that reads a text from left to right in pieces ("words") and tokenises each on its own."""

    def encode_words(self, text: str) -> list[list[int]]:
        """Ids of each piece of a text; joined, they are the text's ids."""
        ...


class Tokenizer(Encoder, Protocol):
    """An encoder whose vocabulary can be compared with that of a generator."""

    @property
    def size(self) -> int:
        """One more than the largest id."""
        ...

    def id_of(self, token: str) -> int | None:
        """The id of a control token by its name."""
        ...

    def is_text(self, token_id: int) -> bool:
        """Whether an id stands for a piece of ordinary text."""
        ...


class JsonTokenizer:
    """A `tokenizer.json`, read by the `tokenizers` package."""

    def __init__(self, path: Path) -> None:
        tokenizers = from_extra("tokenizers", f"{path.name} of a published checkpoint")
        try:
            self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(path))
        except Exception as error:  # the package raises nothing more precise
            raise BundleError(f"{path}: not a tokenizer file ({error}); {_REMEDY}") from error
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        added = self._tokenizer.get_added_tokens_decoder()
        # Only tokens marked special are left unread in a text, and checkpoints do not mark all of them.
        plain = [token.content for token in added.values() if not token.special]
        self._tokenizer.add_special_tokens([tokenizers.AddedToken(content, special=True) for content in plain])
        self._tokenizer.encode_special_tokens = True
        self._controls = frozenset(added)
        self._size = 1 + max(self._tokenizer.get_vocab(with_added_tokens=True).values(), default=-1)

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return self._size

    def id_of(self, token: str) -> int | None:
        """The id of a control token by its name."""
        token_id: int | None = self._tokenizer.token_to_id(token)
        return token_id

    def is_text(self, token_id: int) -> bool:
        """Whether an id stands for a piece of ordinary text."""
        return token_id < self._size and token_id not in self._controls

    def encode(self, text: str) -> list[int]:
        """Ids of a text, none added."""
        ids: list[int] = self._encoding(text).ids
        return ids

    def encode_words(self, text: str) -> list[list[int]]:
        """Ids of each piece that the tokenizer's own pattern finds."""
        encoding = self._encoding(text)
        pairs = zip(encoding.word_ids, encoding.ids, strict=True)
        return [[token_id for _, token_id in group] for _, group in groupby(pairs, key=lambda pair: pair[0])]

    def _encoding(self, text: str) -> Any:
        return self._tokenizer.encode(_encodable(text), add_special_tokens=False)


class PieceTokenizer:
    """A sentencepiece model, as the Nano family has one."""

    def __init__(self, path: Path) -> None:
        sentencepiece = from_extra("sentencepiece", f"{path.name} of a published checkpoint")
        try:
            self._model: Any = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except Exception as error:  # the package raises OSError, RuntimeError and others
            raise BundleError(f"{path}: not a sentencepiece model ({error}); {_REMEDY}") from error

    @property
    def size(self) -> int:
        """One more than the largest id."""
        return int(self._model.get_piece_size())

    def id_of(self, token: str) -> int | None:
        """The id of a control token by its name."""
        token_id = int(self._model.piece_to_id(token))
        return None if token_id == self._model.unk_id() else token_id

    def is_text(self, token_id: int) -> bool:
        """Whether an id stands for a piece of ordinary text; <...> are controls, but for the byte pieces."""
        if token_id >= self.size or self._model.is_control(token_id) or self._model.is_unused(token_id):
            return False
        named = re.fullmatch(r"<[^<>]+>", self._model.id_to_piece(token_id)) is not None
        return bool(self._model.is_byte(token_id)) or not named

    def encode(self, text: str) -> list[int]:
        """Ids of a text, none added."""
        return [int(token_id) for token_id in self._model.encode(_encodable(text))]


def load_tokenizer(path: Path) -> JsonTokenizer | PieceTokenizer:
    """Load `tokenizer.json` or a sentencepiece `.model` file, by the name's ending."""
    if not path.is_file():
        raise BundleError(f"{path}: the tokenizer file is missing; copy it from the checkpoint's folder")
    return PieceTokenizer(path) if path.suffix == ".model" else JsonTokenizer(path)


def check_tokenizer(tokenizer: Tokenizer, info: GeneratorInfo) -> None:
    """BundleError unless the tokenizer's size and control tokens are those of the generator."""
    if tokenizer.size > info.text_vocabulary:
        raise BundleError(
            f"the tokenizer has ids up to {tokenizer.size - 1}, the generator knows {info.text_vocabulary}; {_REMEDY}"
        )
    ids = info.ids
    named = {IM_START: ids.im_start, IM_END: ids.im_end}
    if info.family is Family.REALTIME:
        named |= {AUDIO_PAD: ids.reference_audio_pad, TEXT_PAD: ids.text_pad}
    # Nano's template names no token: its controls are known by number only.
    for name, expected in named.items() if info.family is not Family.NANO else ():
        found = tokenizer.id_of(name)
        if found is None or expected not in (None, found):
            raise BundleError(f"{name} is {found} in the tokenizer, {expected} in the generator; {_REMEDY}")
    for token_id in control_ids(info):
        if token_id >= info.text_vocabulary or tokenizer.is_text(token_id):
            raise BundleError(f"the generator's control id {token_id} is none in the tokenizer; {_REMEDY}")


def control_ids(info: GeneratorInfo) -> frozenset[int]:
    """The ids of the text channel that are no text."""
    ids = info.ids
    slots = (ids.audio_start, ids.audio_end, ids.user_slot, ids.slot, ids.delay_slot, ids.reference_audio_pad)
    return frozenset(i for i in (ids.pad, ids.im_start, ids.im_end, ids.text_pad, *slots) if i is not None)


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the text has half a surrogate pair at character {error.start}; decode it anew") from error
    return text
