"""Pauses that a text asks for: how long they are heard, what stands around them, and the times of the words behind."""

from collections.abc import Iterable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime import (
    Advance,
    Bundle,
    Chunk,
    Ensemble,
    Event,
    InputError,
    SamplingParams,
    Speaker,
    StreamSpec,
    WordTiming,
    default_voice_path,
)
from voicestack.runtime.lead_in import AUDIBLE

RATE, FRAME, PRE_ROLL = 24_000, 1920, 241
SEED = SamplingParams(seed=3)
TEXT = "[pause 300ms] Hello there [pause 0.5s] world.[pause 1s][pause 10ms] Good morning [PAUSE .25s]"
PAUSES_S = (0.3, 0.5, 1.01, 0.25)


@pytest.fixture(scope="module")
def speaker(tiny: Bundle) -> Speaker:
    return Speaker(tiny)


def pcm_of(chunks: Iterable[Chunk]) -> NDArray[np.float32]:
    return np.concatenate([chunk.pcm for chunk in chunks])


def words_of(chunks: Iterable[Chunk]) -> list[WordTiming]:
    return [word for chunk in chunks for word in chunk.words]


def gaps(pcm: NDArray[np.float32]) -> list[int]:
    """The lengths of all silences that are longer than 100 ms, in samples."""
    loud: list[int] = np.flatnonzero(np.abs(pcm) > AUDIBLE).tolist()
    edges = [0, *loud, len(pcm)]
    return [end - begin for begin, end in zip(edges, edges[1:], strict=False) if end - begin > RATE / 10]


def is_silence(chunk: Chunk) -> bool:
    """Whether it is a piece of a pause; the last of a sentence may be without frames, too."""
    return chunk.event is Event.SPOKEN and not chunk.depths


def test_the_silence_is_as_long_as_was_asked_for(speaker: Speaker) -> None:
    """To the 10 ms that are kept of the silence before a sentence; pauses in a row add up."""
    heard = gaps(pcm_of(speaker.speak(TEXT, sampling=SEED, depth=8)))
    assert len(heard) == len(PAUSES_S)
    assert all(0 <= gap - round(pause_s * RATE) <= PRE_ROLL for gap, pause_s in zip(heard, PAUSES_S, strict=True))


def test_sentences_sound_as_they_do_without_the_pause_and_words_are_told_so_much_later(speaker: Speaker) -> None:
    """A pause is added between sentences and changes nothing else."""
    plain = list(speaker.speak("Hello there. Good morning.", sampling=SEED, depth=8))
    paused = list(speaker.speak("Hello there. [pause 2s] Good morning.", sampling=SEED, depth=8))
    silence = [chunk for chunk in paused if is_silence(chunk)]
    at, count = round(silence[0].start_s * RATE), len(pcm_of(silence))
    assert 1.9 * RATE < count <= 2 * RATE
    pcm, expected = pcm_of(paused), pcm_of(plain)
    np.testing.assert_array_equal(np.delete(pcm, slice(at, at + count)), expected)
    begins_s = [word.start_s + count / RATE * (word.start_s >= at / RATE - 0.03) for word in words_of(plain)]
    assert [word.text for word in words_of(paused)] == ["Hello", "there", "Good", "morning"]
    assert [word.start_s for word in words_of(paused)] == pytest.approx(begins_s)


def test_chunks_of_silence_follow_the_others_and_have_no_codes(speaker: Speaker) -> None:
    """They begin where the one before ended, are four frames long at most, and no frames were made for them."""
    samples = 0
    for chunk in speaker.speak(TEXT, sampling=SEED, depth=8):
        assert chunk.start_s == pytest.approx(samples / RATE)
        samples += len(chunk.pcm)
        assert chunk.codes is not None
        assert len(chunk.codes) == len(chunk.depths)
        if is_silence(chunk):
            assert not chunk.pcm.any()
            assert len(chunk.pcm) <= 4 * FRAME


@settings(max_examples=15)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_text_may_arrive_in_any_pieces(speaker: Speaker, cuts: list[int]) -> None:
    """However the text is cut, inside of a tag, too, the samples and words are those of the text as a whole."""
    edges = [0, *sorted(cuts), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    chunks = list(speaker.speak(iter(pieces), sampling=SEED, depth=8))
    whole = list(speaker.speak(TEXT, sampling=SEED, depth=8))
    np.testing.assert_allclose(pcm_of(chunks), pcm_of(whole), atol=1e-4)
    assert words_of(chunks) == words_of(whole)


def test_the_silence_is_there_before_the_words_behind_it(speaker: Speaker) -> None:
    """Whoever still writes need not have written them."""
    read: list[str] = []

    def writer() -> Iterable[str]:
        for piece in ("[pause 1s] ", "Hello."):
            read.append(piece)
            yield piece

    assert not next(iter(speaker.speak(writer(), sampling=SEED, depth=8))).pcm.any()
    assert read == ["[pause 1s] "]


def test_a_text_of_nothing_but_a_pause_is_silence(speaker: Speaker) -> None:
    """It says how long to be silent, which can be done; a length besides cannot."""
    chunks = list(speaker.speak("[pause 0.5s]"))
    assert len(pcm_of(chunks)) == RATE // 2
    assert not pcm_of(chunks).any()
    with pytest.raises(InputError, match="nothing but pauses"):
        speaker.speak("[pause 0.5s]", seconds=1)


def test_pauses_are_a_part_of_the_length_that_is_asked_for(speaker: Speaker) -> None:
    """The range that can be asked for moves with them."""
    text = "The cat sat on the mat.{} The cat sat."
    speaker.speak(text.format("[pause 5s]"), seconds=8)
    for asked, pause in ((8, ""), (3, "[pause 5s]")):
        with pytest.raises(InputError, match="seconds must be from"):
            speaker.speak(text.format(pause), seconds=asked)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(1, 5))
@settings(max_examples=10)
def test_an_ensemble_pauses_as_a_speaker_does(tiny: Bundle, cuts: list[int], chunk_frames: int) -> None:
    """In pieces of no more frames than are wanted, however text comes, with the same words at the same times."""
    ensemble = Ensemble(tiny, slots=1)
    utterance = ensemble.begin(StreamSpec(SEED, 8))
    chunks: list[Chunk] = []
    rest = TEXT
    for turn in range(3000):
        if turn < len(cuts):
            utterance.push(rest[: cuts[turn]])
            rest = rest[cuts[turn] :]
        elif turn == len(cuts):
            utterance.push(rest)
            utterance.finish()
        (advanced,) = ensemble.step([(utterance, chunk_frames)])
        if advanced.chunk is not None:
            chunks.append(advanced.chunk)
            assert advanced.chunk.depths or len(advanced.chunk.pcm) <= chunk_frames * FRAME
        if advanced.advance is Advance.DONE:
            break
    alone = list(Speaker(tiny).speak(TEXT, sampling=SEED, depth=8))
    np.testing.assert_allclose(pcm_of(chunks), pcm_of(alone), atol=2e-5)
    assert words_of(chunks) == words_of(alone)


def test_an_utterance_that_is_given_up_in_a_pause_says_no_more(tiny: Bundle) -> None:
    """Its silence goes with it, and it holds no slot meanwhile."""
    ensemble = Ensemble(tiny, slots=1)
    utterance = ensemble.begin(StreamSpec(SEED, 8))
    utterance.push("[pause 5s] Hello.")
    (advanced,) = ensemble.step([(utterance, 2)])
    assert advanced.chunk is not None
    assert utterance.row == -1
    ensemble.release(utterance)
    (advanced,) = ensemble.step([(utterance, 2)])
    assert (advanced.advance, advanced.chunk) == (Advance.DONE, None)


def test_a_pause_is_heard_as_long_as_it_was_asked_for() -> None:
    """The silence in which the shipped voice ends a sentence and begins the next is part of it, to 10 ms."""
    pcm = pcm_of(
        Speaker(Bundle.load(default_voice_path())).speak("Hello there. [pause 0.7s] I am here.", sampling=SEED)
    )
    gaps = np.diff(np.flatnonzero(np.abs(pcm) > AUDIBLE)) / RATE
    assert float(gaps.max()) == pytest.approx(0.7, abs=0.011)


def test_the_first_word_behind_a_pause_is_told_when_text_is_streamed() -> None:
    """Also where the first frame behind the pause is all silence, of which nothing is given out."""
    chunks = Speaker(Bundle.load(default_voice_path())).speak(iter(["First [pause 1s] breathe in."]), sampling=SEED)
    assert [word.text for word in words_of(chunks)] == ["First", "breathe", "in"]
