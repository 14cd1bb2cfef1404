"""Which of the two kinds of bundles a folder holds, told without loading it."""

import json
from pathlib import Path


def is_published(path: Path) -> bool:
    """Whether a folder's manifest is that of a published checkpoint: its format version is a text, not a number."""
    try:
        manifest = json.loads((path / "bundle.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False  # loading it as the other kind tells what is wrong
    return isinstance(manifest, dict) and isinstance(manifest.get("format_version"), str)
