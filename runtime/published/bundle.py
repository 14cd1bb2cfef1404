"""The bundle of a published checkpoint: a generator, a codec, or both, checked when opened.

    bundle.json        what this module reads: format, the generator's and the codec's fields, files, licence, origin
    backbone.onnx, head*.onnx, generator.bin                              the generator
    codec_decoder.onnx, codec_encoder.onnx and a .bin file beside each    the codec
    tokenizer.json ...                                                    as the checkpoint has them

The embedded voice has a bundle of another kind, which `voicestack.runtime.Bundle` opens.
"""

import dataclasses
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import names
from ..bundle import check_file, check_floor
from ..errors import BundleError
from ..manifest import REMEDY, FileEntry, convert, read_json
from .codec_decoder import CodecDecoder
from .codec_encoder import CodecEncoder
from .codec_info import CodecInfo
from .codec_stream import Window
from .generator import AnyGenerator, open_generator
from .generator_info import DELAY_HEAD_FILE, WEIGHTS_FILE, Family, GeneratorInfo, Quantisation, Target
from .tokenizer import JsonTokenizer, PieceTokenizer, check_tokenizer, load_tokenizer

FORMAT = "voicestack-published"
FORMAT_VERSION = "published-1"
"""A text: the embedded voice's `Bundle.load`, which knows whole numbers, refuses such a folder by this field."""
DTYPES = ("float32", "float16")


@dataclass(frozen=True, slots=True)
class PublishedManifest:
    """Everything the `bundle.json` of a published checkpoint holds.

    `target` is what the graphs are written for, and so the execution provider they are run with where it is there.
    `dtype` is how weights are stored that `quantisation`, None when there is none, does not tell of; `tokenizer` is
    the file that reads the generator's text, if there is one.
    """

    format: str
    format_version: str
    name: str
    target: Target
    dtype: str
    quantisation: Quantisation | None
    generator: GeneratorInfo | None
    codec: CodecInfo | None
    tokenizer: str | None
    files: dict[str, FileEntry]
    onnxruntime_floor: str
    licence: str
    provenance: dict[str, Any]

    def to_json(self) -> str:
        """The text of `bundle.json`."""
        return json.dumps(dataclasses.asdict(self), indent=1, ensure_ascii=False) + "\n"

    @property
    def graph_files(self) -> tuple[str, ...]:
        """The graphs and weight files that the generator and the codec need."""
        found: list[str] = []
        if self.generator is not None:
            delayed = self.generator.family is Family.DELAY
            heads = [DELAY_HEAD_FILE] if delayed else map(names.head_file, self.generator.head_depths)
            found += [names.BACKBONE_FILE, WEIGHTS_FILE, *heads]
        if self.codec is not None:
            for graph in (self.codec.decoder, self.codec.encoder):
                found += [graph.file, graph.weights_file]
        return tuple(found)


class PublishedBundle:
    """An opened bundle: its folder and its manifest; graphs are opened, and compared with it, when asked for."""

    def __init__(self, path: Path, manifest: PublishedManifest) -> None:
        self.path, self.manifest = path, manifest

    @classmethod
    def load(cls, path: str | Path, *, verify_hashes: bool = True) -> "PublishedBundle":
        """Open a bundle folder; BundleError names the file and the field when anything is missing or broken.

        Hashing reads every file once; sizes are checked either way.
        """
        path = Path(path)
        if not path.is_dir():
            raise BundleError(f"{path}: no such folder; give the folder that holds a {names.MANIFEST_FILE}")
        manifest_path = path / names.MANIFEST_FILE
        manifest = read_published_manifest(manifest_path)
        check_floor(manifest.onnxruntime_floor, manifest_path)
        for name, entry in manifest.files.items():
            check_file(path / name, name, entry, verify_hashes)
        return cls(path, manifest)

    def generator(self, *, slots: int = 1, capacity: int | None = None) -> AnyGenerator:
        """The generator for so many streams of at most `capacity` rows; BundleError when there is none."""
        return open_generator(
            self.path, self.generator_info, slots=slots, capacity=capacity, target=self.manifest.target
        )

    def codec_decoder(self, window: Window = Window.EXACT) -> CodecDecoder:
        """The codec's decoder; BundleError when there is none."""
        return CodecDecoder.load(self.path, self.codec_info, window, self.manifest.target)

    def codec_encoder(self, window: Window = Window.EXACT) -> CodecEncoder:
        """The codec's encoder; BundleError when there is none."""
        return CodecEncoder.load(self.path, self.codec_info, window, self.manifest.target)

    def tokenizer(self) -> JsonTokenizer | PieceTokenizer:
        """The checkpoint's tokenizer, compared with the generator; BundleError when there is none or it is another's.

        Needs the `published` extra.
        """
        if self.manifest.tokenizer is None:
            raise BundleError(f"{self.path}: field tokenizer is null, this bundle was exported without a tokenizer")
        path = self.path / self.manifest.tokenizer
        tokenizer = load_tokenizer(path)
        try:
            check_tokenizer(tokenizer, self.generator_info)
        except BundleError as error:
            raise BundleError(f"{path}: {error}") from error
        return tokenizer

    @property
    def generator_info(self) -> GeneratorInfo:
        """Sizes and ids of the generator; BundleError when there is none."""
        if self.manifest.generator is None:
            raise BundleError(f"{self.path}: field generator is null, this bundle holds a codec only")
        return self.manifest.generator

    @property
    def codec_info(self) -> CodecInfo:
        """Sizes of the codec; BundleError when there is none."""
        if self.manifest.codec is None:
            raise BundleError(f"{self.path}: field codec is null; export the generator with --codec to have one")
        return self.manifest.codec


def read_published_manifest(path: Path) -> PublishedManifest:
    """Read the `bundle.json` of a published checkpoint; BundleError names the file and the field that is wrong."""
    data = read_json(path)
    if not isinstance(data, dict):
        raise BundleError(f"{path}: the whole file must be an object, got {data!r:.40}; {REMEDY}")
    if data.get("format") != FORMAT:
        what = "an embedded voice's bundle" if data.get("family") == "voicestack" else repr(data.get("format"))
        raise BundleError(
            f"{path}: field format must be {FORMAT!r}, this is {what}; give a folder that `voicestack export` wrote"
        )
    if data.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"{path}: field format_version is {data.get('format_version')!r}, this runtime reads {FORMAT_VERSION}; "
            "use a bundle and a voicestack of the same time"
        )
    manifest = _parse(data, path)
    for field, holds, expected, got in _rules(manifest):
        if not holds:
            raise BundleError(f"{path}: field {field} must be {expected}, got {got!r}; {REMEDY}")
    return manifest


def _parse(data: dict[str, Any], path: Path) -> PublishedManifest:
    known = [field.name for field in dataclasses.fields(PublishedManifest)]
    for field in known:
        if field not in data:
            raise BundleError(f"{path}: field {field} is missing; {REMEDY}")
    for field in data:
        if field not in known:
            raise BundleError(f"{path}: field {field} is not known to this format version; {REMEDY}")

    def read(field: str, kind: Any) -> Any:
        return convert(data[field], kind, field, path)

    return PublishedManifest(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        name=read("name", str),
        target=_target(read("target", str), path),
        dtype=read("dtype", str),
        quantisation=None if data["quantisation"] is None else read("quantisation", Quantisation),
        generator=None if data["generator"] is None else GeneratorInfo.from_json(data["generator"], path),
        codec=None if data["codec"] is None else CodecInfo.from_json(data["codec"], path),
        tokenizer=None if data["tokenizer"] is None else read("tokenizer", str),
        files=read("files", dict[str, FileEntry]),
        onnxruntime_floor=read("onnxruntime_floor", str),
        licence=read("licence", str),
        provenance=read("provenance", dict[str, Any]),
    )


def _target(value: str, path: Path) -> Target:
    try:
        return Target(value)
    except ValueError:
        raise BundleError(f"{path}: field target must be one of {', '.join(Target)}, got {value!r}; {REMEDY}") from None


def _rules(manifest: PublishedManifest) -> Iterator[tuple[str, bool, str, object]]:
    """A field, whether it is as it must be, how that is, and what it is."""
    generator, codec, files = manifest.generator, manifest.codec, manifest.files
    yield "generator", bool(generator or codec), "an object where codec is null", None
    yield "dtype", manifest.dtype in DTYPES, f"one of {', '.join(DTYPES)}", manifest.dtype
    if manifest.quantisation:
        bits = manifest.quantisation.bits
        yield "quantisation.bits", bits in (4, 8), "4 or 8", bits
    for name in files:
        plain = Path(name).name == name and "\\" not in name and name != names.MANIFEST_FILE
        yield f"files.{name}", plain, "a plain file name", name
    for name in (*manifest.graph_files, *([manifest.tokenizer] if manifest.tokenizer else [])):
        yield f"files.{name}", name in files, "an entry", None
    if generator and codec:
        # Another codec's codes are in range here and there, and would be noise.
        wanted = generator.codebook_size
        yield "codec.codebook_size", codec.codebook_size == wanted, f"the generator's, {wanted}", codec.codebook_size
        yield "codec.n_vq", codec.n_vq >= generator.n_vq, f"at least the generator's, {generator.n_vq}", codec.n_vq
        rate = generator.sample_rate_hz
        yield "codec.sample_rate_hz", codec.sample_rate_hz == rate, f"the generator's, {rate}", codec.sample_rate_hz
