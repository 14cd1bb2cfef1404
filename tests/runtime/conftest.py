"""The tiny random bundles, written once for all tests here."""

from pathlib import Path

import pytest
from tiny_bundle import TINY_DELAY, write_tiny_bundle

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


@pytest.fixture(scope="session")
def tiny_delay(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A loaded tiny bundle with a delay head, whose backbone is that of the other one."""
    path = tmp_path_factory.mktemp("tiny_delay") / "voice"
    write_tiny_bundle(path, generator=TINY_DELAY)
    return Bundle.load(path)
