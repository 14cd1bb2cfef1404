"""The lexicon of the embedded voice, read once."""

from pathlib import Path

import pytest

import voicestack.runtime
from voicestack.runtime.text import Lexicon


@pytest.fixture(scope="session")
def lexicon() -> Lexicon:
    """The shipped lexicon."""
    (path,) = Path(voicestack.runtime.__path__[0]).glob("voices/*/text.lexicon.xz")
    return Lexicon.load(path)
