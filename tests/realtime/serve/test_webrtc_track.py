import asyncio

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.realtime.serve.opus_track import PACKET_S, RESYNC_S, CallPlayout, MediaClock
from voicestack.runtime import Chunk, WordTiming

RATE = 1000
PACKET = 20
"""Samples of a packet at RATE."""


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Bare:
    """An encoder whose packets are the samples themselves."""

    def __init__(self) -> None:
        self.fed = 0

    def feed(self, pcm: NDArray[np.float32]) -> list[bytes]:
        self.fed += 1
        return [pcm.tobytes()]


def chunk_of(samples: int, start_s: float = 0.0, words: tuple[WordTiming, ...] = (), value: float = 0.5) -> Chunk:
    return Chunk(np.full(samples, value, np.float32), start_s, words, depths=(8,))


def heard(playout: CallPlayout, packets: int = 1) -> NDArray[np.float32]:
    return np.concatenate([np.frombuffer(playout.packet(), np.float32) for _ in range(packets)])


def test_packets_are_due_every_twenty_milliseconds_of_real_time() -> None:
    """Whoever wakes late is told to wait less, so that a thousand late wakings do not add up."""
    clock = Clock()
    media = MediaClock(clock)
    for number in range(1000):
        told, wait_s = media.tick()
        assert told == number
        clock.now_s += wait_s + 0.004
    assert clock.now_s == pytest.approx(100.0 + 999 * PACKET_S + 0.004)
    assert (media.bursts, media.resyncs) == (0, 0)


def test_a_short_stall_is_made_good_by_a_burst() -> None:
    """What fell due meanwhile comes at once, and nothing is left out."""
    clock = Clock()
    media = MediaClock(clock)
    media.tick()
    clock.now_s += 0.3
    burst = [media.tick() for _ in range(15)]
    assert [number for number, _ in burst] == list(range(1, 16))
    assert all(wait_s == pytest.approx(0) for _, wait_s in burst)
    number, wait_s = media.tick()
    assert number == 16
    assert wait_s == pytest.approx(PACKET_S)
    assert (media.bursts, media.resyncs) == (1, 0)


def test_after_a_long_stall_the_clock_is_moved() -> None:
    """The listener hears the next packet now, numbered by the time that has passed, and no burst of a second."""
    clock = Clock()
    media = MediaClock(clock)
    media.tick()
    clock.now_s += 1.0
    assert media.tick() == (50, 0.0)
    number, wait_s = media.tick()
    assert number == 51
    assert wait_s == pytest.approx(PACKET_S)
    assert media.resyncs == 1


@given(stalls=st.lists(st.floats(0, 3), max_size=60))
def test_numbers_rise_and_never_lag_behind_real_time(stalls: list[float]) -> None:
    """Whatever the stalls, a packet is numbered once, and no more than RESYNC_S too late."""
    clock = Clock()
    media = MediaClock(clock)
    last = -1
    for stall_s in stalls:
        number, wait_s = media.tick()
        assert number > last
        last = number
        clock.now_s += wait_s
        assert -1e-6 <= clock.now_s - 100.0 - number * PACKET_S <= RESYNC_S + PACKET_S
        clock.now_s += stall_s


def test_an_idle_peer_is_sent_silence_that_costs_nothing() -> None:
    """Packets never stop coming, but after half a second of silence none are encoded any more."""
    encoder = Bare()
    playout = CallPlayout(encoder, RATE)
    assert not heard(playout, 500).any()
    assert encoder.fed < 30
    playout.put(0, chunk_of(100))
    assert heard(playout, 5).all()


def test_sound_is_sent_in_order_and_joined_without_a_gap() -> None:
    """Pieces that do not fill packets are joined; the last is filled up with silence."""
    playout = CallPlayout(Bare(), RATE)
    started: list[int] = []
    playout = CallPlayout(Bare(), RATE, on_started=started.append)
    pieces = [chunk_of(80, 0.0, value=0.1), chunk_of(13, 0.08, value=0.2), chunk_of(27, 0.093, value=0.3)]
    for piece in pieces:
        playout.put(4, piece)
    ends: list[float] = []
    playout.mark(lambda: ends.append(playout.position.played_s), ends=4)
    sent = heard(playout, 6)
    np.testing.assert_array_equal(sent[:120], np.concatenate([piece.pcm for piece in pieces]))
    assert started == [4]
    assert ends == [pytest.approx(0.12)]
    assert not playout.playing
    assert playout.underruns == 0


@given(sizes=st.lists(st.integers(1, 200), min_size=1, max_size=20), early=st.integers(0, 60))
def test_every_sample_is_sent_once(sizes: list[int], early: int) -> None:
    """Whatever the pieces, what is sent is what was put, and the position is what was sent."""
    playout = CallPlayout(Bare(), RATE)
    pcm = np.arange(1, sum(sizes) + 1, dtype=np.float32)
    at = 0
    for size in sizes:
        playout.put(0, Chunk(pcm[at : at + size], at / RATE, ()))
        at += size
    playout.mark(lambda: None, ends=0)
    packets = -(-len(pcm) // PACKET)
    sent = np.concatenate([heard(playout, packets), heard(playout, early + 1)])
    np.testing.assert_array_equal(sent[: len(pcm)], pcm)
    assert not sent[len(pcm) :].any()
    assert playout.position.played_s == pytest.approx(len(pcm) / RATE)


def test_a_missing_sample_is_silence_that_is_counted() -> None:
    """An utterance that goes on but has no sound is an underrun, once, for as long as it lasts."""
    playout = CallPlayout(Bare(), RATE)
    playout.put(0, chunk_of(110))
    sent = heard(playout, 8)
    assert sent[:110].all()
    assert not sent[110:].any()
    assert playout.underruns == 1
    assert playout.underrun_s == pytest.approx(0.05)
    playout.put(0, chunk_of(40, 0.11))
    assert heard(playout, 2).all()
    heard(playout)
    assert playout.underruns == 2


def test_silence_is_excused_while_text_is_missing_and_until_there_is_speech_again() -> None:
    """Text that has just come cannot be speech already."""
    missing = True
    playout = CallPlayout(Bare(), RATE, is_excused=lambda: missing)
    playout.put(0, chunk_of(120))
    heard(playout, 8)
    missing = False
    heard(playout, 3)
    playout.put(0, chunk_of(80, 0.12))
    heard(playout, 4)
    assert playout.underruns == 0
    heard(playout)
    assert playout.underruns == 1


def test_a_very_short_first_piece_waits_for_the_next_but_not_for_long() -> None:
    """An utterance begins without a gap behind its first syllable where that costs no more than three packets."""
    playout = CallPlayout(Bare(), RATE)
    playout.put(0, chunk_of(27))
    assert not heard(playout).any()
    playout.put(0, chunk_of(80, 0.027))
    assert heard(playout).all()
    playout = CallPlayout(Bare(), RATE)
    playout.put(0, chunk_of(27))
    assert not heard(playout, 3).any()
    assert heard(playout).all()
    playout = CallPlayout(Bare(), RATE)
    playout.put(0, chunk_of(27))
    playout.mark(lambda: None, ends=0)
    assert heard(playout).all()


def test_an_interruption_is_silence_with_the_next_packet() -> None:
    """But for a fade of a few milliseconds nothing of what waited is sent, and what was heard is told."""
    words = (WordTiming("one", 0.0), WordTiming("two", 0.05), WordTiming("three", 0.2))
    playout = CallPlayout(Bare(), RATE)
    playout.put(0, chunk_of(1000, words=words))
    ends: list[int] = []
    playout.mark(lambda: ends.append(0), ends=0)
    heard(playout, 5)
    position = playout.clear()
    assert position.played_s == pytest.approx(0.1)
    assert [word.text for word in position.words] == ["one", "two"]
    fade = heard(playout)
    assert fade[:5].any()
    assert not fade[5:].any()
    assert not heard(playout, 100).any()
    assert (ends, playout.underruns) == ([], 0)
    playout.put(1, chunk_of(100, value=0.7))
    np.testing.assert_array_equal(heard(playout, 5), np.full(100, 0.7, np.float32))
    assert playout.position.utterance == 1


def test_a_soft_interruption_finishes_the_word() -> None:
    """What lies behind the word that sounds, and all later utterances, are forgotten."""
    words = (WordTiming("one", 0.0), WordTiming("two", 0.15))
    playout = CallPlayout(Bare(), RATE)
    assert playout.word_end_s() is None
    playout.put(0, chunk_of(100, words=words[:1]))
    playout.put(0, chunk_of(300, 0.1, words[1:]))
    playout.put(1, chunk_of(400))
    heard(playout, 2)
    assert playout.word_end_s() == pytest.approx(0.15)
    playout.cut(playout.word_end_s())
    ends: list[float] = []
    playout.mark(lambda: ends.append(playout.position.played_s), ends=0)
    sent = heard(playout, 20)
    assert sent[:105].all()
    assert not sent[111:].any()
    assert ends == [pytest.approx(0.15)]


def test_who_is_far_ahead_waits_for_room() -> None:
    """More than two seconds do not wait to be sent."""

    async def body() -> None:
        playout = CallPlayout(Bare(), RATE)
        await playout.room()
        playout.put(0, chunk_of(2010))
        waiting = asyncio.create_task(playout.room())
        await asyncio.sleep(0)
        assert not waiting.done()
        heard(playout)
        await waiting

    asyncio.run(body())
