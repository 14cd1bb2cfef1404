"""`voicestack voices`: what --voice finds by name."""

import json
from collections.abc import Iterator
from pathlib import Path

from voicestack.runtime import installed_voices


def voice_lines() -> Iterator[str]:
    """One line for each voice: its name, size, licence and folder."""
    for name, path in installed_voices().items():
        size_mb = sum(file.stat().st_size for file in path.iterdir()) / 1e6
        yield f"{name:<20} {size_mb:7.1f} MB  {_licence(path):<14} {path}"


def _licence(path: Path) -> str:
    """What its manifest says, of whichever kind it is; whether that is right in all else is told when it is loaded."""
    try:
        return str(json.loads((path / "bundle.json").read_text("utf-8"))["licence"])
    except (OSError, ValueError, LookupError, TypeError):
        return "unreadable"
