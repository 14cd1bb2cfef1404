"""Text to the tokens of the embedded voice, incrementally: words with phones, prosody marks, sentence ends."""

from dataclasses import dataclass
from functools import lru_cache

from .items import Item, PlainWord, SentenceEnd, Silence
from .lexicon import Lexicon
from .normaliser import Normaliser
from .phones import LETTERS, Token, mark_token, word_tokens
from .unknown_words import derived_phones

MAX_SENTENCE_WORDS = 40
MAX_SENTENCE_TOKENS = 110
"""The voice was trained on sentences of up to about 12 s, at seven tokens a second; spelled text has many tokens."""

_EARLY_SHARE = 0.6
"""From this share of a longest sentence on it is divided at a comma or before one of these words."""
_CLAUSE_OPENERS = frozenset(
    "and but or so because which who that when while where if although though unless until then".split()
)
_CACHED_WORDS = 4096


@dataclass(frozen=True, slots=True)
class Word:
    """One spoken word.

    spelling: the word in the source text; of several words said for one (`$23.50`) only the first has it, else empty.
    spoken: the word as said, lower case; a letter name is one capital.
    tokens: its text tokens, at least one.
    """

    spelling: str
    spoken: str
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A prosody mark: one of `phones.MARKS`, and its single token."""

    mark: str
    tokens: tuple[Token, ...]


TextEvent = Word | Mark | SentenceEnd | Silence


class TextFrontEnd:
    """Incremental text front end.

    Every sentence begins with a `Word` and closes with the `Mark` `.`, `?` or `!` and a `SentenceEnd`.
    A `Silence` stands between sentences, before the first or behind the last.
    Text without anything to speak gives no event. The events depend on the text alone, never on its chunks.
    """

    __slots__ = ("_lexicon", "_normaliser", "_phones", "_tokens", "_words")

    def __init__(self, lexicon: Lexicon) -> None:
        self._lexicon = lexicon
        self._normaliser = Normaliser(lexicon)
        self._phones = lru_cache(_CACHED_WORDS)(self._units)
        self._words = 0
        self._tokens = 0

    def push(self, text: str) -> list[TextEvent]:
        """Events that the text so far determines."""
        return self._events(self._normaliser.push(text))

    def finish(self) -> list[TextEvent]:
        """The rest of the events; the front end is then ready for another text."""
        return self._events(self._normaliser.finish())

    def _events(self, items: list[Item]) -> list[TextEvent]:
        events: list[TextEvent] = []
        for item in items:
            if isinstance(item, PlainWord):
                if self._divides_before(item):
                    events += self._sentence_end(".")
                tokens = tuple(word_tokens(item.phones or self._phones(item.text)))
                events.append(Word(item.source, item.text, tokens))
                self._words += 1
                self._tokens += len(tokens)
            elif isinstance(item, SentenceEnd | Silence):
                events.append(item)
                self._words = self._tokens = 0
            elif item.mark == "," and self._is_long(_EARLY_SHARE):
                events += self._sentence_end(".")
            else:
                events.append(Mark(item.mark, (mark_token(item.mark),)))
                self._tokens += 1
        return events

    def _divides_before(self, word: PlainWord) -> bool:
        if not self._words or not (word.source or self._is_long(1.2)):
            return False
        return self._is_long(1.0) or (word.text in _CLAUSE_OPENERS and self._is_long(_EARLY_SHARE))

    def _is_long(self, share: float) -> bool:
        return self._words >= share * MAX_SENTENCE_WORDS or self._tokens >= share * MAX_SENTENCE_TOKENS

    def _sentence_end(self, mark: str) -> list[TextEvent]:
        self._words = self._tokens = 0
        return [Mark(mark, (mark_token(mark),)), SentenceEnd()]

    def _units(self, spoken: str) -> tuple[str, ...]:
        """Phones of a word, or its letters when its pronunciation is unknown."""
        if len(spoken) == 1 and spoken.isupper():
            return self._lexicon.letter_name(spoken.lower())
        known = self._lexicon.phones(spoken) or self._lexicon.phones(spoken.strip("'"))
        return known or derived_phones(spoken, self._lexicon) or tuple(unit for unit in spoken if unit in LETTERS)
