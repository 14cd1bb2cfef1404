"""The player, driven by hand in place of a sound card."""

import importlib
from collections.abc import Callable

import numpy as np
import pytest
from desk_fakes import RATE_HZ, hum

from voicestack.realtime.player import Callback, NoSoundCardError, Player, open_player

BLOCK = 480


class FakeStream:
    """A sound card that asks for a block when `pull` is called."""

    def __init__(self, callback: Callback) -> None:
        self.callback = callback
        self.active = False
        self.closed = False

    def start(self) -> None:
        self.active = True

    def stop(self) -> None:
        self.active = False

    def close(self) -> None:
        self.active = False
        self.closed = True

    def pull(self) -> np.ndarray:
        out = np.full((BLOCK, 1), np.nan, np.float32)
        self.callback(out, BLOCK, None, None)
        return out[:, 0]


class Bench:
    """A player on a fake card that plays a block whenever the player waits."""

    def __init__(self, is_excused: Callable[[], bool] = lambda: False) -> None:
        self.heard: list[np.ndarray] = []
        self.card: FakeStream
        self.player = Player(self._open, RATE_HZ, is_excused=is_excused, sleep=lambda _: self.play())

    def _open(self, callback: Callback) -> FakeStream:
        self.card = FakeStream(callback)
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


def test_the_queue_is_bounded() -> None:
    """Writing a minute at once waits until at most ten seconds are left to play."""
    bench = Bench()
    bench.player.write(hum(60 * RATE_HZ))
    assert len(bench.heard) * BLOCK == pytest.approx(50 * RATE_HZ, abs=BLOCK)


def test_a_card_that_was_pulled_out_does_not_block() -> None:
    """When the stream is not active any more, finishing returns."""
    bench = Bench()
    bench.player.write(hum(BLOCK))
    bench.card.active = False
    bench.player.finish()
    assert bench.card.closed


def test_a_missing_library_is_told_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without sounddevice the message says how to get it; without PortAudio it says that."""

    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(NoSoundCardError, match=r"pip install 'voicestack\[soundcard\]'"):
        open_player(RATE_HZ, lambda: False)

    def broken(name: str) -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(NoSoundCardError, match="libportaudio2"):
        open_player(RATE_HZ, lambda: False)
