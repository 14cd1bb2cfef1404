"""Files of JSON lines that a stage appends to as it goes, and that outlive its being killed in the middle of one."""

import json
import os
from pathlib import Path
from typing import Any


def read_lines(path: Path) -> list[Any]:
    """What each line holds, but for lines that were broken off; [] without a file."""
    lines = path.read_text("utf-8", errors="replace").splitlines() if path.exists() else []
    return [value for line in lines if (value := _whole(line)) is not None]


def append_line(path: Path, value: dict[str, Any] | list[Any]) -> None:
    """Add a line, at once in the file; behind one that was broken off it begins a line of its own."""
    with path.open("a+b") as file:
        broken = file.seek(0, os.SEEK_END) > 0 and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n"
        file.write(b"\n" * broken + json.dumps(value).encode() + b"\n")


def _whole(line: str) -> Any:
    try:
        return json.loads(line)
    except ValueError:
        return None
