"""A bot you can call and interrupt: `python demos/call_bot.py`, then open the page it names and talk to it.

It answers over WebRTC while it still writes, and knows how much of an answer you heard before you cut in. The "model"
is a script; put a real one in the place of `Bot._write`.
"""

import argparse
import asyncio
import re
import sys
from collections.abc import AsyncIterator

from voicestack.realtime.serve import App, Settings, run_until_signalled

GREETING = "Hello, this is the front desk. I can tell you about opening hours, prices, or how to find us."
ANSWERS = {
    r"open|hour|when|close": "We open at nine in the morning and close at half past six.",
    r"price|cost|much|ticket": "A ticket is $12.50, and on the first Sunday of the month it is free.",
    r"where|find|way|address|park": "Take the tram to the old harbour, and walk along the water for five minutes. The "
    "entrance is behind the red crane, and there is a place to park across the street.",
    r"bye|thank": "You are welcome. Goodbye!",
    r"hello|hi\b|hey|who": GREETING,
}
UNKNOWN = "I am a small bot with a short script. Ask me about opening hours, prices, or the way."


class Bot:
    """Who answers in one call."""

    def __init__(self) -> None:
        self._answer = ""

    async def answer(self, said: str, heard: str) -> AsyncIterator[str]:
        """The answer, as it is written."""
        was_cut_off = 0 < len(heard.split()) < len(self._answer.split())
        print(f"heard so far: {heard!r}\nperson: {said}", flush=True)
        if was_cut_off and re.search(r"go on|continue|and then|sorry", said, re.IGNORECASE):
            self._answer = "As I was saying: " + " ".join(self._answer.split()[len(heard.split()) - 1 :])
        else:
            patterns = (pattern for pattern in ANSWERS if re.search(pattern, said, re.IGNORECASE))
            self._answer = ANSWERS.get(next(patterns, ""), UNKNOWN)
        async for piece in self._write(self._answer):
            yield piece

    async def _write(self, answer: str) -> AsyncIterator[str]:
        """The language model: a few letters at a time, as slowly as it would write them."""
        for start in range(0, len(answer), 4):
            await asyncio.sleep(0.04)
            yield answer[start : start + 4]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted bot that answers calls from the browser.")
    parser.add_argument("--port", type=int, default=8765, help="where the page is (default: %(default)s)")
    settings = Settings(port=parser.parse_args().port)
    asyncio.run(run_until_signalled(settings, sys.stderr, lambda settings: App(settings, assistant=Bot)))
