from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime import (
    Advance,
    Bundle,
    BundleError,
    CapacityError,
    Chunk,
    Ensemble,
    Event,
    HistoryPolicy,
    InputError,
    SamplingParams,
    Speaker,
    StreamSpec,
    Utterance,
)
from voicestack.runtime import engine as engine_module

TEXT = "Hello there. This is one sentence more, with a comma. And a third?"
Pcm = NDArray[np.float32]


def begin(ensemble: Ensemble, seed: int, text: str = TEXT, depth: int | None = 8) -> Utterance:
    utterance = ensemble.begin(StreamSpec(SamplingParams(seed=seed), depth))
    utterance.push(text)
    utterance.finish()
    return utterance


def speak(ensemble: Ensemble, utterances: Sequence[Utterance], chunk_frames: int = 2) -> dict[Utterance, list[Chunk]]:
    """Step until all have ended; the chunks of each."""
    chunks: dict[Utterance, list[Chunk]] = {utterance: [] for utterance in utterances}
    going = list(utterances)
    for _ in range(2000):
        for advanced in ensemble.step([(utterance, chunk_frames) for utterance in going]):
            if advanced.chunk is not None:
                chunks[advanced.utterance].append(advanced.chunk)
            if advanced.advance in (Advance.DONE, Advance.FAILED):
                going.remove(advanced.utterance)
        if not going:
            return chunks
    raise AssertionError("the utterances do not end")


def sound(chunks: Sequence[Chunk]) -> Pcm:
    return np.concatenate([chunk.pcm for chunk in chunks])


def spoken_alone(bundle: Bundle, seed: int, text: str = TEXT) -> list[Chunk]:
    return list(Speaker(bundle).speak(text, sampling=SamplingParams(seed=seed), depth=8))


def test_utterances_together_sound_as_each_does_by_itself(tiny: Bundle) -> None:
    """Five at once give the sound, and the word times, that a speaker gives of each alone."""
    ensemble = Ensemble(tiny, slots=5)
    together = speak(ensemble, [begin(ensemble, seed) for seed in range(5)])
    for seed, chunks in enumerate(together.values()):
        alone = spoken_alone(tiny, seed)
        np.testing.assert_allclose(sound(chunks), sound(alone), atol=2e-5)
        assert [w for c in chunks for w in c.words] == [w for c in alone for w in c.words]


@given(st.lists(st.integers(1, 12), min_size=1, max_size=12), st.integers(1, 5))
@settings(max_examples=15)
def test_how_text_and_sound_are_cut_does_not_matter(tiny: Bundle, cuts: list[int], chunk_frames: int) -> None:
    """Text that comes in pieces, with steps between, gives the sound of the text that is there at once."""
    ensemble = Ensemble(tiny, slots=1)
    utterance = ensemble.begin(StreamSpec(SamplingParams(seed=3), 8))
    parts: list[Pcm] = []
    rest = TEXT
    for cut in cuts:
        utterance.push(rest[:cut])
        rest = rest[cut:]
        for _ in range(3):
            (advanced,) = ensemble.step([(utterance, chunk_frames)])
            parts += [advanced.chunk.pcm] if advanced.chunk else []
    utterance.push(rest)
    utterance.finish()
    parts += [chunk.pcm for chunk in speak(ensemble, [utterance], chunk_frames)[utterance]]
    np.testing.assert_allclose(np.concatenate(parts), sound(spoken_alone(tiny, 3)), atol=2e-5)


def test_without_text_an_utterance_parks_and_holds_nothing_back(tiny: Bundle) -> None:
    """Parked, it has no pending frame; with text it goes on; at its end it gives its slot back."""
    ensemble = Ensemble(tiny, slots=1)
    utterance = ensemble.begin(StreamSpec(SamplingParams(seed=1), 8))
    assert ensemble.step([(utterance, 4)])[0].advance is Advance.PARKED
    utterance.push("Hello there, ")
    (advanced,) = ensemble.step([(utterance, 4)])
    for _ in range(300):
        if advanced.advance is not Advance.PARKED:
            (advanced,) = ensemble.step([(utterance, 4)])
    assert advanced.advance is Advance.PARKED
    assert advanced.pending == 0
    utterance.finish()
    speak(ensemble, [utterance])
    assert utterance.row == -1
    assert ensemble.step([(utterance, 4)])[0].advance is Advance.DONE


def test_depth_may_change_while_an_utterance_speaks(tiny: Bundle) -> None:
    """Frames have the depth they were asked for; the coarse layers of the first ones do not depend on it."""
    ensemble = Ensemble(tiny, slots=2)
    utterance = begin(ensemble, 5, depth=32)
    depths: list[int] = []
    for frame in range(40):
        utterance.depth = (32, 8, 16)[frame % 3]
        (advanced,) = ensemble.step([(utterance, 1)])
        if advanced.chunk is not None and advanced.frames:
            assert set(advanced.chunk.depths) == {utterance.depth}
            depths += advanced.chunk.depths
    assert {8, 16, 32} == set(depths)
    utterance.depth = 7
    with pytest.raises(InputError, match="depth must be one of"):
        ensemble.step([(utterance, 1)])


def test_one_that_is_given_up_leaves_the_others_as_they_are(tiny: Bundle) -> None:
    """A release in the middle frees the slot at once and moves nobody's sound."""
    ensemble = Ensemble(tiny, slots=3)
    first, gone, last = (begin(ensemble, seed) for seed in (0, 1, 2))
    chunks: dict[Utterance, list[Chunk]] = {first: [], last: []}
    for _ in range(6):
        for advanced in ensemble.step([(u, 2) for u in (first, gone, last)]):
            if advanced.chunk is not None and advanced.utterance is not gone:
                chunks[advanced.utterance].append(advanced.chunk)
    ensemble.release(gone)
    ensemble.release(gone)
    begin_again = begin(ensemble, 9)
    rest = speak(ensemble, [first, last, begin_again])
    for seed, utterance in ((0, first), (2, last)):
        whole = sound([*chunks[utterance], *rest[utterance]])
        np.testing.assert_allclose(whole, sound(spoken_alone(tiny, seed)), atol=2e-5)


def test_more_utterances_than_slots_are_refused_and_change_nothing(tiny: Bundle) -> None:
    """CapacityError names the limit; those that have slots go on."""
    ensemble = Ensemble(tiny, slots=1)
    first, second = begin(ensemble, 0), begin(ensemble, 1)
    ensemble.step([(first, 2)])
    with pytest.raises(CapacityError):
        ensemble.step([(second, 2)])
    speak(ensemble, [first])
    speak(ensemble, [second])


@pytest.mark.parametrize("part", ["backbone", "prefill", "head"])
def test_a_stream_that_cannot_be_computed_fails_alone(tiny: Bundle, part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a call breaks off for one of four, that one fails, and the others sound as without it."""
    ensemble = Ensemble(tiny, slots=4)
    utterances = [begin(ensemble, seed) for seed in range(4)]
    engine: Any = ensemble._engine
    bad = utterances[1]
    decode, prefill, draw = engine._backbone.decode, engine._backbone.prefill, engine._head.draw

    def is_bad(row: int) -> bool:
        stream = engine.streams[row]
        return bad.stream is not None and stream is bad.stream and (part == "prefill" or stream.feed.frames > 3)

    def broken_decode(rows: Sequence[int], *rest: Any) -> Any:
        if any(map(is_bad, rows)):
            raise RuntimeError("the backbone breaks off")
        return decode(rows, *rest)

    def broken_prefill(row: int, *rest: Any) -> Any:
        if is_bad(row):
            raise RuntimeError("the prefill breaks off")
        return prefill(row, *rest)

    def broken_draw(depth: int, rows: Sequence[Any]) -> Any:
        if bad.stream is not None and bad.stream.feed.frames > 3:
            if any(row.recent_codes is bad.stream.recent for row in rows):
                raise RuntimeError("the head breaks off")
        return draw(depth, rows)

    target, broken = {
        "backbone": (engine._backbone, broken_decode),
        "prefill": (engine._backbone, broken_prefill),
        "head": (engine._head, broken_draw),
    }[part]
    monkeypatch.setattr(target, {"backbone": "decode", "prefill": "prefill", "head": "draw"}[part], broken)
    chunks: dict[Utterance, list[Chunk]] = {utterance: [] for utterance in utterances}
    failed: dict[Utterance, Exception | None] = {}
    going = list(utterances)
    while going:
        for advanced in ensemble.step([(utterance, 2) for utterance in going]):
            chunks[advanced.utterance] += [advanced.chunk] if advanced.chunk else []
            if advanced.advance is Advance.FAILED:
                failed[advanced.utterance] = advanced.error
            if advanced.advance in (Advance.DONE, Advance.FAILED):
                going.remove(advanced.utterance)
    assert list(failed) == [bad]
    assert "breaks off" in str(failed[bad])
    assert not engine.streams
    for seed, utterance in enumerate(utterances):
        if utterance is not bad:
            np.testing.assert_allclose(sound(chunks[utterance]), sound(spoken_alone(tiny, seed)), atol=2e-5)


@pytest.mark.parametrize("part", ["text", "codec"])
def test_what_breaks_off_outside_the_engine_fails_alone_too(
    tiny: Bundle, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text that cannot be spoken, and codes that cannot be decoded: the others sound as without that one."""
    ensemble = Ensemble(tiny, slots=4)
    utterances = [begin(ensemble, seed) for seed in range(4)]
    bad, codec = utterances[1], ensemble._studio.codec
    supply, decode = bad.text.supply, codec.decode

    def broken_supply(feed: Any) -> bool:
        if bad.stream is not None and bad.stream.feed.frames > 3:
            raise BundleError("the lexicon has a phone there is not")
        return supply(feed)

    def broken_decode(pieces: Sequence[Any]) -> Any:
        if bad.sound is not None and any(state is bad.sound._state for state, _ in pieces):
            raise RuntimeError("the codec breaks off")
        return decode(pieces)

    if part == "text":
        monkeypatch.setattr(bad.text, "supply", broken_supply)
    else:
        monkeypatch.setattr(codec, "decode", broken_decode)
    going, chunks = list(utterances), {utterance: list[Chunk]() for utterance in utterances}
    failed: list[Utterance] = []
    while going:
        for advanced in ensemble.step([(utterance, 2) for utterance in going]):
            chunks[advanced.utterance] += [advanced.chunk] if advanced.chunk else []
            if advanced.advance is Advance.FAILED:
                assert advanced.error is not None
                failed.append(advanced.utterance)
            if advanced.advance in (Advance.DONE, Advance.FAILED):
                going.remove(advanced.utterance)
    assert failed == [bad]
    assert bool(chunks[bad]) == (part == "text"), "what was made before the text broke off is given out"
    assert not ensemble._engine.streams
    for seed, utterance in enumerate(utterances):
        if utterance is not bad:
            np.testing.assert_allclose(sound(chunks[utterance]), sound(spoken_alone(tiny, seed)), atol=2e-5)


def test_a_runaway_is_told_by_its_chunk(tiny: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """The chunk in which a sentence was cut off says so, as a speaker's does."""
    monkeypatch.setattr(engine_module, "frame_cap", lambda *_: 6)
    ensemble = Ensemble(tiny, slots=1)
    utterance = ensemble.begin(StreamSpec(SamplingParams(seed=5), 8, target_frames=500))
    utterance.push(TEXT)
    events = [
        advanced.chunk.event
        for _ in range(12)
        for advanced in ensemble.step([(utterance, 2)])
        if advanced.chunk is not None
    ]
    assert Event.CAPPED in events


def test_a_delay_voice_keeps_its_depth_and_ends_whole(tiny_delay: Bundle) -> None:
    """Its frames may be played shallow at first, never deeper than made, and its slot comes back."""
    ensemble = Ensemble(tiny_delay, slots=2)
    utterances = [begin(ensemble, seed, depth=16) for seed in range(2)]
    for chunks in speak(ensemble, utterances, 4).values():
        assert max(depth for chunk in chunks for depth in chunk.depths) == 16
    assert all(utterance.row == -1 for utterance in utterances)


def test_history_that_is_due_is_told_and_aged(tiny: Bundle) -> None:
    """An utterance with a short memory has something to maintain before long, and then nothing for a while."""
    ensemble = Ensemble(tiny, slots=1)
    utterance = ensemble.begin(StreamSpec(SamplingParams(seed=1), 8, history=HistoryPolicy.parse("1:8,1:3")))
    utterance.push("Hello there, this is a sentence that goes on for a good while, and then for a while more")
    utterance.finish()
    for _ in range(120):
        ensemble.step([(utterance, 2)])
        if ensemble.ages:
            break
    assert ensemble.ages
    while ensemble.maintain():
        pass
    assert not ensemble.ages


def test_frames_may_be_heard_shallower_than_they_are_made(tiny: Bundle) -> None:
    """From the next frame on only so many layers are decoded; the codes below stay what they would have been."""
    ensemble = Ensemble(tiny, slots=2)
    whole, shallow = begin(ensemble, 5), begin(ensemble, 5)
    shallow.play(3)
    chunks = speak(ensemble, [whole, shallow], chunk_frames=1)
    all_codes, few_codes = (np.concatenate([c.codes for c in chunks[u] if c.codes is not None]) for u in chunks)
    np.testing.assert_array_equal(all_codes[:, :3], few_codes[:, :3])
    assert (few_codes[:, 3:] == tiny.manifest.null_code).all()
    assert (all_codes[:, :8] != tiny.manifest.null_code).all()
    assert {depth for chunk in chunks[shallow] for depth in chunk.depths} == {3}
    assert sum(len(chunk.depths) for chunk in chunks[shallow]) == len(few_codes)
    assert not np.allclose(sound(chunks[whole]), sound(chunks[shallow]))


@pytest.mark.parametrize(("depth", "made"), [(1, 8), (8, 8), (9, 16), (17, 32), (32, 32)])
def test_as_many_layers_are_made_as_a_depth_takes(tiny: Bundle, depth: int, made: int) -> None:
    """The fewest that one of the heads makes."""
    assert Ensemble(tiny, slots=1).deep_enough(depth) == made


@pytest.mark.parametrize("depth", [0, 33, 2.5, True, "8"])
def test_a_depth_there_is_not_is_refused(tiny: Bundle, depth: Any) -> None:
    """The error names what would do."""
    with pytest.raises(InputError, match="depth must be a whole number from 1 to"):
        Ensemble(tiny, slots=1).deep_enough(depth)
