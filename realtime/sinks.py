"""Where the audio goes: a file, the sound card, or both."""

from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from .desk import Desk
from .meter import mono
from .player import NoSoundCardError, Player
from .say_voice import SayVoice
from .text_pipe import TextPipe
from .wav import WavFile, check_writable

DEFAULT_WAV = Path("voicestack.wav")


class Sinks:
    """Hands audio to what was asked for; where the sound card fails, a file gets what was not played.

    Use it as a context manager.

    Attributes:
        player: the sound card; None where there is none, or none any more.
        wav: the file; None where none is written.
    """

    def __init__(self, desk: Desk, voice: SayVoice, *, out: Path | None, play: bool, pipe: TextPipe | None) -> None:
        """Args: pipe, if text comes through one, tells when silence is the writer's. Raises CannotWriteError."""
        self.player: Player | None = None
        self._rate, self._channels = voice.sample_rate_hz, voice.channels
        self.wav = None if out is None else WavFile(out, self._rate, self._channels)
        self._tell = desk.console.tell
        if play or out is None:
            try:
                self.player = desk.open_player(self._rate, lambda: pipe is not None and pipe.waiting)
            except NoSoundCardError as error:
                self._fall_back(f"writing {DEFAULT_WAV} instead", error)

    def __enter__(self) -> "Sinks":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.player is not None:
            self.player.close()
        if self.wav is not None:
            self.wav.close()

    def write(self, pcm: NDArray[np.float32]) -> None:
        """Hand on float32 [samples] or [samples, channels]; the card plays mono. Raises CannotWriteError."""
        if self.wav is not None:
            self.wav.write(pcm)
        if self.player is not None:
            try:
                self.player.write(mono(pcm))
            except NoSoundCardError as error:
                self._lose(self.player, error)

    def finish(self) -> None:
        """Wait until all is played. Raises CannotWriteError."""
        if self.player is None:
            return
        try:
            self.player.finish()
        except NoSoundCardError as error:
            if self.player.unplayed():
                self._lose(self.player, error)
            else:
                self._tell(f"voicestack: the end may not have been heard: {error}")

    def kept(self) -> str:
        """What there is of the speech when it is stopped now."""
        if self.wav is None or not self.wav.audio_s:
            return "no file was written"
        return f"{self.wav.path} holds {self.wav.audio_s:.2f} s"

    def _lose(self, player: Player, error: NoSoundCardError) -> None:
        self.player = None
        player.close()
        missing = player.unplayed() if self.wav is None else []
        self._fall_back(f"writing what was not played to {DEFAULT_WAV}", error)
        for pcm in missing:
            self.write(pcm)

    def _fall_back(self, remedy: str, error: NoSoundCardError) -> None:
        if self.wav is None:
            check_writable(DEFAULT_WAV)
            self.wav = WavFile(DEFAULT_WAV, self._rate, self._channels)
        else:
            remedy = f"writing only {self.wav.path}"
        self._tell(f"voicestack: cannot play, {remedy}: {error}")
