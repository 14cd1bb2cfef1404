"""What an exported generator says of itself, and the names of its files and graph tensors.

A generator is two kinds of graphs over one weight file. Shapes: B streams, S rows, n codebooks, H hidden size,
C cache capacity, V text vocabulary, W codes a head can give, K ranks a head sorts.

    backbone.onnx      text_ids int64 [B,S], codes int64 [B,S,n], lengths, caches -> hidden float32 [B,H]
    head.onnx          (delay) hidden -> text_logits [B,V], logits [B,n,W]
    head_{depth}.onnx  (local) hidden and sampling inputs -> text [B], codes [B,depth], text_logits, logits
"""

import dataclasses
import json
import types
import typing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..errors import BundleError
from ..manifest import REMEDY, BackboneSpec

WEIGHTS_FILE = "generator.bin"
DELAY_HEAD_FILE = "head.onnx"
TOP_K = 64
"""How many ranks the local heads sort unless they are exported for more."""

# Of the heads, beside those of names.py.
TEXT = "text"
TEXT_LOGITS = "text_logits"
LOGITS = "logits"
SEEN = "seen"
FORCED = "forced"
TEXT_RANK_BIAS = "text_rank_bias"
TEXT_TOP_P = "text_top_p"


class Family(StrEnum):
    """The published generators; `local` is the first MossTTSLocal, `local_v1.5` the second."""

    DELAY = "delay"
    LOCAL = "local"
    LOCAL_V15 = "local_v1.5"
    REALTIME = "realtime"
    NANO = "nano"


class Target(StrEnum):
    """What a bundle's graphs are written for; ONNX Runtime's packages for the two are of different releases."""

    CPU = "cpu"
    CUDA = "cuda"


class Number(StrEnum):
    """The number format a graph computes in, and its caches hold."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


@dataclass(frozen=True, slots=True)
class Quantisation:
    """How the generator's matrices were rounded: bits of a weight, and how many share a scale.

    `errors` tells, by the name of each linear layer, the root mean square of what rounding changed relative to that
    of its weights.
    """

    bits: int
    block_size: int
    errors: dict[str, float]


@dataclass(frozen=True, slots=True)
class SpecialIds:
    """Ids of the text channel, and of the codes that are no sound; None where a family has no such id."""

    pad: int | None
    im_start: int | None
    im_end: int | None
    audio_start: int | None
    audio_end: int | None
    user_slot: int | None
    slot: int | None
    delay_slot: int | None
    reference_audio_pad: int | None
    text_pad: int | None
    audio_pad: int
    audio_bos: int | None
    audio_eos: int | None


@dataclass(frozen=True, slots=True)
class GeneratorInfo:
    """Sizes and ids of one exported generator.

    `codes_embedded` rows of every code table contribute to a row's embedding (the pad code among them where the
    family learned one); the code of that number is the null code, which contributes nothing. `code_classes` are the
    codes a head can give, `text_classes` the values of channel 0: the vocabulary, 2 (go on or end) or 0 (none).

    The backbone takes the number of new rows of each stream when it `takes_query_lengths`; else a call is one row of
    each of some streams, or all rows of one. `computes_in` is its number format and that of its caches.
    """

    family: Family
    backbone: BackboneSpec
    n_vq: int
    codebook_size: int
    codes_embedded: int
    code_classes: int
    text_vocabulary: int
    text_classes: int
    head_depths: tuple[int, ...]
    head_ranks: int
    sample_rate_hz: int
    ids: SpecialIds
    takes_query_lengths: bool = True
    computes_in: Number = Number.FLOAT32

    @property
    def null_code(self) -> int:
        """The code that contributes nothing to a row."""
        return self.codes_embedded

    @property
    def nulls_above_depth(self) -> bool:
        """Whether codebooks that are not generated are left out of the embedding: the first MossTTSLocal does."""
        return self.family is Family.LOCAL

    @property
    def text_ranks(self) -> int:
        """How many ranks a local head sorts for channel 0."""
        return max(1, min(self.head_ranks, self.text_classes))

    @property
    def code_ranks(self) -> int:
        """How many ranks a local head sorts for a code."""
        return min(self.head_ranks, self.code_classes)

    def to_json(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, data: Any, path: Path) -> "GeneratorInfo":
        """Check decoded JSON; BundleError names `path` and the field that is missing, unknown or wrong."""
        info: GeneratorInfo = _convert(data, cls, "generator", path)
        _check(info, path)
        return info


def read_generator_info(path: Path) -> GeneratorInfo:
    """Read a file that holds a generator's fields alone; BundleError says what is wrong with it."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BundleError(f"{path}: not readable as JSON ({error}); {REMEDY}") from error
    return GeneratorInfo.from_json(data, path)


def _check(info: GeneratorInfo, path: Path) -> None:
    positive = ("n_vq", "codebook_size", "codes_embedded", "code_classes", "text_vocabulary", "head_ranks")
    rules = [(f"generator.{name}", getattr(info, name) > 0, "positive", getattr(info, name)) for name in positive]
    rules += [
        (f"generator.backbone.{name}", value > 0, "positive", value)
        for name, value in dataclasses.asdict(info.backbone).items()
    ]
    depths = info.head_depths
    rising = list(depths) == sorted({*depths}) and (not depths or 0 < depths[0] <= depths[-1] <= info.n_vq)
    needs_local = (info.family is not Family.DELAY) == bool(depths)
    rules.append(("generator.head_depths", rising and needs_local, f"rising depths up to {info.n_vq}", depths))
    for field, holds, expected, got in rules:
        if not holds:
            raise BundleError(f"{path}: field {field} must be {expected}, got {got!r}; {REMEDY}")


def _convert(value: Any, wanted: Any, field: str, path: Path) -> Any:
    """Check a decoded value against a type: a dataclass, a tuple, a StrEnum, int, bool, or one of them or None."""
    if isinstance(wanted, types.UnionType):
        return None if value is None else _convert(value, typing.get_args(wanted)[0], field, path)
    if dataclasses.is_dataclass(wanted):
        return _convert_object(value, wanted, field, path)
    if typing.get_origin(wanted) is tuple and isinstance(value, list | tuple):
        item = typing.get_args(wanted)[0]
        return tuple(_convert(each, item, f"{field}[{place}]", path) for place, each in enumerate(value))
    if isinstance(wanted, type) and issubclass(wanted, StrEnum) and value in [str(each) for each in wanted]:
        return wanted(value)
    # JSON true is no number here.
    if wanted in (int, bool) and type(value) is wanted:
        return value
    raise BundleError(f"{path}: field {field} must be {_expected(wanted)}, got {value!r}; {REMEDY}")


def _expected(wanted: Any) -> str:
    if isinstance(wanted, type) and issubclass(wanted, StrEnum):
        return f"one of {', '.join(wanted)}"
    return {int: "a whole number", bool: "true or false"}.get(wanted, "a list")


def _convert_object(value: Any, wanted: Any, field: str, path: Path) -> Any:
    if not isinstance(value, dict):
        raise BundleError(f"{path}: field {field} must be an object, got {value!r}; {REMEDY}")
    kinds = typing.get_type_hints(wanted)
    optional = {field.name for field in dataclasses.fields(wanted) if field.default is not dataclasses.MISSING}
    for name in {**kinds, **value}:
        if (name not in value and name not in optional) or name not in kinds:
            what = "is missing" if name in kinds else "is not known to this version"
            raise BundleError(f"{path}: field {field}.{name} {what}; {REMEDY}")
    return wanted(**{name: _convert(each, kinds[name], f"{field}.{name}", path) for name, each in value.items()})
