"""Speak the examples in `demos/audio`: `python demos/examples.py`, with the `serve` extra for its Opus encoder.

Small Ogg Opus files, 24 kHz mono, each with its text as title. The same weights give the same bytes.
"""

import argparse
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import Bundle, SamplingParams, Speaker, find_voice

AUDIO = Path(__file__).with_name("audio")
BIT_RATE = 24_000
SEED = 1


@dataclass(frozen=True, slots=True)
class Example:
    """A text to speak, and how fast, 1 as the voice does by itself; the name is that of its file."""

    name: str
    text: str
    rate: float | None = None


EXAMPLES = (
    Example("everyday", "Sure, I have set a timer for ten minutes, and I will tell you when it is done."),
    Example("question", "Would you like the same table as last week, or one by the window?"),
    Example("numbers", "That comes to $42.50, and the train leaves on March 3rd at 4:45 p.m."),
    Example("spelled", "Your ticket is under the name Joan Baker: J. O. A. N., then B. A. K. E. R."),
    Example("list", "You will need flour, two eggs, butter, sugar, a lemon, and a little salt."),
    Example("pause", "One moment, please. [pause 1s] Good news, your table is ready!"),
    Example("slower", "The code for the front door is nine, two, seven, four.", rate=0.9),
    Example(
        "long",
        "When the meeting is over, please send everyone the notes, book the room again for next week, and remind me to "
        "call my sister before she leaves for the airport in the evening.",
    ),
)


def main() -> None:
    """Write one file for each example."""
    parser = argparse.ArgumentParser(description="Speak the examples in demos/audio.")
    parser.add_argument("--voice", metavar="NAME", help="a voice by its name or folder; the one that ships by default")
    parser.add_argument("--out", type=Path, default=AUDIO, metavar="FOLDER", help="where to write them (demos/audio)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    speaker = Speaker(Bundle.load(find_voice(options.voice)))
    for number, example in enumerate(EXAMPLES, 1):
        chunks = speaker.speak(example.text, sampling=SamplingParams(seed=SEED), rate=example.rate)
        pcm = np.concatenate([chunk.pcm for chunk in chunks])
        path = options.out / f"{number}_{example.name}.opus"
        write_opus(path, pcm, speaker.sample_rate_hz, example.text)
        print(f"{path}: {len(pcm) / speaker.sample_rate_hz:.1f} s, {path.stat().st_size / 1000:.0f} kB")


def write_opus(path: Path, pcm: NDArray[np.float32], sample_rate_hz: int, title: str) -> None:
    """Write float32 samples [n] as one Ogg Opus track."""
    samples = (np.clip(pcm, -1, 1) * 32767).astype(np.int16)
    # Without this flag each file gets a random serial number, and the encoder's version.
    with av.open(str(path), "w", format="ogg", options={"fflags": "+bitexact"}) as container:
        container.metadata["title"] = title
        track = container.add_stream("libopus", rate=sample_rate_hz, layout="mono")
        track.bit_rate = BIT_RATE
        frame = av.AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = sample_rate_hz, Fraction(1, sample_rate_hz), 0
        container.mux([*track.encode(frame), *track.encode(None)])


if __name__ == "__main__":
    main()
