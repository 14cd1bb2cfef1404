"""What a person at a browser waits for, measured in Chromium: `python demos/browser.py --json out.json`.

It starts `voicestack serve`, opens the page, lets it speak and cuts in, again and again; then some calls at once, for a
minute, whose packets and concealed samples the browser counts. Needs the extras `webrtc` and `clients`, and Chromium.
"""

import argparse
import asyncio
import json
import shutil
import statistics
from pathlib import Path
from typing import Any

from playwright.async_api import Page, async_playwright

from voicestack.realtime.bench.machine import machine, versions
from voicestack.realtime.bench.server_process import ServerProcess

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--allow-loopback-in-peer-connection",
]
TEXT = "The quick brown fox jumps over the lazy dog and runs away across the field, without ever looking back. "
SCRIPT = Path(__file__).with_suffix(".js").read_text("utf-8")


def summary(values: list[float]) -> dict[str, float]:
    """Median and tails."""
    ordered = sorted(values)
    p95 = ordered[round(0.95 * (len(ordered) - 1))]
    return {"p50": round(statistics.median(ordered), 1), "p95": round(p95, 1), "max": round(ordered[-1], 1)}


async def measure(page: Page, url: str, options: argparse.Namespace) -> dict[str, Any]:
    """All that is asked for, in one browser."""
    await page.goto(f"{url}/")
    heard, silent = await page.evaluate(f"(asked) => ({SCRIPT}).cutIn(...asked)", [options.count, TEXT])
    await page.goto(f"{url}/healthz")
    calls = await page.evaluate(f"(asked) => ({SCRIPT}).call(...asked)", [options.calls, options.seconds, TEXT * 3])
    return {
        "first_call_audible_ms": round(heard[0], 1),
        "audible_ms": summary(heard[1:]),
        "barge_in_silent_ms": summary(silent[1:]),
        "calls": calls,
    }


async def main(options: argparse.Namespace) -> None:
    """Serve, browse, tell."""
    async with ServerProcess([]) as server, async_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        figures = await measure(await browser.new_page(), server.url, options)
        await browser.close()
    told = {"machine": machine(), "versions": versions(), "seconds": options.seconds, **figures}
    print(json.dumps(told, indent=1))
    if options.json:
        options.json.write_text(json.dumps(told, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Latency and continuity in a real browser.")
    parser.add_argument("--count", type=int, default=20, help="replies that are cut in on (20)")
    parser.add_argument("--calls", type=int, default=8, help="calls at once, afterwards (8)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long (60)")
    parser.add_argument("--json", type=Path, help="write the figures, too")
    asyncio.run(main(parser.parse_args()))
