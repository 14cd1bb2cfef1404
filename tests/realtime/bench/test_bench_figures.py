"""Texts, arrivals, percentiles, stages, verdicts: what needs neither a voice nor time."""

import asyncio
import random
import struct
from collections.abc import Sequence

import numpy as np
import pytest

from voicestack.realtime.bench.capacity import Demand, judged, largest
from voicestack.realtime.bench.figures import QUANTILES, STAGES, stage_times, summary, waterfall
from voicestack.realtime.bench.http_sound import SoundParser
from voicestack.realtime.bench.load import arrivals
from voicestack.realtime.bench.record import Record
from voicestack.realtime.bench.texts import endless, fixture_replies, tokens, tokens_of_first_word
from voicestack.realtime.stages import Stages
from voicestack.runtime import InputError


def test_the_fixture_is_forty_replies_of_one_to_four_sentences() -> None:
    """They come with the package, and differ."""
    replies = fixture_replies()
    assert len(replies) == len(set(replies)) == 40
    for reply in replies:
        assert 1 <= sum(reply.count(mark) for mark in ".?!") <= 4


def test_tokens_are_the_text_again() -> None:
    """Up to five characters each, none reaching over a blank."""
    for reply in fixture_replies():
        pieces = tokens(reply)
        assert "".join(pieces) == reply
        assert all(len(piece.strip()) <= 5 and " " not in piece.strip() for piece in pieces)


@pytest.mark.parametrize(("text", "count"), [("Yes it is", 2), ("Absolutely fine", 3), ("Yes", 1), ("Right, so", 3)])
def test_a_word_is_complete_when_what_follows_is_seen(text: str, count: int) -> None:
    """Or when the text is over."""
    assert tokens_of_first_word(tokens(text)) == count


def test_every_reply_is_said_before_one_comes_again() -> None:
    """In an order that the seed decides."""
    replies = ("a", "b", "c")
    said = endless(replies, random.Random(1))
    assert sorted(next(said) for _ in replies) == sorted(replies)
    first = [next(endless(fixture_replies(), random.Random("7 1"))) for _ in range(2)]
    assert first[0] == first[1]


def test_arrivals_are_the_same_for_the_same_seed() -> None:
    """And as many as the rate says, all in time."""
    times = arrivals(5.0, 400.0, seed=3)
    assert times == arrivals(5.0, 400.0, seed=3) != arrivals(5.0, 400.0, seed=4)
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 400
    assert len(times) == pytest.approx(2000, rel=0.1)


def test_percentiles_are_milliseconds_of_what_is_there() -> None:
    """Missing values are left out; without any, each figure is None."""
    figures = summary([None, *(n / 1000 for n in range(101)), float("nan")])
    assert figures == {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}
    assert summary([]) == dict.fromkeys((*QUANTILES, "max"))


def stages() -> Stages:
    return Stages(
        opened_s=10.0,
        first_step_s=10.1,
        first_frame_s=10.3,
        first_chunk_s=10.7,
        codec_s=0.25,
        first_taken_s=10.8,
        audible_s=11.0,
    )


def test_stages_add_up_to_the_first_audible_sample() -> None:
    """As the listener has it, whose playback starts when the sound was handed over."""
    times = stage_times(stages())
    assert times is not None
    assert tuple(times) == tuple(STAGES)
    assert times == pytest.approx(
        {"queue": 0.1, "text": 0.2, "generate": 0.15, "codec": 0.25, "handover": 0.1, "silence": 0.3}
    )
    assert stage_times(Stages(opened_s=1.0)) is None


def test_a_waterfall_is_of_those_that_were_heard() -> None:
    """Replies without a first sound, and targets that tell nothing, are left out."""
    assert waterfall([Record(0), Record(1, stages=Stages())]) == {}
    assert waterfall([Record(0), Record(1, stages=stages())])["codec"]["p95"] == 250


@pytest.mark.parametrize("holds", [0, 1, 7, 8, 9, 23, 32, 40])
@pytest.mark.parametrize("first", [1, 8, 100])
def test_bisection_finds_the_largest_that_holds(holds: int, first: int) -> None:
    """Wherever it begins, without asking twice, and never beyond the limit."""
    asked: list[int] = []

    async def probe(count: int) -> bool:
        asked.append(count)
        return count <= holds

    assert asyncio.run(largest(probe, first, 32)) == min(holds, 32)
    assert len(asked) == len(set(asked))
    assert all(1 <= count <= 32 for count in asked)


def outcome(**changed: object) -> dict[str, object]:
    return {
        "ttfa_ms": {"p95": 200.0},
        "sessions_with_underrun": 0,
        "underrun_s": 0.0,
        "refused": {"count": 0},
        "replies": {"failed": 0},
        "depth_histogram": {"played": {"8": 90, "16": 10}},
        **changed,
    }


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({}, []),
        ({"sessions_with_underrun": 1}, []),
        ({"sessions_with_underrun": 2}, ["2 of 10 sessions ran dry"]),
        ({"ttfa_ms": {"p95": 251.0}}, ["p95 TTFA is over 250 ms"]),
        ({"ttfa_ms": {"p95": None}}, ["nothing was heard"]),
        ({"refused": {"count": 3}, "replies": {"failed": 1}}, ["3 refusals", "1 replies failed"]),
    ],
)
def test_a_probe_says_what_it_missed(changed: dict[str, object], why: Sequence[str]) -> None:
    """By the demand that was printed, one reason each."""
    probe = judged(outcome(**changed), 10, Demand(250.0, underrun_share=0.1))
    assert list(probe.why_not) == why
    assert probe.holds == (not why)
    assert ("does not hold" in str(probe)) == bool(why)
    assert probe.data()["holds"] == (not why)


def wav(samples: "np.ndarray[tuple[int], np.dtype[np.int16]]", rate: int, channels: int, bits: int = 16) -> bytes:
    fmt = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, channels, rate, rate * channels * 2, channels * 2, bits)
    extra = b"LIST" + struct.pack("<I", 3) + b"abc\0"
    return b"RIFF\xff\xff\xff\xffWAVE" + extra + fmt + b"data\xff\xff\xff\xff" + samples.tobytes()


@pytest.mark.parametrize("step", [1, 3, 7, 1000])
def test_sound_is_the_same_however_it_is_cut(step: int) -> None:
    """Raw samples, and a WAV file of any rate, in pieces that end anywhere."""
    samples = np.arange(-300, 300, dtype="<i2") * 100
    for data, rate, channels in ((samples.tobytes(), 24000, 1), (wav(samples, 8000, 2), 8000, 2)):
        parser = SoundParser()
        parts = [parser.feed(data[at : at + step]) for at in range(0, len(data), step)]
        expected = samples.reshape(-1, channels).mean(axis=1) / 32768
        np.testing.assert_allclose(np.concatenate(parts), expected, atol=1e-7)
        assert parser.sample_rate_hz == rate


def test_a_wav_of_another_kind_is_refused() -> None:
    """By its name, not as noise."""
    with pytest.raises(InputError, match="24 bits"):
        SoundParser().feed(wav(np.zeros(3, np.int16), 8000, 1, bits=24))
