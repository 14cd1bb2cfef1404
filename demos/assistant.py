"""A language model writes, the voice speaks along, a person barges in: `python demos/assistant.py --out talk.wav`.

Words are printed as they are heard. The "model" is a script that writes a token every 60 ms; put a real one in the
place of `write`. The WAV file holds what a listener in the room would have heard; `--play` is for the sound card.
"""

import argparse
import asyncio
import time
import wave
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from voicestack.realtime.player import open_player
from voicestack.realtime.session import Session
from voicestack.realtime.voice import Voice
from voicestack.runtime import Chunk, SamplingParams, WordTiming

REPLY = (
    "Sure, I moved your meeting with Doctor Patel to Thursday at 3:30. "
    "It costs $12.50 to park there, so you may want to take the bus."
)
BARGE_IN, AFTER_S = "Wait, can we make it Friday?", 3.0
NEXT_REPLY = "Of course. Friday at 3:30 it is."


class Room:
    """A loudspeaker without a sound card: it plays what it is given in real time, and remembers it."""

    def __init__(self, rate: int) -> None:
        self.rate, self.began_s = rate, time.monotonic()
        self.pcm: NDArray[np.float32] = np.zeros(0, np.float32)
        self.sounds_s = 0.0

    def play(self, chunk: Chunk) -> float:
        """Queue a chunk, behind silence if there was nothing to play; returns the moment at which it sounds."""
        silence = max(0, round((time.monotonic() - self.began_s) * self.rate) - len(self.pcm))
        begins = len(self.pcm) + silence
        self.pcm = np.concatenate([self.pcm, np.zeros(silence, np.float32), chunk.pcm])
        sounds_s = self.began_s + begins / self.rate
        if not chunk.start_s:
            self.sounds_s = sounds_s
        return sounds_s

    @property
    def played_s(self) -> float:
        """Seconds of the utterance that were heard."""
        return time.monotonic() - self.sounds_s

    def stop(self) -> None:
        """Drop what has not been heard yet: the other half of a barge-in."""
        self.pcm = self.pcm[: round((time.monotonic() - self.began_s) * self.rate)]


class Card:
    """The same with a sound card, which knows better what was heard of it."""

    def __init__(self, rate: int) -> None:
        self._player, self._begins_s = open_player(rate, lambda: True), 0.0
        self.stop, self.finish = self._player.flush, self._player.finish

    def play(self, chunk: Chunk) -> float:
        """Queue a chunk; returns the moment at which it sounds."""
        begins_s = self._player.written_s
        if not chunk.start_s:
            self._begins_s = begins_s
        sounds_s = time.monotonic() + begins_s - self._player.played_s
        self._player.write(chunk.pcm)
        return sounds_s

    @property
    def played_s(self) -> float:
        """Seconds of the utterance that were heard."""
        return self._player.played_s - self._begins_s


async def speak(session: Session, room: Room | Card, reply: str) -> None:
    """Push a reply while it is written, play it, and print each word when it is heard."""
    began_s = time.monotonic()
    async with asyncio.TaskGroup() as group:
        group.create_task(write(session, reply), name="writer")
        async for chunk in session.audio():
            sounds_s = room.play(chunk)
            if not chunk.start_s:
                print(f"[first audio after {time.monotonic() - began_s:.2f} s, the model still writes]")
            for word in chunk.words:
                group.create_task(show(word, sounds_s + word.start_s - chunk.start_s), name="word")


async def write(session: Session, reply: str) -> None:
    """The language model: a few letters at a time, pushed as slowly as it would write them."""
    for start in range(0, len(reply), 4):
        await asyncio.sleep(0.06)
        await session.push_text(reply[start : start + 4])
    await session.flush()


async def show(word: WordTiming, at_s: float) -> None:
    """Print a word at its time."""
    await asyncio.sleep(max(0.0, at_s - time.monotonic()))
    print(word.text, end=" ", flush=True)


async def main(out: Path | None, play: bool) -> None:
    """One reply that is interrupted, and the next."""
    async with Voice.load() as voice, voice.session(sampling=SamplingParams(seed=1)) as session:
        room = Card(session.sample_rate_hz) if play else Room(session.sample_rate_hz)
        async with asyncio.TaskGroup() as group:
            speaking = group.create_task(speak(session, room, REPLY), name="assistant")
            await asyncio.sleep(AFTER_S)
            speaking.cancel()  # with its writer: the model shall stop, too
            session.report_played(room.played_s)
            heard = await session.interrupt()
            room.stop()
        print(f"\n[{BARGE_IN} It had said, in {heard.played_ms:.0f} ms: {heard.text!r}]")
        await speak(session, room, NEXT_REPLY)
        print()
    if isinstance(room, Card):
        room.finish()
    elif out:
        with wave.open(str(out), "wb") as file:
            file.setparams((1, 2, room.rate, 0, "NONE", ""))
            file.writeframes((np.clip(room.pcm, -1, 1) * 32767).astype("<i2").tobytes())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted assistant that is interrupted.")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--out", type=Path, metavar="FILE.wav", help="write what was heard")
    where.add_argument("--play", action="store_true", help="play it on the sound card")
    options = parser.parse_args()
    asyncio.run(main(options.out, options.play))
