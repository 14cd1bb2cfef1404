"""The sound card: the only file that knows sounddevice."""

import importlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import VoicestackError

Callback = Callable[[NDArray[np.float32], int, Any, Any], None]
_LEAD_LIMIT_S = 10.0
_POLL_S = 0.01
_BLOCK = 480


class NoSoundCardError(VoicestackError):
    """Nothing can be played here; the message says why."""


class Stream(Protocol):
    """What is used of sounddevice.OutputStream; all but `close` may raise NoSoundCardError."""

    @property
    def active(self) -> bool:
        """Whether its callback still comes."""
        ...

    def start(self) -> None:
        """Begin to ask for samples."""

    def stop(self) -> None:
        """Play what was asked for, then stop asking."""

    def close(self) -> None:
        """Give the device back, whatever state it is in."""


class _Queue:
    """Pieces to be played, and how far they are. `flush` puts another in its place, which needs no lock."""

    __slots__ = ("pieces", "played", "written")

    def __init__(self, played: int = 0) -> None:
        self.pieces: deque[NDArray[np.float32]] = deque()  # append and popleft are atomic
        self.written = self.played = played


class Player:
    """Plays mono float32 from a queue that the sound card's callback empties.

    The callback takes no lock, logs nothing and never waits: where a sample is missing it plays silence and counts. For
    a session, whose lead is bounded, `write` does not wait, so that it can be called on the event loop; `finish` waits.

    Attributes:
        underruns: how many times the queue ran dry while there was text to speak. Silence that begins excused stays so
            until there is speech again: text that has just come cannot be speech already.
        underrun_s: for how long in all.
    """

    def __init__(
        self,
        open_stream: Callable[[Callback], Stream],
        sample_rate_hz: int,
        *,
        is_excused: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Args: is_excused tells whether silence now is not the engine's fault, because no text is there."""
        self.underruns = 0
        self.underrun_s = 0.0
        self._rate = sample_rate_hz
        self._is_excused = is_excused
        self._sleep = sleep
        self._queue = _Queue()
        self._unheard = self._silent = 0
        self._is_dry = False
        self._is_forgiven = False
        self._is_ending = False
        self._is_started = False
        self._stream = open_stream(self._fill)

    @property
    def written_s(self) -> float:
        """Seconds written so far, without what was flushed: where in `played_s` the next piece begins."""
        return self._queue.written / self._rate

    @property
    def played_s(self) -> float:
        """Seconds that have come out of the loudspeaker, as far as the card tells how late it is."""
        return max(0, self._queue.played - self._unheard) / self._rate

    def write(self, pcm: NDArray[np.float32]) -> None:
        """Queue float32 [samples]; waits while more than ten seconds are queued. Raises NoSoundCardError."""
        self._queue.written += len(pcm)
        self._queue.pieces.append(np.asarray(pcm, np.float32))
        if not self._is_started:
            self._is_started = True
            self._stream.start()
        self._wait_until_queued_is(_LEAD_LIMIT_S)

    def flush(self) -> None:
        """Drop what the card has not taken yet, at a barge-in: it falls silent with the next block."""
        self._queue = _Queue(self._queue.played)
        # The silence that follows was asked for.
        self._is_dry = self._is_forgiven = True

    def finish(self) -> None:
        """Wait until all is played, then close the card. Raises NoSoundCardError."""
        self._is_ending = True
        if self._is_started:
            self._wait_until_queued_is(0.0)
            self._stream.stop()
        self.close()

    def close(self) -> None:
        """Fall silent at once."""
        self._stream.close()

    def unplayed(self) -> list[NDArray[np.float32]]:
        """What the card has not taken yet, once it is closed or has failed: pieces of float32 [samples]."""
        return list(self._queue.pieces)

    def _wait_until_queued_is(self, seconds: float) -> None:
        while True:
            # A card that was pulled out is not active any more, its callback never comes, and it may not say more.
            is_active = self._stream.active
            queued = self._queue.written - self._queue.played
            if queued and not is_active:
                raise NoSoundCardError("the sound card stopped asking for samples")
            if queued <= seconds * self._rate:
                return
            self._sleep(_POLL_S)

    def _fill(self, out: NDArray[np.float32], frames: int, timing: Any, _status: Any) -> None:
        queue, filled = self._queue, 0
        while filled < frames and queue.pieces:
            head = queue.pieces[0]
            count = min(frames - filled, len(head))
            out[filled : filled + count, 0] = head[:count]
            filled += count
            if count == len(head):
                queue.pieces.popleft()
            else:
                queue.pieces[0] = head[count:]
        queue.played += filled
        self._follow(frames, filled, timing)
        out[filled:, 0] = 0.0
        if filled == frames or self._is_ending:
            self._is_dry = False
            return
        is_excused = self._is_excused()
        if not self._is_dry:
            self._is_dry, self._is_forgiven = True, is_excused
            self.underruns += not is_excused
        if not (is_excused or self._is_forgiven):
            self.underrun_s += (frames - filled) / self._rate

    def _follow(self, frames: int, filled: int, timing: Any) -> None:
        """How many samples the card has been given and not played: its delay, less the silence behind the speech."""
        late_s = max(0.0, timing.outputBufferDacTime - timing.currentTime)
        self._silent = frames - filled if filled else self._silent + frames
        self._unheard = max(0, frames + round(late_s * self._rate) - self._silent)


class _AtRateOfCard:
    """Stands between the player and a card that has a rate of its own."""

    def __init__(self, fill: Callback, resample: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
        self._fill, self._resample = fill, resample
        self._ready = np.zeros(0, np.float32)

    def __call__(self, out: NDArray[np.float32], frames: int, timing: Any, status: Any) -> None:
        while len(self._ready) < frames:
            block = np.zeros((_BLOCK, 1), np.float32)
            self._fill(block, _BLOCK, timing, status)
            self._ready = np.concatenate([self._ready, self._resample(block[:, 0])])
        out[:, 0] = self._ready[:frames]
        self._ready = self._ready[frames:]


def open_player(sample_rate_hz: int, is_excused: Callable[[], bool]) -> Player:
    """A player on the default output device. Raises NoSoundCardError, naming the remedy."""
    try:
        # By name, because importing it costs a start-up that only players should pay, and it is an extra.
        sounddevice = importlib.import_module("sounddevice")
    except ModuleNotFoundError:
        raise NoSoundCardError("sounddevice is not installed (pip install sounddevice)") from None
    except OSError as error:
        raise NoSoundCardError(f"{error} (on Debian: apt install libportaudio2)") from error

    failure: type[Exception] = sounddevice.PortAudioError

    def at_rate(rate_hz: int, callback: Callback) -> Stream:
        stream = sounddevice.OutputStream(
            samplerate=rate_hz, channels=1, dtype="float32", latency="low", callback=callback
        )
        return _Card(stream, failure)

    def open_stream(callback: Callback) -> Stream:
        try:
            return at_rate(sample_rate_hz, callback)
        except (failure, ValueError) as error:
            rate_hz = _rate_of_card(sounddevice)
            if rate_hz in (None, sample_rate_hz):
                raise
            try:
                return at_rate(rate_hz, _AtRateOfCard(callback, _resampler(sample_rate_hz, rate_hz)))
            except (failure, ValueError):
                # What is wrong is told by the first attempt.
                raise error from None

    try:
        return Player(open_stream, sample_rate_hz, is_excused=is_excused)
    except (failure, ValueError) as error:
        raise NoSoundCardError(f"no sound card answers: {error}") from error


def _rate_of_card(sounddevice: Any) -> int | None:
    """Samples in a second that the default card likes best; None when there is no card."""
    try:
        return round(float(sounddevice.query_devices(None, "output")["default_samplerate"]))
    except (sounddevice.PortAudioError, ValueError):
        return None


def _resampler(from_hz: int, to_hz: int) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    try:
        # An extra, which only some cards need.
        from .serve.pcm import PcmFormat, PcmStream
    except ModuleNotFoundError:
        raise NoSoundCardError(
            f"the card plays at {to_hz} Hz only, for which soxr is missing (pip install soxr)"
        ) from None
    stream = PcmStream(from_hz, PcmFormat(to_hz, "pcm_f32le"))
    return lambda pcm: np.frombuffer(stream.feed(pcm), np.float32)


class _Card:
    """A sounddevice.OutputStream that tells its failures as NoSoundCardError."""

    def __init__(self, stream: Any, failure: type[Exception]) -> None:
        self._stream = stream
        self._failure = failure

    @property
    def active(self) -> bool:
        return bool(self._ask(lambda: self._stream.active))

    def start(self) -> None:
        self._ask(self._stream.start)

    def stop(self) -> None:
        self._ask(self._stream.stop)

    def close(self) -> None:
        self._stream.close()  # ignores errors of its own accord

    def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except self._failure as error:
            raise NoSoundCardError(f"the sound card failed: {error}") from error
