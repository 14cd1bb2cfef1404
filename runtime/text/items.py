"""What the normaliser makes of a text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlainWord:
    """One word as it is said.

    text: lower-case letters and apostrophes, or a single capital, which is a letter name.
    source: the spelling in the text on the first word said for it, empty on the others.
    phones: set for an explicit pronunciation only.
    """

    text: str
    source: str
    phones: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """A prosody mark, one of `phones.MARKS`."""

    mark: str


@dataclass(frozen=True, slots=True)
class SentenceEnd:
    """The sentence is complete; the item before it is its closing `.`, `?` or `!`."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Silence of some seconds that the text asks for; it stands between sentences."""

    seconds: float


Item = PlainWord | Pause | SentenceEnd | Silence
