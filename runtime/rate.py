"""How fast to speak: a rate, and the length that a sentence has at it."""

from .checks import require_number
from .manifest import TextSpec

_SLOWEST, _FASTEST = 0.5, 2.0
"""The shipped voice, measured on 33 sentences: at 0.8 and 0.9 no more words are misheard than at 1, at 1.1 and 1.25
1.4 and 2.4 times as many; it comes to no more than 1.5, whatever is asked."""


def require_rate(rate: float | None) -> float | None:
    """The rate asked for, None for that of the voice itself, which is 1; InputError for what is no rate."""
    if rate is None:
        return None
    require_number("rate", rate, _SLOWEST, _FASTEST)
    return None if rate == 1 else float(rate)


def frames_at(rate: float, tokens: int, text: TextSpec) -> int:
    """How many frames so many tokens are to last at a rate."""
    return max(1, round(tokens * text.frames_per_token / rate))
