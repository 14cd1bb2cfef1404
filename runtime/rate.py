"""How fast to speak: a rate, and the length that a sentence has at it."""

from .checks import require_number
from .manifest import TextSpec

_SLOWEST, _FASTEST = 0.5, 2.0
"""The shipped voice, measured on 34 sentences: of 100 words 9 are misheard at 1, 8 at 0.9, 10 at 1.1, 15 at 1.25, 19 at
0.8; it comes to no more than 1.5, whatever is asked."""

_EDGE_FRAMES = 2
"""What a sentence takes beside its tokens, before the first and behind the last."""


def require_rate(rate: float | None) -> float | None:
    """The rate asked for, None for that of the voice itself, which is 1; InputError for what is no rate."""
    if rate is None:
        return None
    require_number("rate", rate, _SLOWEST, _FASTEST)
    return None if rate == 1 else float(rate)


def frames_at(rate: float, tokens: int, text: TextSpec) -> int:
    """How many frames a sentence of so many tokens is to last at a rate."""
    return max(1, round((tokens * text.frames_per_token + _EDGE_FRAMES) / rate))
