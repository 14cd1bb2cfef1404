"""An engine without models for the tests of everything around it.

Every character is a frame, and what it sounds like tells which utterance and which frame it was.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import numpy as np

from voicestack.realtime.cost_model import CostMeter
from voicestack.realtime.orders import Order, Report, Result, StackShape, StepOrder, UtteranceSpec
from voicestack.runtime import Advance, Chunk, InputError, WordTiming

RATE, FRAME_S = 8000, 0.08
FRAME = round(RATE * FRAME_S)
LAYERS = 32


@dataclass
class Spoken:
    """An utterance as the scripted engine keeps it."""

    spec: UtteranceSpec
    text: str = ""
    complete: bool = False
    made: int = 0
    decoded: int = 0
    depths: list[int] = field(default_factory=list)
    played: int | None = None


class ScriptedWorker:
    """Speaks a frame a character, silence for a space; a word begins at each first letter.

    `fault(key, frame)` may raise, for that utterance; `crash(order)` may raise, for the whole round. `step_s` is how
    long a step takes.
    """

    def __init__(
        self,
        *,
        fault: Callable[[int, int], None] = lambda key, frame: None,
        crash: Callable[[Order], None] = lambda order: None,
        step_s: float = 0.0,
        depths: tuple[int, ...] = (8, 32),
    ) -> None:
        self.sample_rate_hz, self.frame_s, self.depth = RATE, FRAME_S, depths[-1]
        self.first_sound_s = FRAME_S
        self.channels, self.slots = 1, 10_000
        self.stack = StackShape(depths[-1], 1024, False)
        self.sheds, self.converses = True, False
        self.fault, self.crash, self.step_s, self.depths = fault, crash, step_s, depths
        self.open: dict[int, Spoken] = {}
        self.begun: dict[int, Spoken] = {}
        self.threads: set[str] = set()
        self.largest_batch = 0

    def checked(self, spec: UtteranceSpec) -> UtteranceSpec:
        if spec.depth is not None and spec.depth not in self.depths:
            raise InputError(f"depth must be one of {self.depths}, got {spec.depth!r}")
        return spec

    def deep_enough(self, depth: int) -> int:
        if not 1 <= depth <= self.depths[-1]:
            raise InputError(f"depth must be 1 to {self.depths[-1]}, got {depth!r}")
        return min(known for known in self.depths if known >= depth)

    def read_voice(self, prompt: Path, prompt_text: str | None) -> NoReturn:
        raise InputError("there is one voice only")

    def warm_up(self, meter: CostMeter) -> None:
        for depth in self.depths:
            meter.stepped(depth, 1, 1e-4)
            meter.stepped(depth, 10, 1e-3)
        meter.decoded(1, 1e-4)
        meter.prefilled(1, 1e-5)

    def work(self, order: Order, meter: CostMeter) -> Report:
        self.threads.add(threading.current_thread().name)
        self.crash(order)
        for key in order.close:
            self.open.pop(key, None)
        for key, spec in order.open:
            self.open[key] = self.begun[key] = Spoken(spec, played=spec.played_depth)
        for key, depth in order.play:
            self.open[key].played = depth
        for key, text in order.text:
            self.open[key].text += text
        for key in order.finish:
            self.open[key].complete = True
        self.largest_batch = max(self.largest_batch, len(order.step))
        if order.step and self.step_s:
            time.sleep(self.step_s)
        return Report([self._step(step) for step in order.step if step.key in self.open], step_s=self.step_s)

    def _step(self, step: StepOrder) -> Result:
        spoken = self.open[step.key]
        try:
            self.fault(step.key, spoken.made)
        except Exception as error:
            return Result(step.key, Advance.FAILED, error=error)
        frames = int(spoken.made < len(spoken.text))
        spoken.made += frames
        spoken.depths += [min(step.depth, spoken.played or step.depth)] * frames
        out = spoken.made == len(spoken.text)
        fate = Advance.DONE if out and spoken.complete else Advance.PARKED if out and not frames else Advance.SPOKEN
        pending = spoken.made - spoken.decoded
        chunk = None
        if pending >= step.chunk_frames or (pending and fate is not Advance.SPOKEN):
            chunk, spoken.decoded = _chunk(step.key, spoken), spoken.made
        return Result(step.key, fate, frames, spoken.made - spoken.decoded, chunk)


def sound_of(key: int, frame: int, character: str) -> float:
    """The one sample value of a frame."""
    return 0.0 if character == " " else 0.1 + ((key * 31 + frame * 7) % 800) / 1000


def _chunk(key: int, spoken: Spoken) -> Chunk:
    frames = range(spoken.decoded, spoken.made)
    pcm = np.repeat(np.array([sound_of(key, f, spoken.text[f]) for f in frames], np.float32), FRAME)
    text = spoken.text
    words = tuple(
        WordTiming(text[f:].split(" ")[0], f * FRAME_S)
        for f in frames
        if text[f] != " " and (f == 0 or text[f - 1] == " ")
    )
    depths = tuple(spoken.depths[spoken.decoded : spoken.made])
    codes = np.array([np.where(np.arange(LAYERS) < d, f % 1024, 1024) for d, f in zip(depths, frames, strict=True)])
    return Chunk(pcm, spoken.decoded * FRAME_S, words, depths=depths, codes=codes)
