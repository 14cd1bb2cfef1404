"""A voice that hums, a sound card that is driven by hand, and surroundings that are all memory."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
from numpy.typing import NDArray

from voicestack.realtime.console import Console
from voicestack.realtime.desk import Desk
from voicestack.realtime.player import Callback, NoSoundCardError, Player
from voicestack.realtime.say_voice import Manner, SayVoice
from voicestack.realtime.text_pipe import TextPipe
from voicestack.runtime import Chunk, Event, InputError, WordTiming

RATE_HZ = 24_000
FRAME_SAMPLES = 1920
BLOCK = 480


def hum(samples: int, volume: float = 0.5) -> NDArray[np.float32]:
    """A tone of 200 Hz, float32 [samples]."""
    return (volume * np.sin(2 * np.pi * 200 * np.arange(samples) / RATE_HZ)).astype(np.float32)


@dataclass
class FakeVoice:
    """Hums one frame per word and remembers how it was called."""

    calls: list[Manner] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)
    prepared: list[Manner] = field(default_factory=list)

    def speak(self, text: str | TextPipe, manner: Manner) -> Iterator[Chunk]:
        self.calls.append(manner)
        return self._frames(text)

    def _frames(self, text: str | TextPipe) -> Iterator[Chunk]:
        frame = 0
        for piece in [text] if isinstance(text, str) else text:
            for word in piece.split():
                self.heard.append(word)
                start_s = frame * FRAME_SAMPLES / RATE_HZ
                yield Chunk(hum(FRAME_SAMPLES), start_s, (WordTiming(word, start_s),), Event.SPOKEN)
                frame += 1
        if not frame:
            raise InputError("text is empty; give at least one word")


class Screen(io.StringIO):
    """A stream that says whether it is a terminal."""

    def __init__(self, terminal: bool = False) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


class FakeCard:
    """A sound card that asks for a block when `pull` is called, and fails in the calls named in `broken`."""

    def __init__(self, callback: Callback, broken: tuple[str, ...] = ()) -> None:
        self.callback = callback
        self.broken = broken
        self.active = False
        self.closed = False
        self.late_s = 0.0

    def start(self) -> None:
        self._try("start")
        self.active = True

    def stop(self) -> None:
        self._try("stop")
        self.active = False

    def close(self) -> None:
        self.active = False
        self.closed = True

    def pull(self) -> NDArray[np.float32]:
        out = np.full((BLOCK, 1), np.nan, np.float32)
        self.callback(out, BLOCK, SimpleNamespace(currentTime=5.0, outputBufferDacTime=5.0 + self.late_s), None)
        return out[:, 0]

    def _try(self, call: str) -> None:
        if call in self.broken:
            raise NoSoundCardError(f"the fake card does not {call}")


def no_sound_card(_rate: int, _excused: Callable[[], bool]) -> Player:
    raise NoSoundCardError("no sound card in this test")


@dataclass
class Room:
    """A desk with a fake voice and screens that can be read."""

    voice: FakeVoice = field(default_factory=FakeVoice)
    out: Screen = field(default_factory=Screen)
    err: Screen = field(default_factory=Screen)

    def desk(self, **others: object) -> Desk:
        """The desk; keyword arguments replace fields of it."""
        fields: dict[str, object] = {
            "load_voice": lambda _: SayVoice(self.voice.speak, self.voice.prepared.append, RATE_HZ, FRAME_SAMPLES, 32),
            "open_player": no_sound_card,
            "console": Console(self.out, self.err),
        }
        return Desk(**{**fields, **others})  # type: ignore[arg-type]
