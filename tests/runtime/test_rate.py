"""How fast a text is spoken: what each sentence is asked to last, and when it begins."""

import math
from collections.abc import Iterable, Iterator
from typing import Any

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
    InputError,
    SamplingParams,
    Speaker,
    Stream,
    StreamSpec,
    default_voice_path,
)
from voicestack.runtime.rate import frames_at
from voicestack.runtime.text import Lexicon, Mark, TextFrontEnd, Word

SEED = SamplingParams(seed=3)
TEXT = "Hello there world. The cat sat on the mat, yes!"


@pytest.fixture(scope="module")
def speaker(tiny: Bundle) -> Speaker:
    return Speaker(tiny)


def pcm_of(chunks: Iterable[Chunk]) -> NDArray[np.float32]:
    return np.concatenate([chunk.pcm for chunk in chunks])


@pytest.fixture
def targets(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The target length of each stream the speaker begins."""
    seen: list[int | None] = []
    engine: Any = speaker._engine  # pyright: ignore[reportPrivateUsage]
    admit = engine.admit

    def noting(spec: StreamSpec) -> Stream:
        seen.append(spec.target_frames)
        stream: Stream = admit(spec)
        return stream

    monkeypatch.setattr(engine, "admit", noting)
    return seen


def test_each_sentence_is_to_last_what_its_text_takes_by_the_rate(
    speaker: Speaker, targets: list[int | None], tiny: Bundle
) -> None:
    """As many frames as the voice has for its tokens on average, and two for its ends, divided by the rate."""
    for rate in (0.5, 0.8, 1.25, 2):
        targets.clear()
        list(speaker.speak(TEXT, sampling=SEED, depth=8, rate=rate))
        tokens = [sum(len(event.tokens) for event in sentence) for sentence in sentences(tiny)]
        assert targets[0] == frames_at(rate, tokens[0], tiny.manifest.text)
        assert frames_at(rate, tokens[1], tiny.manifest.text) in targets
        assert targets[0] == pytest.approx((tokens[0] * tiny.manifest.text.frames_per_token + 2) / rate, abs=0.5)


def sentences(bundle: Bundle) -> list[list[Word | Mark]]:
    """The words and marks of the sentences of TEXT."""
    front_end = TextFrontEnd(Lexicon.load(bundle.lexicon_path))
    found: list[list[Word | Mark]] = [[]]
    for event in front_end.push(TEXT) + front_end.finish():
        if isinstance(event, Word | Mark):
            found[-1].append(event)
        else:
            found.append([])
    return found


def test_the_voices_own_rate_changes_nothing(speaker: Speaker, targets: list[int | None]) -> None:
    """One is as good as none: the same samples, and nothing is waited for."""
    for rate in (None, 1, 1.0):
        read: list[str] = []
        chunks = speaker.speak(writer(read), sampling=SEED, depth=8, rate=rate)
        first = next(chunks)
        assert read == ["Hello there "]
        pcm = pcm_of([first, *chunks])
        np.testing.assert_allclose(pcm, pcm_of(speaker.speak(TEXT, sampling=SEED, depth=8)), atol=1e-4)
    assert set(targets) == {None}


def writer(read: list[str]) -> Iterator[str]:
    """TEXT in pieces, noted as they are read."""
    for piece in ("Hello there ", "world. ", "The cat sat on the ", "mat, yes!"):
        read.append(piece)
        yield piece


def test_with_another_rate_a_sentence_begins_when_all_of_it_was_read(speaker: Speaker) -> None:
    """Its end must be known, that of the next need not."""
    read: list[str] = []
    next(iter(speaker.speak(writer(read), sampling=SEED, depth=8, rate=1.2)))
    assert read == ["Hello there ", "world. "]


@settings(max_examples=10)
@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=8))
def test_text_may_arrive_in_any_pieces(speaker: Speaker, cuts: list[int]) -> None:
    """However the text is cut, the samples are those of the text as a whole."""
    edges = [0, *sorted(cuts), len(TEXT)]
    pieces = [TEXT[start:end] for start, end in zip(edges, edges[1:], strict=False)]
    pcm = pcm_of(speaker.speak(iter(pieces), sampling=SEED, depth=8, rate=0.8))
    np.testing.assert_allclose(pcm, pcm_of(speaker.speak(TEXT, sampling=SEED, depth=8, rate=0.8)), atol=1e-4)


@pytest.mark.parametrize("rate", [0, 0.49, 2.01, -1, math.nan, math.inf, "1", True])
def test_what_is_no_rate_is_refused_at_once(speaker: Speaker, tiny: Bundle, rate: Any) -> None:
    """An InputError names the range."""
    with pytest.raises(InputError, match=r"rate must be a number between 0.5 and 2"):
        speaker.speak("Hello", rate=rate)
    with pytest.raises(InputError, match=r"rate must be a number between 0.5 and 2"):
        Ensemble(tiny, slots=1).begin(StreamSpec(), rate=rate)


def test_a_length_and_a_rate_are_too_much(speaker: Speaker) -> None:
    """Both say how fast to speak."""
    with pytest.raises(InputError, match="leave out one of the two"):
        speaker.speak("Hello there.", rate=1.2, seconds=1)


def test_an_ensemble_waits_for_the_end_of_a_sentence_and_speaks_as_a_speaker_does(tiny: Bundle) -> None:
    """It parks until the sentence is complete, or finished, and sounds the same then."""
    ensemble = Ensemble(tiny, slots=1)
    utterance = ensemble.begin(StreamSpec(SEED, 8), rate=1.25)
    parts: list[Chunk] = []
    for piece, advance in (("Hello there wor", Advance.PARKED), ("ld", Advance.PARKED), (". The cat ", Advance.SPOKEN)):
        utterance.push(piece)
        (advanced,) = ensemble.step([(utterance, 1)])
        assert advanced.advance is advance
        parts += [advanced.chunk] if advanced.chunk else []
    utterance.push("sat on the mat, yes!")
    utterance.finish()
    for _ in range(2000):
        (advanced,) = ensemble.step([(utterance, 3)])
        parts += [advanced.chunk] if advanced.chunk else []
        if advanced.advance is Advance.DONE:
            break
    expected = pcm_of(Speaker(tiny).speak(TEXT, sampling=SEED, depth=8, rate=1.25))
    np.testing.assert_allclose(pcm_of(parts), expected, atol=2e-5)


def test_the_shipped_voice_speaks_faster_and_slower() -> None:
    """Near to what is asked for, in a range in which it is understood."""
    voice = Speaker(Bundle.load(default_voice_path()))
    text = "You can take the bus home, or wait for the next one."
    slow, fast = (
        sum(len(chunk.depths) for chunk in voice.speak(text, sampling=SEED, rate=rate)) for rate in (0.8, 1.25)
    )
    assert slow / fast == pytest.approx(1.25 / 0.8, rel=0.15)
