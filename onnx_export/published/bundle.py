"""From published checkpoint folders to a bundle: graphs, weights, tokenizer files, and a manifest with every hash.

The bundle is written beside its destination and moved there when it is whole; a failed export leaves nothing.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

from voicestack.runtime import BundleError, InputError, names
from voicestack.runtime.manifest import FileEntry
from voicestack.runtime.published import FORMAT, FORMAT_VERSION, PublishedBundle, PublishedManifest
from voicestack.runtime.published.codec_info import CodecInfo
from voicestack.runtime.published.generator_info import Family, GeneratorInfo, Quantisation

from .checkpoint import CONFIG_FILE, Checkpoint, CheckpointError, FloatArray
from .codec_export import export_codec
from .export import export_generator
from .form import ONNXRUNTIME_FLOORS, PLAIN, Form
from .low_bits import BLOCK

Progress = Callable[[str, int, int], None]
"""Told which part is being exported, how many of its tensors have been read, and how many there are."""

_TEXT_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"),
    *("vocab.json", "merges.txt", "chat_template.jinja", "generation_config.json"),
)
_LICENCE_FILES = ("LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "NOTICE", "NOTICE.txt")
_CODEC_FIELDS = ("quantizer_kwargs", "encoder_kwargs", "decoder_kwargs")
_ORIGIN_FIELDS = ("model_type", "architectures", "_name_or_path", "transformers_version", "dtype", "torch_dtype")


class _Watched(Checkpoint):
    """A checkpoint that tells how many of its tensors have been read."""

    def watch(self, part: str, progress: Progress | None) -> "_Watched":
        self._part, self._progress, self._read = part, progress, set[str]()
        return self

    def tensor(self, name: str) -> FloatArray:
        array = super().tensor(name)
        self._read.add(name)
        if self._progress:
            self._progress(self._part, len(self._read), len(self.names))
        return array


def export_bundle(
    checkpoint: Path,
    out: Path,
    *,
    family: Family | None = None,
    codec: Path | None = None,
    form: Form = PLAIN,
    progress: Progress | None = None,
) -> PublishedManifest:
    """Export a generator, with a codec's folder if one is given, or a codec alone, into the folder `out`.

    `family` overrides what the checkpoint looks like, `form` is how it is exported (a codec's matrices are not
    rounded, and its graphs compute in float32). `out` may exist when it is empty. CheckpointError says what does not
    fit.
    """
    _check_destination(out)
    first = _open(checkpoint, progress)
    generator = first if family or not is_codec(first) else None
    if generator is None and codec is not None:
        raise CheckpointError(
            f"{checkpoint}: this is a codec already; give a generator's folder beside --codec {codec}"
        )
    if generator is None and form.bits:
        raise CheckpointError(
            f"{checkpoint}: a codec is not quantised (its codes would be others); leave out --quantize"
        )
    of_codec = first if generator is None else _open(codec, progress) if codec else None
    if of_codec and not is_codec(of_codec):
        raise CheckpointError(f"{of_codec.folder}: this is no codec; give a MOSS audio tokenizer's folder as published")
    # Beside the destination, so that moving it there is one step on one file system.
    unfinished = out.parent / f".{out.name}.{os.getpid()}.unfinished"
    unfinished.mkdir()
    try:
        manifest = _write(unfinished, generator, of_codec, family, form)
        if out.is_dir():
            out.rmdir()
        unfinished.rename(out)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return manifest


def is_codec(checkpoint: Checkpoint) -> bool:
    """Whether config and tensors are a codec's; CheckpointError when one says so and the other does not."""
    by_fields = all(field in checkpoint.config for field in _CODEC_FIELDS)
    by_tensors = any(name.startswith("quantizer.") for name in checkpoint.names)
    if by_fields != by_tensors:
        kinds = ("a codec", "no codec") if by_fields else ("no codec", "a codec")
        raise CheckpointError(
            f"{checkpoint.folder}: {CONFIG_FILE} describes {kinds[0]}, the tensors are those of {kinds[1]}; "
            "give config and weights of one checkpoint"
        )
    return by_fields


def _check_destination(out: Path) -> None:
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "a folder that is not empty" if out.is_dir() else "a file"
        raise CheckpointError(f"{out}: this is {what}; name a new folder for the bundle")
    if not out.parent.is_dir():
        raise CheckpointError(f"{out}: its folder does not exist; make {out.parent} first")


def _open(folder: Path, progress: Progress | None) -> _Watched:
    checkpoint = cast(_Watched, _Watched.open(folder))
    return checkpoint.watch(folder.resolve().name, progress)


def _write(
    folder: Path, generator: Checkpoint | None, codec: Checkpoint | None, family: Family | None, form: Form
) -> PublishedManifest:
    generator_info: GeneratorInfo | None = None
    codec_info: CodecInfo | None = None
    errors: dict[str, float] = {}
    if generator:
        with _naming(generator):
            generator_info = export_generator(generator, folder, family, form=form, errors=errors)
    if codec:
        with _naming(codec):
            codec_info = export_codec(codec, folder, form.dtype)
    main = cast(Checkpoint, generator or codec)
    tokenizer = _copy_text(generator.folder, folder) if generator else None
    sources = [(part, each) for part, each in (("generator", generator), ("codec", codec)) if each]
    for part, each in sources:
        for name in _LICENCE_FILES:
            if (each.folder / name).is_file():
                shutil.copyfile(each.folder / name, folder / f"{part}.{name}")
    manifest = PublishedManifest(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        name=main.folder.resolve().name,
        target=form.target,
        dtype=form.dtype,
        quantisation=Quantisation(form.bits, BLOCK, _brief(errors)) if form.bits else None,
        generator=generator_info,
        codec=codec_info,
        tokenizer=tokenizer,
        files={path.name: _entry(path) for path in sorted(folder.iterdir())},
        onnxruntime_floor=ONNXRUNTIME_FLOORS[form.target],
        licence="; ".join(dict.fromkeys(_licence(each.folder) for _, each in sources)),
        provenance={
            **{part: _origin(each) for part, each in sources},
            "exporter": f"voicestack {version('voicestack')}",
        },
    )
    (folder / names.MANIFEST_FILE).write_text(manifest.to_json(), encoding="utf-8")
    # What has just been hashed need not be hashed again; all else is checked as at every start.
    bundle = PublishedBundle.load(folder, verify_hashes=False)
    if tokenizer:
        _check_tokenizer(bundle, main.folder)
    return manifest


@contextmanager
def _naming(checkpoint: Checkpoint) -> Iterator[None]:
    """CheckpointError with the folder's name for a weight that float16 cannot hold."""
    try:
        yield
    except ValueError as error:
        raise CheckpointError(f"{checkpoint.folder}: {error}") from error


def _brief(errors: dict[str, float]) -> dict[str, float]:
    """Errors as they are worth writing down."""
    return {name: float(f"{error:.3g}") for name, error in errors.items()}


def _check_tokenizer(bundle: PublishedBundle, source: Path) -> None:
    """CheckpointError when the tokenizer is of another checkpoint than the weights."""
    try:
        bundle.tokenizer()
    except InputError:  # The package that reads it is missing: then it is checked when it is first used.
        return
    except BundleError as error:
        raise CheckpointError(str(error).replace(str(bundle.path), str(source))) from error


def _copy_text(source: Path, folder: Path) -> str | None:
    """Copy what belongs to a tokenizer; returns the file that the runtime loads, None when there is none."""
    models = sorted(path.name for path in source.glob("*.model"))
    for name in (*_TEXT_FILES, *models):
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
    return next((name for name in ("tokenizer.json", "tokenizer.model", *models) if (folder / name).is_file()), None)


def _entry(path: Path) -> FileEntry:
    with path.open("rb") as file:
        return FileEntry(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _licence(source: Path) -> str:
    """What a checkpoint says of its licence: the field of its model card's header, or the file it brings."""
    card = source / "README.md"
    if card.is_file():
        header = re.match(r"---\n(.*?)\n---", card.read_text("utf-8", errors="replace"), re.DOTALL)
        field = re.search(r"^licen[sc]e:\s*(\S.*?)\s*$", header[1], re.MULTILINE) if header else None
        if field:
            return field[1].strip("\"'")
    found = next((name for name in _LICENCE_FILES if (source / name).is_file()), None)
    return f"see {found}" if found else "not stated in the checkpoint"


def _origin(checkpoint: Checkpoint) -> dict[str, Any]:
    """Where a part comes from, as far as its folder tells."""
    config = checkpoint.folder / CONFIG_FILE
    weights = sorted(checkpoint.folder.glob("*.safetensors"))
    return {
        "checkpoint": checkpoint.folder.resolve().name,
        **{field: checkpoint.config[field] for field in _ORIGIN_FIELDS if checkpoint.config.get(field) is not None},
        "config_sha256": _entry(config).sha256,
        "weight_files": {path.name: path.stat().st_size for path in weights},
        "tensors": len(checkpoint.names),
    }
