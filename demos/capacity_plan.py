"""How many sessions a machine serves, by simulation: `python demos/capacity_plan.py --markdown capacity.md`.

The planner that serves real sessions runs on a fake clock against the price of an engine. For the embedded voice that
price is measured here, now; for models and accelerators that are not here it is reckoned from memory bandwidth and
arithmetic, and every assumption is printed with the result.
"""

import argparse
import random
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from voicestack.realtime import CostMeter, CostModel, EmbeddedWorker, Line, PlannerConfig, Simulation, Talker

PERIOD_S, SECONDS, REPLY_S = 0.08, 60, 6.0
LONGEST_WAIT_S = 0.3
HISTORY_ROWS = 1000
"""Prompt and a minute of speech, which every step reads."""


@dataclass(frozen=True)
class Accelerator:
    """What it reads in a second, what it computes in practice, and how long one kernel takes to start in a graph."""

    name: str
    bytes_per_s: float
    flops: float
    launch_s: float


@dataclass(frozen=True)
class Family:
    """A published family: parameters of backbone and head, KV bytes of one row, kernels of one step, prompt rows."""

    name: str
    parameters: float
    head_parameters: float
    head_steps: int
    kv_bytes: int
    kernels: int
    prompt_rows: int


CHIPS = (
    Accelerator("L4", 300e9, 60e12, 4e-6),
    Accelerator("A100 80 GB", 2.0e12, 180e12, 4e-6),
    Accelerator("H100", 3.3e12, 500e12, 4e-6),
)
FAMILIES = (
    Family("Nano, 100M, 16 layers", 0.1e9, 0.01e9, 17, 12 * 768 * 2 * 2, 12 * 8 + 17 * 10, 200),
    Family("Realtime, 1.7B, 16 layers", 1.7e9, 0.25e9, 16, 28 * 8 * 128 * 2 * 2, 28 * 9 + 16 * 40, 300),
    Family("Delay, 8B, 32 layers", 8.0e9, 0.0, 0, 36 * 8 * 128 * 2 * 2, 36 * 9 + 40, 300),
)


def reckoned(family: Family, chip: Accelerator) -> CostModel:
    """Float16 weights are read once a step, the head's once a code; each row reads its history and is computed."""
    weights = 2 * (family.parameters + family.head_parameters * max(1, family.head_steps))
    fixed_s = weights / chip.bytes_per_s + family.kernels * chip.launch_s
    row_s = family.kv_bytes * HISTORY_ROWS / chip.bytes_per_s
    row_s += 2 * (family.parameters + family.head_parameters * family.head_steps) / chip.flops
    codec = Line(1.5e-3, 0.15e-3)
    prefill = Line(fixed_s, 2 * family.parameters / chip.flops)
    return CostModel(MappingProxyType({32: Line(fixed_s, row_s)}), codec, prefill)


def measured() -> CostModel:
    """What the embedded voice costs on this machine, on one core."""
    worker, meter = EmbeddedWorker.opener(None, 16)(), CostMeter()
    worker.warm_up(meter)
    return meter.model()


def holds(cost: CostModel, sessions: int, depth: int, rows: int, config: PlannerConfig) -> tuple[bool, float]:
    """Whether so many sessions that speak reply after reply hold, and the 95th centile of TTFB in seconds."""
    draws = random.Random(1)
    talkers = [
        Talker(draws.uniform(0, REPLY_S) + turn * (REPLY_S + 0.2), round(REPLY_S / PERIOD_S), depth, rows)
        for _ in range(sessions)
        for turn in range(int(SECONDS / (REPLY_S + 0.2)))
    ]
    outcomes = Simulation(cost, PERIOD_S, config).run(talkers)
    waits = sorted(outcome.first_sound_s for outcome in outcomes if outcome.first_sound_s is not None)
    fine = not any(outcome.refused or outcome.underruns for outcome in outcomes)
    p95_s = waits[int(0.95 * len(waits))] if waits else float("inf")
    return fine and p95_s <= LONGEST_WAIT_S, p95_s


def capacity(cost: CostModel, depth: int, rows: int, batch: int, calls_of: int) -> tuple[int, float]:
    """The most sessions that hold, by bisection, and their 95th centile of TTFB in seconds."""
    config = PlannerConfig(batch=batch, call_rows=calls_of, prefill_rows=256, shedding=False)
    low, high, wait_s = 0, 2, 0.0
    while holds(cost, high, depth, rows, config)[0] and high < 2048:
        low, high = high, 2 * high
    while high - low > max(1, low // 20):
        middle = (low + high) // 2
        fine, p95_s = holds(cost, middle, depth, rows, config)
        low, high, wait_s = (middle, high, p95_s) if fine else (low, middle, wait_s)
    return low, wait_s or holds(cost, low, depth, rows, config)[1] if low else float("inf")


def main() -> None:
    """Print the plan, and write it as a page if asked to."""
    parser = argparse.ArgumentParser(description="How many sessions a machine serves, by simulation.")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the page")
    options = parser.parse_args()
    table = ["| engine | where | step, fixed + per row | sessions | p95 TTFB |", "|---|---|---|---|---|"]
    cost = measured()
    plans = [
        (f"embedded voice, depth {depth}", "this machine, one core, measured", cost, depth, 1, (12, 6))
        for depth in cost.depths
    ]
    plans += [
        (f.name, c.name + ", reckoned", reckoned(f, c), 32, f.prompt_rows, (256, 256)) for f in FAMILIES for c in CHIPS
    ]
    for name, where, model, depth, rows, batch in plans:
        count, wait_s = capacity(model, depth, rows, *batch)
        line = model.step[depth]
        price = f"{line.fixed_s * 1e3:.2f} + {line.per_row_s * 1e3:.3f} ms"
        table.append(f"| {name} | {where} | {price} | {count} | {wait_s * 1e3:.0f} ms |")
        print(table[-1], flush=True)
    if options.markdown:
        options.markdown.write_text(PAGE.format(table="\n".join(table), **ASSUMED), encoding="utf-8")


ASSUMED = {"reply": REPLY_S, "wait": LONGEST_WAIT_S * 1e3, "seconds": SECONDS, "rows": HISTORY_ROWS}
PAGE = """# Capacity plan

Made by `python demos/capacity_plan.py`. Every session speaks replies of {reply:g} s one after the other for
{seconds} s, as no caller does: real ones listen half of the time. A number of sessions holds when not one of them has a
gap and 95 of 100 replies begin within {wait:g} ms.

{table}

**Assumed, where it is not measured.** Weights in float16, read once a step, those of a local head once a code;
{rows} rows of history read by every stream in every step; arithmetic at the rates that large batches reach in practice
(60, 180 and 500 TFLOPS); kernels started from a captured graph at 4 microseconds each; the codec at 1.5 ms a call and
0.15 ms a frame; every reply prefills its whole prompt (a kept conversation, or a `.voice` file, would not). The
scheduler's own overhead is not in it. Nothing here was run on an accelerator: take the lower rows as what to expect at
best, and measure.
"""


if __name__ == "__main__":
    main()
