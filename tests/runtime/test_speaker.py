import math
import re
import sys
from collections.abc import Iterable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicestack.runtime import Bundle, Chunk, Event, InputError, SamplingParams, Speaker
from voicestack.runtime.text import numbers

TEXT = "Hello there world. The cat sat on the mat, yes! Good morning"
SEED = SamplingParams(seed=3)
RATE = 24_000
FRAME = 1920


@pytest.fixture(scope="module")
def speaker(tiny: Bundle) -> Speaker:
    return Speaker(tiny)


def spoken(chunks: Iterable[Chunk]) -> tuple[np.ndarray, list[tuple[str, float]]]:
    """All samples, and all words with their times."""
    whole = list(chunks)
    return np.concatenate([chunk.pcm for chunk in whole]), [
        (word.text, word.start_s) for chunk in whole for word in chunk.words
    ]


def test_chunks_follow_each_other(speaker: Speaker) -> None:
    """Every chunk begins where the one before ended, and the whole is made of whole frames."""
    samples = 0
    for chunk in speaker.speak(TEXT, sampling=SEED, depth=8):
        assert chunk.pcm.dtype == np.float32
        assert chunk.start_s == pytest.approx(samples / RATE)
        samples += len(chunk.pcm)
    assert samples
    assert samples % FRAME == 0


def test_the_first_chunks_are_small(speaker: Speaker) -> None:
    """One frame first (less the decoder's delay), then one, two and four."""
    chunks = speaker.speak("The cat sat on the mat " * 3, sampling=SEED, depth=8)
    sizes = [len(next(chunks).pcm) for _ in range(4)]
    assert sizes == [FRAME - 720, FRAME, 2 * FRAME, 4 * FRAME]


def test_every_word_is_told_once_in_the_chunk_it_begins_in(speaker: Speaker) -> None:
    """The words come in order, each with a time inside the chunk that tells it, spelled as in the text."""
    told: list[str] = []
    for chunk in speaker.speak(TEXT, sampling=SEED, depth=8):
        end_s = chunk.start_s + len(chunk.pcm) / RATE
        told += [word.text for word in chunk.words]
        if chunk.event is Event.SPOKEN:
            assert all(chunk.start_s - 0.03 <= word.start_s < end_s for word in chunk.words)
    assert told == "Hello there world The cat sat on the mat yes Good morning".split()


def test_each_sentence_ends_once(speaker: Speaker) -> None:
    """Three sentences give three endings, the last of them with the last chunk."""
    events = [chunk.event for chunk in speaker.speak(TEXT, sampling=SEED, depth=8)]
    assert events.count(Event.ENDED) + events.count(Event.CAPPED) == 3
    assert events[-1] in (Event.ENDED, Event.CAPPED)


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_text_may_arrive_in_any_pieces(speaker: Speaker, cuts: list[int]) -> None:
    """However the text is cut, the samples and words are those of the text as a whole."""
    edges = [0, *sorted(cuts), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    pcm, words = spoken(speaker.speak(iter(pieces), sampling=SEED, depth=8))
    whole_pcm, whole_words = spoken(speaker.speak(TEXT, sampling=SEED, depth=8))
    np.testing.assert_allclose(pcm, whole_pcm, atol=1e-4)
    assert words == whole_words


def test_speech_begins_while_the_text_is_being_written(speaker: Speaker) -> None:
    """Text is read only when there is nothing to say without it, and all there is to say is said before."""
    read: list[str] = []

    def writer() -> Iterator[str]:
        for piece in ("Hello there ", "world the cat ", "sat."):
            read.append(piece)
            yield piece

    chunks = speaker.speak(writer(), sampling=SEED, depth=8)
    assert read == []
    pieces_read = [len(read) for _ in chunks]
    assert pieces_read[0] == 1
    assert set(pieces_read) == {1, 2, 3}


def test_the_same_seed_says_the_same(speaker: Speaker) -> None:
    """A seed fixes the sound; another seed, or none, gives another."""
    first, again, other = (
        spoken(speaker.speak(TEXT, sampling=SamplingParams(seed=seed), depth=8))[0] for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_two_utterances_may_be_spoken_in_turns(speaker: Speaker) -> None:
    """Two iterators of one speaker do not disturb each other."""
    alone = spoken(speaker.speak(TEXT, sampling=SEED, depth=8))[0]
    pair = [speaker.speak(TEXT, sampling=SEED, depth=8) for _ in range(2)]
    chunks = [[chunk.pcm for chunk in both] for both in zip(*pair, strict=True)]
    for one in zip(*chunks, strict=True):
        np.testing.assert_array_equal(np.concatenate(one), alone)


def test_an_abandoned_utterance_frees_its_slot(speaker: Speaker) -> None:
    """Closing the iterator early leaves room for as many others as before."""
    for _ in range(20):
        chunks = speaker.speak(TEXT, sampling=SEED, depth=8)
        next(chunks)
        chunks.close()  # type: ignore[attr-defined]  # it is a generator


@pytest.mark.parametrize("text", ["", "   \n", "😀🎉", "\x00\x07\x1b", "...", "-- *** --"])
def test_text_without_a_word_is_refused_at_once(speaker: Speaker, text: str) -> None:
    """A string that holds nothing to speak is an InputError before anything is made."""
    with pytest.raises(InputError, match="nothing that can be spoken"):
        speaker.speak(text)


def test_pieces_without_a_word_are_refused_when_they_have_ended(speaker: Speaker) -> None:
    """A text that was waited for in vain is the same error, with the first chunk."""
    chunks = speaker.speak(iter(["", "😀", " "]))
    with pytest.raises(InputError, match="nothing that can be spoken"):
        next(chunks)


@pytest.mark.parametrize("text", [b"bytes", [b"bytes"], [1]])
def test_text_that_is_no_string_is_refused(speaker: Speaker, text: Iterable[str]) -> None:
    """Anything but strings is an InputError that names the type."""
    with pytest.raises(InputError, match="string"):
        next(speaker.speak(text))


@pytest.mark.parametrize("text", [None, 3])
def test_what_gives_no_strings_is_refused_at_once(speaker: Speaker, text: str) -> None:
    """A text that is neither a string nor anything to iterate over is an InputError that names its type."""
    with pytest.raises(InputError, match=f"text must be a string or give strings, got {type(text).__name__}"):
        speaker.speak(text)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf, -1.0, 0.0, 1e9, 0.01, 10**400, "3", True])
def test_a_length_that_cannot_be_is_refused_at_once(speaker: Speaker, seconds: float) -> None:
    """A length that is no positive number, or none for this text, is an InputError that names it."""
    with pytest.raises(InputError, match="seconds"):
        speaker.speak("Hello", seconds=seconds)


@pytest.mark.parametrize("text", ["A", "Hello there.", "The cat sat on the mat. Yes.", "the cat sat on the mat " * 30])
def test_a_length_must_be_one_the_voice_has_heard(speaker: Speaker, text: str) -> None:
    """A length far from what the text takes is refused with the range that would do, and all of that range does."""
    with pytest.raises(InputError) as caught:
        speaker.speak(text, seconds=0.001)
    found = re.fullmatch(r"seconds must be from (\S+) to (\S+) for this text, got 0.001", str(caught.value))
    assert found
    low, high = float(found[1]), float(found[2])
    assert high > 3.9 * low
    for seconds in (low, (low + high) / 2, high):
        speaker.speak(text, seconds=seconds)
    for seconds in (low - 0.01, high + 0.01):
        with pytest.raises(InputError, match="seconds must be from"):
            speaker.speak(text, seconds=seconds)


@pytest.mark.parametrize("depth", [0, 1, 12, 33, -8])
def test_a_depth_the_voice_has_not_is_refused_at_once(speaker: Speaker, depth: int) -> None:
    """Only depths with a head of their own can be spoken."""
    with pytest.raises(InputError, match="depth must be one of 8, 16, 32"):
        speaker.speak("Hello", depth=depth)


def test_sampling_of_another_type_is_refused_at_once(speaker: Speaker) -> None:
    """What is no SamplingParams is named in the call, not with the first chunk."""
    with pytest.raises(InputError, match="sampling must be SamplingParams or None, got 5"):
        speaker.speak("Hello", sampling=5)  # type: ignore[arg-type]


def test_every_word_has_a_time_within_what_was_heard(speaker: Speaker) -> None:
    """However often the voice is cut off, each word is told once and its time lies in the sound given out so far."""
    for seed in range(6):
        told: list[str] = []
        for chunk in speaker.speak(TEXT, sampling=SamplingParams(seed=seed), depth=8):
            end_s = chunk.start_s + len(chunk.pcm) / RATE
            told += [word.text for word in chunk.words]
            assert all(word.start_s < end_s for word in chunk.words)
        assert told == "Hello there world The cat sat on the mat yes Good morning".split()


def test_a_step_that_cannot_be_made_is_told(tiny: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """What breaks off a step reaches who asked for the chunk, and the slot is free again."""
    speaker = Speaker(tiny)
    chunks = speaker.speak(TEXT, sampling=SEED, depth=8)
    next(chunks)
    broken = RuntimeError("no memory")

    def breaking(binding: object) -> None:
        raise broken

    monkeypatch.setattr(tiny.head(8), "run", breaking)
    with pytest.raises(RuntimeError) as caught:
        next(chunks)
    assert caught.value is broken
    assert speaker._engine.streams == ()  # pyright: ignore[reportPrivateUsage]


def test_preparing_leaves_nothing_behind(tiny: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A prepared speaker has its head and the names of numbers loaded, no stream, and says what any other says."""
    expected = spoken(Speaker(tiny).speak(TEXT, sampling=SEED, depth=8))
    prepared = Speaker(tiny)
    monkeypatch.delitem(sys.modules, "num2words", raising=False)
    numbers._num2words.cache_clear()  # pyright: ignore[reportPrivateUsage]
    prepared.prepare(8)
    assert "num2words" in sys.modules
    engine = prepared._engine  # pyright: ignore[reportPrivateUsage]
    assert engine.streams == ()
    assert sorted(engine._head._heads) == [8, 32]  # pyright: ignore[reportPrivateUsage]
    pcm, words = spoken(prepared.speak(TEXT, sampling=SEED, depth=8))
    np.testing.assert_array_equal(pcm, expected[0])
    assert words == expected[1]


def test_preparing_knows_the_depths_of_the_voice(speaker: Speaker) -> None:
    """A depth without a head cannot be prepared; without one it is the voice's own."""
    with pytest.raises(InputError, match="depth must be one of 8, 16, 32"):
        speaker.prepare(7)
    speaker.prepare()


def test_a_hundred_kilobytes_begin_at_once_and_end(speaker: Speaker) -> None:
    """A very long text without a full stop begins with the first words, and is cut into sentences of bounded length."""
    chunks = speaker.speak("the cat sat on the mat " * 4500, sampling=SEED, depth=8)
    assert [word.text for word in next(chunks).words][:1] == ["the"]
    events = [chunk.event for chunk, _ in zip(chunks, range(100), strict=False)]
    assert Event.ENDED in events or Event.CAPPED in events
