"""What the checks with real clients share: the text, the server's address, and where speech is put for the judge."""

import json
import os
import sys
import time
import wave
from pathlib import Path

TEXT = (
    "I moved your meeting to Thursday afternoon. The train leaves in ten minutes. "
    "You can take the bus home, or wait for the next one. Is there anything else I can do for you?"
)
"""The same as in tests/hearing.py, which judges what came."""
SENTENCES = [
    f"{sentence.strip()}{mark}" for sentence, mark in zip(TEXT.replace("?", ".").split("."), "...?", strict=False)
]
LONG = " ".join(f"This is sentence number {number} of a reply that somebody will interrupt." for number in range(12))
RATE_HZ = 24_000
KEY = "a-key-that-nobody-checks"

HTTP = sys.argv[1].rstrip("/") if len(sys.argv) > 1 else "http://127.0.0.1:8765"
"""The server, as http://host:port."""
WS = HTTP.replace("http", "ws", 1)
OUT = Path(os.environ.get("CLIENTS_OUT", "."))


class Ear:
    """Takes 16-bit samples as they come, and the time of the first."""

    def __init__(self, name: str) -> None:
        self.name, self.data = name, bytearray()
        self.first_s: float | None = None
        self.began_s = time.perf_counter()

    def begin(self) -> None:
        """The text is said now."""
        self.began_s = time.perf_counter()

    def hear(self, data: bytes) -> None:
        """A piece of sound."""
        if data and self.first_s is None:
            self.first_s = time.perf_counter() - self.began_s
        self.data += data

    def report(self, **more: object) -> None:
        """Keep the sound for the judge and print what was seen; a sound of the wrong length is a failure."""
        seconds = len(self.data) / 2 / RATE_HZ
        with wave.open(str(OUT / f"{self.name}.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes(bytes(self.data))
        first_ms = None if self.first_s is None else round(1000 * self.first_s, 1)
        print(json.dumps({"client": self.name, "first_ms": first_ms, "audio_s": round(seconds, 2), **more}), flush=True)
        if not 8 < seconds < 20:
            raise SystemExit(f"{self.name}: {seconds:.2f} s of speech came, which cannot be all")


def demand(true: object, what: str) -> None:
    """End the check when something is not as it should be."""
    if not true:
        raise SystemExit(f"failed: {what}")
