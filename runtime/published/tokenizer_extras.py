"""Packages of the `published` extra, imported where they are needed and not before."""

import importlib
from typing import Any

from ..errors import InputError

_EXTRA = "published"


def from_extra(module: str, purpose: str) -> Any:
    """The module; InputError says what it is needed for and how to install it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise InputError(
            f"{purpose} needs the package {module}, which is not installed; pip install 'voicestack[{_EXTRA}]'"
        ) from error
