"""`voicestack voices`: what --voice finds by name."""

import json
from collections.abc import Iterator
from pathlib import Path

from voicestack.runtime import installed_voices


def voice_lines() -> Iterator[str]:
    """One line for each voice: its name, size, licence and folder."""
    for name, path in installed_voices().items():
        yield f"{name:<20} {_size(path):>10}  {_licence(path):<14} {path}"


def _size(path: Path) -> str:
    try:
        return f"{sum(file.stat().st_size for file in path.iterdir()) / 1e6:.1f} MB"
    except OSError:
        return "unreadable"


def _licence(path: Path) -> str:
    """What its manifest says, of whichever kind it is; whether that is right in all else is told when it is loaded."""
    try:
        return str(json.loads((path / "bundle.json").read_text("utf-8"))["licence"])
    except (OSError, ValueError, LookupError, TypeError):
        return "unreadable"
