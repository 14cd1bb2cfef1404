"""The text front end of the embedded voice: from raw text to text tokens, incrementally."""

from .frontend import Mark, TextEvent, TextFrontEnd, Word
from .items import Pause, PlainWord, SentenceEnd, Silence
from .lexicon import Lexicon
from .normaliser import Normaliser, spoken_form

__all__ = [
    "Lexicon",
    "Mark",
    "Normaliser",
    "Pause",
    "PlainWord",
    "SentenceEnd",
    "Silence",
    "TextEvent",
    "TextFrontEnd",
    "Word",
    "spoken_form",
]
