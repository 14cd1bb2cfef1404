"""Markers that ask for an extra skip where it is not installed; drawn examples may take as long as the machine does."""

from importlib.util import find_spec

import pytest
from hypothesis import settings

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

NEEDS = {"torch": "torch", "asr": "faster_whisper"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip a marked test when the package its marker stands for is missing."""
    for marker, package in NEEDS.items():
        if find_spec(package) is None:
            skip = pytest.mark.skip(reason=f"{package} is not installed")
            for item in items:
                if marker in item.keywords:
                    item.add_marker(skip)
