"""The player, driven by hand in place of a sound card."""

import importlib
from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import pytest
from desk_fakes import BLOCK, RATE_HZ, FakeCard, hum

from voicestack.realtime.player import Callback, NoSoundCardError, Player, open_player


class Bench:
    """A player on a fake card that plays a block whenever the player waits."""

    def __init__(self, is_excused: Callable[[], bool] = lambda: False) -> None:
        self.heard: list[np.ndarray] = []
        self.card: FakeCard
        self.player = Player(self._open, RATE_HZ, is_excused=is_excused, sleep=lambda _: self.play())

    def _open(self, callback: Callback) -> FakeCard:
        self.card = FakeCard(callback)
        return self.card

    def play(self, blocks: int = 1) -> None:
        self.heard += [self.card.pull() for _ in range(blocks)]


def test_everything_written_is_played_in_order() -> None:
    """Chunks of any size come out as one signal, then silence."""
    bench = Bench()
    signal = hum(5000)
    for piece in np.split(signal, [100, 2020]):
        bench.player.write(piece)
    bench.player.finish()
    heard = np.concatenate(bench.heard)
    np.testing.assert_array_equal(heard[: len(signal)], signal)
    assert not heard[len(signal) :].any()
    assert bench.player.underruns == 0
    assert bench.card.closed


def test_the_card_starts_with_the_first_chunk() -> None:
    """No silence is played, and none counted, before there is speech."""
    bench = Bench()
    assert not bench.card.active
    bench.player.write(hum(BLOCK))
    assert bench.card.active


def test_running_dry_is_counted_once_with_its_length() -> None:
    """Two and a half blocks without samples are one underrun of 50 ms; the next speech ends it."""
    bench = Bench()
    bench.player.write(hum(BLOCK + BLOCK // 2))
    bench.play(4)
    assert bench.player.underruns == 1
    assert bench.player.underrun_s == pytest.approx(2.5 * BLOCK / RATE_HZ)
    bench.player.write(hum(BLOCK))
    bench.play(2)
    assert bench.player.underruns == 2


def test_silence_while_the_writer_pauses_is_no_underrun() -> None:
    """An excused gap is silence, not a failure."""
    bench = Bench(is_excused=lambda: True)
    bench.player.write(hum(BLOCK))
    bench.play(3)
    assert bench.player.underruns == 0


def test_silence_that_began_excused_stays_excused_until_there_is_speech() -> None:
    """Text that has just come needs a moment to become speech; the next time the queue runs dry counts again."""
    excuses = iter([True, False, False, False])
    bench = Bench(is_excused=lambda: next(excuses))
    bench.player.write(hum(BLOCK))
    bench.play(4)
    assert (bench.player.underruns, bench.player.underrun_s) == (0, 0)
    bench.player.write(hum(BLOCK))
    bench.play(2)
    assert bench.player.underruns == 1


def test_an_excuse_that_comes_later_only_stops_the_clock() -> None:
    """Silence that began with text to speak is one underrun, without the blocks for which text was awaited."""
    excuses = iter([False, True, False])
    bench = Bench(is_excused=lambda: next(excuses))
    bench.player.write(hum(BLOCK))
    bench.play(4)
    assert bench.player.underruns == 1
    assert bench.player.underrun_s == pytest.approx(2 * BLOCK / RATE_HZ)


def test_the_queue_is_bounded() -> None:
    """Writing a minute at once waits until at most ten seconds are left to play."""
    bench = Bench()
    bench.player.write(hum(60 * RATE_HZ))
    assert len(bench.heard) * BLOCK == pytest.approx(50 * RATE_HZ, abs=BLOCK)


def test_a_card_that_was_pulled_out_does_not_block() -> None:
    """When the stream is not active any more, or does not stop, finishing says so and keeps what was not played."""
    bench = Bench()
    bench.player.write(hum(BLOCK))
    bench.card.active = False
    with pytest.raises(NoSoundCardError, match="stopped asking"):
        bench.player.finish()
    assert [len(piece) for piece in bench.player.unplayed()] == [BLOCK]

    bench = Bench()
    bench.card.broken = ("stop",)
    bench.player.write(hum(BLOCK))
    with pytest.raises(NoSoundCardError, match="does not stop"):
        bench.player.finish()
    assert bench.player.unplayed() == []


def test_what_was_played_of_a_chunk_is_not_unplayed() -> None:
    """Of three blocks the card took one."""
    bench = Bench()
    bench.player.write(hum(3 * BLOCK))
    bench.play()
    np.testing.assert_array_equal(np.concatenate(bench.player.unplayed()), hum(3 * BLOCK)[BLOCK:])


def test_a_barge_in_silences_the_card_with_its_next_block() -> None:
    """What was not taken is dropped, the silence is no underrun, and what is written next is played at once."""
    bench = Bench()
    bench.player.write(hum(5 * BLOCK))
    bench.play(2)
    bench.player.flush()
    bench.play(2)
    bench.player.write(hum(BLOCK, 0.25))
    bench.play()
    expected = [hum(2 * BLOCK), np.zeros(2 * BLOCK, np.float32), hum(BLOCK, 0.25)]
    np.testing.assert_array_equal(np.concatenate(bench.heard), np.concatenate(expected))
    assert bench.player.underruns == 0
    assert bench.player.written_s == pytest.approx(3 * BLOCK / RATE_HZ)


def test_what_was_heard_is_what_the_card_has_let_out() -> None:
    """It plays two blocks late: those it was given last count as heard when as much silence has followed."""
    bench = Bench()
    bench.card.late_s = 2 * BLOCK / RATE_HZ
    bench.player.write(hum(4 * BLOCK))
    heard = []
    for _ in range(8):
        bench.play()
        heard.append(round(bench.player.played_s * RATE_HZ / BLOCK))
    assert heard == [0, 0, 0, 1, 2, 3, 4, 4]
    assert bench.player.written_s == pytest.approx(4 * BLOCK / RATE_HZ)


class RefusalError(Exception):
    pass


class OneRateLibrary:
    """sounddevice on a card that plays at one rate only, and may say that it likes another."""

    PortAudioError = RefusalError

    def __init__(self, rate_hz: int, says_hz: int | None = None) -> None:
        self.rate_hz, self.says_hz = rate_hz, says_hz or rate_hz
        self.callback: Callback

    def query_devices(self, device: None, kind: str) -> dict[str, float]:
        return {"default_samplerate": float(self.says_hz)}

    def OutputStream(self, *, samplerate: int, callback: Callback, **_: object) -> SimpleNamespace:  # noqa: N802
        if samplerate != self.rate_hz:
            raise RefusalError("Invalid sample rate")
        self.callback = callback
        return SimpleNamespace(active=True, start=lambda: None, stop=lambda: None, close=lambda: None)


def test_a_card_that_refuses_the_rate_is_played_at_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same sound, in twice as many samples."""
    pytest.importorskip("soxr")
    library = OneRateLibrary(2 * RATE_HZ)
    monkeypatch.setattr(importlib, "import_module", lambda _: library)
    player = open_player(RATE_HZ, lambda: True)
    player.write(hum(4 * BLOCK))
    out = np.zeros((300, 1), np.float32)
    heard = []
    for _ in range(12):
        library.callback(out, 300, SimpleNamespace(currentTime=0.0, outputBufferDacTime=0.0), None)
        heard.append(out[:, 0].copy())
    sound = np.concatenate(heard)[::2]
    np.testing.assert_allclose(sound[10:1700], hum(4 * BLOCK)[10:1700], atol=0.03)


def test_a_card_that_plays_nothing_we_can_make_is_told_by_its_first_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate of the voice is what was asked for."""
    pytest.importorskip("soxr")
    library = OneRateLibrary(44_100, says_hz=16_000)
    monkeypatch.setattr(importlib, "import_module", lambda _: library)
    with pytest.raises(NoSoundCardError, match="no sound card answers: Invalid sample rate"):
        open_player(RATE_HZ, lambda: False)


@pytest.mark.parametrize("call", ["start", "stop", "active"])
def test_every_failure_of_the_library_is_a_missing_sound_card(call: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that is busy at the start or gone later is no traceback, and it can still be closed."""

    class PortAudioError(Exception):
        pass

    class OutputStream:
        def __init__(self, **_: object) -> None:
            pass

        @property
        def active(self) -> bool:
            return self._works("active")

        def start(self) -> None:
            self._works("start")

        def stop(self) -> None:
            self._works("stop")

        def close(self) -> None:
            pass

        def _works(self, name: str) -> bool:
            if name == call:
                raise PortAudioError("Device unavailable")
            return True

    library = SimpleNamespace(OutputStream=OutputStream, PortAudioError=PortAudioError)
    monkeypatch.setattr(importlib, "import_module", lambda _: library)
    player = open_player(RATE_HZ, lambda: False)

    def play() -> None:
        player.write(hum(0))
        player.finish()

    with pytest.raises(NoSoundCardError, match="the sound card failed: Device unavailable"):
        play()
    player.close()


def test_a_missing_library_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sounddevice the message says how to get it; without PortAudio it says that."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(NoSoundCardError, match="pip install sounddevice"):
        open_player(RATE_HZ, lambda: False)

    def broken(name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(NoSoundCardError, match="libportaudio2"):
        open_player(RATE_HZ, lambda: False)
