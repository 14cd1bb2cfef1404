"""What a stream remembers of its own speech: so many seconds at full depth, older ones at less, the oldest not at all.

        drop |   240 s at depth 3   |  50 s at depth 8  | 10 s at depth 32 | now
             '- oldest                                        newest rows -'

A row is as old as its first layer: that of a delay voice holds finer layers of frames up to 2.5 s older. A policy only
says so. `history_rows.py` says when a block of rows is due, `history_upkeep.py` ages it in the cache.
"""

import math
from dataclasses import dataclass

from . import names
from .checks import require_number, whole
from .errors import InputError

_DEEPEST = names.HEAD_DEPTHS[-1]
_FORM = "'full', or bands such as '10:32,50:8,inf:3': seconds and depth, newest first"


@dataclass(frozen=True, slots=True)
class HistoryPolicy:
    """Bands (seconds, depth), newest first; what is older than all of them is dropped. InputError names a bad band.

    A band's depth is how many code layers its frames keep, less than in the band before. Only the last may last for
    `math.inf` seconds: then nothing is dropped. The prefix of a stream is never aged nor dropped.
    """

    bands: tuple[tuple[float, int], ...]

    def __post_init__(self) -> None:
        try:
            pairs = [(seconds, depth) for seconds, depth in self.bands]
        except (TypeError, ValueError):
            raise InputError(f"history bands must be pairs (seconds, depth), got {self.bands!r}") from None
        if not pairs:
            raise InputError("a history needs at least one band (seconds, depth); got none")
        limit, checked = _DEEPEST, []
        for index, (seconds, depth) in enumerate(pairs):
            field = f"history band {index}"
            require_number(f"{field}: seconds", seconds, 0, math.inf, above=True)
            if math.isinf(seconds) and index + 1 < len(pairs):
                raise InputError(
                    f"{field}: only the last band may be without end, got {len(pairs) - index - 1} behind it"
                )
            if limit == 0:
                raise InputError(f"{field}: nothing is shallower than depth 1, which the band before it has")
            checked.append((float(seconds), whole(f"{field}: depth", depth, 1, limit)))
            limit = checked[-1][1] - 1
        object.__setattr__(self, "bands", tuple(checked))

    @classmethod
    def full(cls) -> "HistoryPolicy":
        """Everything is remembered as it was spoken."""
        return cls(((math.inf, _DEEPEST),))

    @classmethod
    def parse(cls, text: str) -> "HistoryPolicy":
        """Read a policy as people write it: `full`, or bands such as `10:32,50:8,inf:3`."""
        if text.strip() == "full":
            return cls.full()
        bands = []
        for band in text.split(","):
            seconds, _, depth = band.partition(":")
            try:
                bands.append((float(seconds), int(depth)))
            except ValueError:
                raise InputError(f"a history is {_FORM}; got {text!r}") from None
        return cls(tuple(bands))

    @property
    def is_full(self) -> bool:
        """Whether nothing is ever forgotten."""
        return self.bands == ((math.inf, _DEEPEST),)

    def edges(self, frame_rate_hz: float) -> tuple[float, ...]:
        """How many frames old a frame is when it leaves each band; `math.inf` for a band without end."""
        edges: list[float] = []
        age_s = 0.0
        for seconds, _ in self.bands:
            age_s += seconds
            frames = age_s * frame_rate_hz
            edges.append(frames if math.isinf(frames) else max(1, round(frames)))
        return tuple(edges)
