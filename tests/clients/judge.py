"""Listen to what the real clients were given: `python tests/clients/judge.py FOLDER`; needs the `train` extra."""

import sys
import wave
from pathlib import Path

import common
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from hearing import TEXT, understood

LEAST = 0.7
"""The voice draws its codes anew each time, and one word lost of 34 is 0.03."""


def main() -> None:
    """Print which share of the text each file says; exit code 1 when one says too little."""
    if common.TEXT != TEXT:
        raise SystemExit("tests/clients/common.py and tests/hearing.py disagree on the text")
    poor = []
    for path in sorted(Path(sys.argv[1]).glob("*.wav")):
        with wave.open(str(path)) as file:
            pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
        share = understood(pcm)
        print(f"{path.stem:<22}{share:.2f}", flush=True)
        poor += [path.stem] * (share < LEAST)
    if poor:
        raise SystemExit(f"less than {LEAST} of the text was understood from {', '.join(poor)}")


main()
