"""The text front end of the embedded voice: from raw text to text tokens, incrementally."""

from .frontend import Mark, TextEvent, TextFrontEnd, Word
from .lexicon import Lexicon
from .normaliser import Normaliser, Pause, PlainWord, SentenceEnd, spoken_form

__all__ = [
    "Lexicon",
    "Mark",
    "Normaliser",
    "Pause",
    "PlainWord",
    "SentenceEnd",
    "TextEvent",
    "TextFrontEnd",
    "Word",
    "spoken_form",
]
