"""The tiny random bundle, written once for all tests here."""

from pathlib import Path

import pytest
from tiny_bundle import write_tiny_bundle

from voicestack.runtime.bundle import Bundle


@pytest.fixture(scope="session")
def tiny_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny bundle; not to be changed."""
    path = tmp_path_factory.mktemp("tiny") / "voice"
    write_tiny_bundle(path)
    return path


@pytest.fixture(scope="session")
def tiny(tiny_path: Path) -> Bundle:
    """A loaded tiny bundle."""
    return Bundle.load(tiny_path)
