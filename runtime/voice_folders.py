"""Where voices are: those that ship with the package, those that were installed, and any other folder by its path."""

import os
import sys
from pathlib import Path

from .errors import InputError
from .names import MANIFEST_FILE

VOICES_VARIABLE = "VOICESTACK_VOICES"
"""The environment variable that names another folder of installed voices."""
_SHIPPED = Path(__file__).parent / "voices"
_DEFAULT = "joe"


def default_voice_path() -> Path:
    """The folder of the voice that ships with this package."""
    return _SHIPPED / _DEFAULT


def find_voice(voice: str | Path | None = None) -> Path:
    """The folder of a voice: of the one that ships for None, else by its name or path.

    What holds a separator or is a folder is a path, and so is every `Path`; whether a bundle is there is told when it
    is loaded. InputError lists the voices there are when none has the name.
    """
    if voice is None:
        return default_voice_path()
    path = Path(voice)
    if isinstance(voice, Path) or path.is_dir() or any(mark in voice for mark in (os.sep, os.altsep) if mark):
        return path
    voices = installed_voices()
    if voice not in voices:
        raise InputError(
            f"there is no voice {voice!r}; the voices are {', '.join(voices)}; name one of them, or give the path of a "
            "bundle's folder"
        )
    return voices[voice]


def installed_voices() -> dict[str, Path]:
    """The folders of all voices that have a name, by that; what is installed goes before what ships."""
    voices: dict[str, Path] = {}
    for folder in (_SHIPPED, voices_folder()):
        if folder.is_dir():
            voices |= {path.parent.name: path.parent for path in folder.glob(f"*/{MANIFEST_FILE}")}
    return dict(sorted(voices.items()))


def voices_folder() -> Path:
    """The folder of installed voices, each a bundle in a folder of its name; it need not exist.

    It is in the user's data folder, where the platform wants that, unless VOICES_VARIABLE says otherwise.
    """
    if chosen := os.environ.get(VOICES_VARIABLE):
        return Path(chosen)
    return _data_folder() / "voicestack" / "voices"


def _data_folder() -> Path:
    if sys.platform == "win32":
        return _absolute("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return _absolute("XDG_DATA_HOME") or Path.home() / ".local" / "share"


def _absolute(variable: str) -> Path | None:
    """The path that a variable holds; the XDG specification wants relative ones to be ignored."""
    path = Path(os.environ.get(variable, ""))
    return path if path.is_absolute() else None
