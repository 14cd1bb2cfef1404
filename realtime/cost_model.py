"""What a round costs, as measured: the ground that admission, batch sizes and depth shedding stand on.

Each kind of work is a straight line, a fixed part and a part for each row; its two numbers are fitted to what the
rounds really took, older ones counting ever less, so that a machine that slows down is believed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

_FORGET = 0.98
"""What a measurement still weighs when the next one comes: some fifty of them count."""

_BACKBONE_LAYERS = 8
"""A row of the backbone takes about as long as so many layers of the head."""


@dataclass(frozen=True, slots=True)
class Line:
    """Seconds for n rows: `fixed_s + n * per_row_s`; none for no rows."""

    fixed_s: float
    per_row_s: float

    def seconds(self, rows: float) -> float:
        """How long so many rows take."""
        return self.fixed_s + rows * self.per_row_s if rows else 0.0


@dataclass(frozen=True, slots=True)
class CostModel:
    """Costs on one machine. `step` by depth, a row being a stream; a row of `decode` is a frame, of `prefill` a row."""

    step: Mapping[int, Line]
    decode: Line
    prefill: Line

    @property
    def depths(self) -> tuple[int, ...]:
        """The depths that can be generated, shallow to deep."""
        return tuple(sorted(self.step))

    def frame_s(self, depth: int, batch: int) -> float:
        """What one frame of one stream costs when `batch` streams of that depth are stepped and decoded together."""
        return (self.step[depth].seconds(batch) + self.decode.seconds(batch)) / batch

    def load(self, depths: Mapping[int, int], period_s: float, batch: int) -> float:
        """The share of the time that so many streams of each depth take, when each needs a frame every `period_s`."""
        return (
            sum(count * self.frame_s(depth, min(batch, count)) for depth, count in depths.items() if count) / period_s
        )


@dataclass(slots=True)
class _Sums:
    """Sums of a least-squares line."""

    weight: float = 0.0
    rows: float = 0.0
    squares: float = 0.0
    seconds: float = 0.0
    products: float = 0.0

    def plus(self, other: "_Sums", share: float = 1.0) -> "_Sums":
        """A share of these and all of the others."""
        return _Sums(*(share * getattr(self, name) + getattr(other, name) for name in self.__slots__))

    def line(self) -> Line:
        """The line; without a fixed part where all measurements had the same number of rows, never falling."""
        spread = self.weight * self.squares - self.rows**2
        if spread > 1e-6 * self.weight * self.squares:
            slope = max(0.0, (self.weight * self.products - self.rows * self.seconds) / spread)
            fixed = (self.seconds - slope * self.rows) / self.weight
            if fixed >= 0:
                return Line(fixed, slope)
        return Line(0.0, self.seconds / self.rows)


@dataclass(slots=True)
class _Fit:
    """Measurements that fade, on top of those that stay: one stream alone says nothing of what twelve would take."""

    lasting: _Sums = field(default_factory=_Sums)
    recent: _Sums = field(default_factory=_Sums)

    def add(self, rows: int, seconds: float) -> None:
        self.recent = self.recent.plus(_Sums(1.0, rows, rows * rows, seconds, rows * seconds), _FORGET)

    def settle(self) -> None:
        self.lasting, self.recent = self.lasting.plus(self.recent), _Sums()

    @property
    def known(self) -> bool:
        return bool(self.lasting.weight or self.recent.weight)

    def line(self) -> Line:
        return self.lasting.plus(self.recent).line()


@dataclass(slots=True)
class CostMeter:
    """Collects what work took and fits the model to it."""

    _step: dict[int, _Fit] = field(default_factory=dict)
    _decode: _Fit = field(default_factory=_Fit)
    _prefill: _Fit = field(default_factory=_Fit)

    def stepped(self, depth: int, rows: int, seconds: float) -> None:
        """A step of so many streams of one depth took so long."""
        self._step.setdefault(depth, _Fit()).add(rows, seconds)

    def stepped_together(self, rows: Mapping[int, int], seconds: float) -> None:
        """A step of so many streams of each depth took so long; each depth has its share by rows and layers."""
        weights = {depth: count * (depth + _BACKBONE_LAYERS) for depth, count in rows.items()}
        for depth, count in rows.items():
            self.stepped(depth, count, seconds * weights[depth] / sum(weights.values()))

    def decoded(self, frames: int, seconds: float) -> None:
        """Decoding so many frames, of all streams together, took so long."""
        self._decode.add(frames, seconds)

    def prefilled(self, rows: int, seconds: float) -> None:
        """Prefilling so many rows took so long."""
        self._prefill.add(rows, seconds)

    def settle(self) -> None:
        """Keep what has been measured for good, as a warm-up of all shapes deserves."""
        for fit in (*self._step.values(), self._decode, self._prefill):
            fit.settle()

    def model(self) -> CostModel:
        """The model; RuntimeError before each kind of work was measured once."""
        if not (self._step and self._decode.known and self._prefill.known):
            raise RuntimeError("no step, no decoding, or no prefill has been measured yet; warm up first")
        steps = {depth: fit.line() for depth, fit in self._step.items()}
        return CostModel(MappingProxyType(steps), self._decode.line(), self._prefill.line())
