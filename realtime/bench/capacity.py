"""The largest number of sessions that a target holds: probes of growing load, then bisection."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Demand:
    """What holding means. ttfa_p95_ms: what p95 TTFA may be; underrun_share: the share of sessions that may run dry."""

    ttfa_p95_ms: float = 250.0
    underrun_share: float = 0.0

    def __str__(self) -> str:
        dry = f"{100 * self.underrun_share:g} % of the sessions" if self.underrun_share else "no session"
        return f"at most {dry} with an underrun, p95 TTFA at most {self.ttfa_p95_ms:g} ms, none refused, none failed"


@dataclass(frozen=True, slots=True)
class Probe:
    """What so many sessions had. why_not: what they missed of the demand; empty when it holds."""

    sessions: int
    ttfa_p95_ms: float | None
    sessions_with_underrun: int
    underrun_s: float
    refused: int
    failed: int
    busy_share: float | None
    depths: dict[str, int]
    why_not: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether the demand is met."""
        return not self.why_not

    def __str__(self) -> str:
        total = sum(self.depths.values())
        depths = ", ".join(f"{depth}: {100 * count / total:.0f} %" for depth, count in self.depths.items())
        ttfa = "-" if self.ttfa_p95_ms is None else f"{self.ttfa_p95_ms:.1f}"
        busy = "" if self.busy_share is None else f", engine busy {100 * self.busy_share:.0f} %"
        verdict = "holds" if self.holds else f"does not hold: {', '.join(self.why_not)}"
        return (
            f"{self.sessions:>4} sessions  p95 TTFA {ttfa:>7} ms, {self.sessions_with_underrun} ran dry for "
            f"{self.underrun_s:.2f} s{busy}{f', depths {depths}' if depths else ''}  {verdict}"
        )

    def data(self) -> dict[str, object]:
        """As it is written to JSON."""
        return {**asdict(self), "holds": self.holds}


def judged(report: Mapping[str, Any], sessions: int, demand: Demand) -> Probe:
    """A report of so many sessions beside what was demanded."""
    p95_ms: float | None = report["ttfa_ms"]["p95"]
    dry, refused, failed = report["sessions_with_underrun"], report["refused"]["count"], report["replies"]["failed"]
    why_not: list[str] = []
    if dry > demand.underrun_share * sessions:
        why_not.append(f"{dry} of {sessions} sessions ran dry")
    if p95_ms is None:
        why_not.append("nothing was heard")
    elif p95_ms > demand.ttfa_p95_ms:
        why_not.append(f"p95 TTFA is over {demand.ttfa_p95_ms:g} ms")
    if refused:
        why_not.append(f"{refused} refusals")
    if failed:
        why_not.append(f"{failed} replies failed")
    return Probe(
        sessions,
        p95_ms,
        dry,
        report["underrun_s"],
        refused,
        failed,
        report.get("busy_share"),
        report["depth_histogram"]["played"],
        tuple(why_not),
    )


async def largest(probe: Callable[[int], Awaitable[bool]], first: int, most: int) -> int:
    """The largest number up to `most` for which `probe` holds, 0 for none, taking more sessions for never easier."""
    holds, fails = 0, most + 1
    count = min(first, most)
    while fails - holds > 1:
        if await probe(count):
            holds = count
        else:
            fails = count
        # Doubling until something fails, halving what is left from then on.
        count = min(2 * holds, most) if fails > most else (holds + fails) // 2
    return holds
