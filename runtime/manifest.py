"""`bundle.json`: what a bundle says of itself, as frozen dataclasses, and the one strict way to read it.

Every wrong field is one `BundleError` that names the file and the field. This module opens no other file.
"""

import dataclasses
import json
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import names
from .errors import BundleError
from .manifest_rules import rules

FORMAT_VERSION = 1
REMEDY = "install the bundle again, or export it anew"


@dataclass(frozen=True, slots=True)
class BackboneSpec:
    """Sizes of the backbone and of its caches [batch, kv_heads, capacity, head_dim], one pair a layer."""

    layers: int
    heads: int
    kv_heads: int
    head_dim: int
    d_model: int
    max_positions: int


@dataclass(frozen=True, slots=True)
class StateSpec:
    """One state tensor of the codec decoder, float32, its shape without the batch axis; zeros start a stream."""

    name: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CodecSpec:
    """The codec decoder's states, and how many samples its output is late."""

    states: tuple[StateSpec, ...]
    delay_samples: int


@dataclass(frozen=True, slots=True)
class TextSpec:
    """The text side of the cued feed: unit inventory by id, lexicon file, and the feed's constants.

    `frames_per_token` is the mean length of one text token in speech, `tail_frames` the mean time from the cue of the
    end to the end itself, and `frames_slack` what a runaway guard adds. `foretold_marks` are the marks of which a
    sentence's first row may tell that they will close it.
    """

    units: tuple[str, ...]
    lexicon: str
    lookahead_frames: int
    primer_tokens: int
    control_max: int
    frames_per_token: float
    tail_frames: float
    frames_slack: float
    foretold_marks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TemperatureBand:
    """The temperature of the layers up to `depth` (1 is the coarsest), from the band before on."""

    depth: int
    temperature: float


@dataclass(frozen=True, slots=True)
class SamplingDefaults:
    """How the voice samples unless told otherwise; `temperatures` cover the layers from coarse to fine.

    `depth` is how many layers are generated, one of the head depths.
    """

    depth: int
    channel_temperature: float
    temperatures: tuple[TemperatureBand, ...]
    top_k: int
    top_p: float
    repetition_penalty: float


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the bundle beside the manifest: its length in bytes and its SHA-256 as hex."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Everything `bundle.json` holds.

    `head` is one of `names.HEADS`. `residual_width` is how many numbers a delay head carries along for each frame, from
    the step that makes one of its layers to the step that makes the next; 0 when it carries none.
    """

    format_version: int
    name: str
    family: str
    text_feed: str
    head: str
    residual_width: int
    n_vq: int
    codebook_size: int
    frame_rate_hz: float
    sample_rate_hz: int
    channels: int
    head_depths: tuple[int, ...]
    backbone: BackboneSpec
    codec: CodecSpec
    text: TextSpec
    sampling: SamplingDefaults
    files: dict[str, FileEntry]
    onnxruntime_floor: str
    licence: str
    provenance: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def null_code(self) -> int:
        """The code that contributes nothing."""
        return names.null_code(self.codebook_size)

    @property
    def frame_samples(self) -> int:
        """Samples of one frame."""
        return round(self.sample_rate_hz / self.frame_rate_hz)

    def to_json(self) -> str:
        """The text of `bundle.json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"


def read_manifest(path: Path) -> Manifest:
    """Read a `bundle.json`; BundleError names the file and the field that is wrong."""
    return parse_manifest(read_json(path), path)


def read_json(path: Path) -> Any:
    """Decode a `bundle.json` of any kind; BundleError when there is none or it is no JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BundleError(f"{path}: no such file; a bundle is a folder with a {names.MANIFEST_FILE}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: not readable as JSON ({error}); {REMEDY}") from error


def parse_manifest(data: Any, path: Path) -> Manifest:
    """Check decoded JSON and make a manifest of it; `path` is for the BundleError's message."""
    version = _object(data, "", path).get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(
            f"{path}: field format_version is {version!r}, this runtime reads {FORMAT_VERSION}; "
            "use a bundle and a voicestack of the same time"
        )
    manifest: Manifest = convert(data, Manifest, "", path)
    _check_values(manifest, path)
    return manifest


def convert(value: Any, wanted: Any, field: str, path: Path) -> Any:
    """Check a decoded value against a field's type and convert it (lists to tuples, objects to dataclasses)."""
    if wanted is Any:
        return value
    if dataclasses.is_dataclass(wanted):
        return _convert_object(value, wanted, field, path)
    origin = typing.get_origin(wanted)
    if origin is tuple:
        item = typing.get_args(wanted)[0]
        places = enumerate(_list(value, field, path))
        return tuple(convert(each, item, f"{field}[{index}]", path) for index, each in places)
    if origin is dict:
        item = typing.get_args(wanted)[1]
        entries = _object(value, field, path).items()
        return {key: convert(each, item, f"{field}.{key}", path) for key, each in entries}
    # JSON true is no number here, and an integer is as good as a float.
    accepted: Any = (int, float) if wanted is float else wanted
    if isinstance(value, bool) or not isinstance(value, accepted):
        raise _wrong(path, field, {str: "a string", int: "an integer", float: "a number"}[wanted], value)
    try:
        return wanted(value)
    except OverflowError:
        raise _wrong(path, field, "a number of ordinary size", "a longer one") from None


def _convert_object(value: Any, wanted: Any, field: str, path: Path) -> Any:
    fields = _object(value, field, path)
    types_of = typing.get_type_hints(wanted)
    prefix = f"{field}." if field else ""
    for name in types_of:
        if name not in fields:
            raise BundleError(f"{path}: field {prefix}{name} is missing; {REMEDY}")
    for name in fields:
        if name not in types_of:
            raise BundleError(f"{path}: field {prefix}{name} is not known to this format version; {REMEDY}")
    return wanted(**{name: convert(fields[name], kind, prefix + name, path) for name, kind in types_of.items()})


def _check_values(manifest: Manifest, path: Path) -> None:
    """Check what types cannot say; BundleError names the first field that is out of its range."""
    for field, holds, expected, got in rules(manifest):
        if not holds:
            raise BundleError(f"{path}: field {field} must be {expected}, got {got!r}; {REMEDY}")


def _object(value: Any, field: str, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, field, "an object", value)
    return typing.cast(dict[str, Any], value)


def _list(value: Any, field: str, path: Path) -> typing.Sequence[Any]:
    if not isinstance(value, list):
        raise _wrong(path, field, "a list", value)
    return typing.cast(typing.Sequence[Any], value)


def _wrong(path: Path, field: str, expected: str, value: Any) -> BundleError:
    what = f"field {field}" if field else "the whole file"
    return BundleError(f"{path}: {what} must be {expected}, got {_kind(value)}; {REMEDY}")


def _kind(value: Any) -> str:
    kinds = {"dict": "an object", "list": "a list", "str": "a string", "NoneType": "null"}
    return kinds.get(type(value).__name__, repr(value))
