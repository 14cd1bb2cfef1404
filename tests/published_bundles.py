"""Bundles of the tiny published checkpoints in tests/data, each exported once."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

from voicestack.onnx_export.published.bundle import export_bundle
from voicestack.runtime.published import PublishedBundle

DATA = Path(__file__).parent / "data" / "published"
CODECS = ("codec24k", "codec_nano", "codec_v2")
GENERATORS = ("delay_nvq8", "delay_nvq32", "local", "local_v1.5", "nano", "realtime")
_FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


@cache
def bundle_path(case: str, codec: str | None = None) -> Path:
    """The folder of a case's bundle; not to be changed. It goes away with the process."""
    folder = tempfile.TemporaryDirectory()
    _FOLDERS.append(folder)
    path = Path(folder.name) / case
    export_bundle(DATA / case, path, codec=DATA / codec if codec else None)
    return path


def bundle_of(case: str, codec: str | None = None) -> PublishedBundle:
    return PublishedBundle.load(bundle_path(case, codec))


def reference_path(case: str) -> Path:
    return DATA / case / "reference.npz"


def copied_checkpoint(case: str, folder: Path, *, tokenizer: str | None = None) -> Path:
    """A case's folder to be changed, with the tokenizer of a case put into it."""
    shutil.copytree(DATA / case, folder)
    if tokenizer:
        shutil.copyfile(DATA / "prompts" / tokenizer / "tokenizer.json", folder / "tokenizer.json")
    return folder
