"""The `.voice` file: a voice made for one bundle, with what its recording left in the caches, to the bit.

An uncompressed NumPy archive:

    header   uint8      JSON: format, format_version, bundle, bundle_name, family, depth, transcript
    codes    int32      [T, n_vq]
    rows     int32      [P, 1 + n_vq]                      the first rows of a prompt with this voice
    keys     float32    [layers, kv_heads, P, head_dim]    after RoPE; float16 where the bundle computes in that
    values   float32    the same
"""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import BundleError, InputError
from .bundle import PublishedManifest
from .generator_info import GeneratorInfo
from .prompt_memory import PromptMemory
from .prompts_rows import checked_codes
from .published_voice import PublishedVoice, Recording
from .row_backbone import check_rows

FORMAT, FORMAT_VERSION = "voicestack-voice", 1
_REMEDY = "make it again with voicestack voice"
_CACHES = ("keys", "values")
_KINDS = {"header": "uint8", "codes": "int32", "rows": "int32"}

Arrays = dict[str, Any]
"""Arrays by name."""


def bundle_identity(manifest: PublishedManifest) -> str:
    """A sha256 of the hashes of all that decides what a recording becomes: graphs, weights and tokenizer."""
    text = [manifest.tokenizer] if manifest.tokenizer else []
    hashes = [f"{name} {manifest.files[name].sha256}" for name in sorted({*manifest.graph_files, *text})]
    return hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def write_voice(path: Path, voice: PublishedVoice, info: GeneratorInfo, bundle_name: str) -> None:
    """Write a voice in one step: another file of that name is replaced when this one is whole. Raises InputError."""
    memory = voice.memory
    header = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "bundle": voice.bundle,
        "bundle_name": bundle_name,
        "family": info.family,
        "depth": memory.depth,
        "transcript": voice.recording.transcript,
    }
    arrays: Arrays = {
        "header": np.frombuffer(json.dumps(header, ensure_ascii=False).encode(), np.uint8),
        "codes": voice.recording.codes.astype(np.int32),
        "rows": memory.rows.astype(np.int32),
        "keys": memory.keys,
        "values": memory.values,
    }
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        with unfinished.open("xb") as file:
            np.savez(file, **arrays)
        unfinished.replace(path)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror}; name another file") from error
    finally:
        unfinished.unlink(missing_ok=True)


def read_voice(path: Path, info: GeneratorInfo, bundle: str) -> PublishedVoice:
    """Read a voice made for this bundle; BundleError says what is wrong with the file, or whose it is."""
    arrays = _arrays(path, info)
    header = _header(path, arrays)
    if header.get("bundle") != bundle:
        raise BundleError(
            f"{path}: field bundle says that this voice was made with another bundle ({header.get('bundle_name')}); "
            f"{_REMEDY} and the bundle it is to speak with"
        )
    transcript = header.get("transcript")
    if transcript is not None and not isinstance(transcript, str):
        raise BundleError(f"{path}: field transcript must be a text or null; {_REMEDY}")
    try:
        recording = Recording(checked_codes(arrays["codes"], info, "codes"), transcript)
        return PublishedVoice(recording, _memory(arrays, header, info), bundle)
    except (InputError, KeyError) as error:
        raise BundleError(f"{path}: {_named(error)}; {_REMEDY}") from error


def _arrays(path: Path, info: GeneratorInfo) -> Arrays:
    if not path.is_file():
        raise BundleError(f"{path}: no such file; {_REMEDY}")
    try:
        # Reading checks the archive's sums.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"{path}: not a voice file, or truncated ({error}); {_REMEDY}") from error
    kinds = {**_KINDS, **dict.fromkeys(_CACHES, str(info.computes_in))}
    for name, array in arrays.items():
        if name not in kinds:
            raise BundleError(f"{path}: array {name} is not known to this format version; {_REMEDY}")
        if array.dtype.name != kinds[name]:
            raise BundleError(f"{path}: array {name} must be {kinds[name]}, got {array.dtype.name}; {_REMEDY}")
    return arrays


def _header(path: Path, arrays: Arrays) -> dict[str, Any]:
    try:
        header = json.loads(arrays["header"].tobytes())
    except (KeyError, ValueError) as error:
        raise BundleError(f"{path}: it has no header that is JSON; {_REMEDY}") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT:
        raise BundleError(f"{path}: field format must be {FORMAT!r}; {_REMEDY}")
    if header.get("format_version") != FORMAT_VERSION:
        raise BundleError(
            f"{path}: field format_version is {header.get('format_version')!r}, this runtime reads {FORMAT_VERSION}; "
            f"{_REMEDY} of this version"
        )
    return header


def _memory(arrays: Arrays, header: dict[str, Any], info: GeneratorInfo) -> PromptMemory:
    rows, spec = check_rows(arrays["rows"], info), info.backbone
    wanted = (spec.layers, spec.kv_heads, len(rows), spec.head_dim)
    for name in _CACHES:
        if arrays[name].shape != wanted:
            raise InputError(f"array {name} must be of shape {list(wanted)}, got {list(arrays[name].shape)}")
    depth = header.get("depth")
    if not isinstance(depth, int) or not 0 < depth <= info.n_vq:
        raise InputError(f"field depth must be from 1 to {info.n_vq}, got {depth!r}")
    return PromptMemory(rows, arrays["keys"], arrays["values"], depth)


def _named(error: InputError | KeyError) -> str:
    return f"array {error.args[0]} is missing" if isinstance(error, KeyError) else str(error)
