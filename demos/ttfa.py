"""The shortest honest measurement of time to first audio: `python demos/ttfa.py`.

Honest means: warm but not cached, from the first text, to the first sample one can hear rather than to the first byte
(TTFB), over many replies with their tail, and with a look at whether the sound then went on without a gap.
`voicestack bench` measures more, under load.
"""

import asyncio
import time

import numpy as np
from numpy.typing import NDArray

from voicestack.realtime.voice import Voice

REPLIES = (
    "Sure, your table for two is booked for half past seven.",
    "The next train to the airport leaves in twelve minutes.",
    "I have added milk, bread and two lemons to your list.",
    "It will be sunny in the morning and cloudy after lunch.",
)
RUNS = 20
BLOCK_S, BLOCKS, FLOOR = 0.01, 5, 10 ** (-40 / 20)


def onset_s(pcm: NDArray[np.float32], rate: int) -> float | None:
    """Where 50 ms begin that are louder than -40 dBFS throughout."""
    size = round(rate * BLOCK_S)
    blocks = pcm[: len(pcm) // size * size].reshape(-1, size)
    loud = np.sqrt(np.mean(blocks**2, axis=1)) > FLOOR
    runs = np.flatnonzero(np.convolve(loud, np.ones(BLOCKS), "valid") == BLOCKS)
    return runs[0] * BLOCK_S if len(runs) else None


async def reply(voice: Voice, text: str) -> tuple[float, float, float]:
    """Speak one reply; returns TTFB, TTFA, and for how long its listener ran dry, in milliseconds."""
    async with voice.session() as session:
        asked_s = time.monotonic()
        await session.push_text(text)
        await session.flush()
        first_s, dry_at_s, gap_s = 0.0, 0.0, 0.0
        parts: list[NDArray[np.float32]] = []
        async for chunk in session.audio():
            now_s = time.monotonic()
            if not parts:
                first_s = dry_at_s = now_s
            gap_s += max(0.0, now_s - dry_at_s)
            dry_at_s = max(dry_at_s, now_s) + len(chunk.pcm) / session.sample_rate_hz
            parts.append(chunk.pcm)
    silence_s = onset_s(np.concatenate(parts), session.sample_rate_hz) or 0.0
    return 1000 * (first_s - asked_s), 1000 * (first_s - asked_s + silence_s), 1000 * gap_s


async def main() -> None:
    """Measure and print medians and tails."""
    async with Voice.load() as voice:
        await reply(voice, REPLIES[0])
        figures = np.array([await reply(voice, REPLIES[run % len(REPLIES)]) for run in range(RUNS)])
    for name, values in zip(("TTFB ms", "TTFA ms"), figures.T, strict=False):
        print(f"{name}  median {np.median(values):6.1f}  p95 {np.percentile(values, 95):6.1f}  max {values.max():6.1f}")
    print(f"underruns: {figures[:, 2].sum():.1f} ms in {RUNS} replies")


if __name__ == "__main__":
    asyncio.run(main())
