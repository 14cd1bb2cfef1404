"""MossTTSRealtime against the published code: text that leads, waiting, turns, and interruption."""

import numpy as np
import pytest
from generator_cases import greedy, opened, reference
from numpy.typing import NDArray

from voicestack.runtime.errors import CapacityError, InputError
from voicestack.runtime.published.realtime_generator import TEXT_LEAD, RealtimeGenerator
from voicestack.runtime.published.streams import Stream

IntArray = NDArray[np.int64]


def realtime() -> RealtimeGenerator:
    generator = opened("realtime")
    assert isinstance(generator, RealtimeGenerator)
    return generator


def speak(generator: RealtimeGenerator, stream: Stream, text: IntArray, frames: int) -> IntArray:
    """Give a turn all its text and generate so many frames, or until its end; codes [T,n]."""
    generator.push_text(stream, text.tolist())
    generator.end_text(stream)
    rows = [generator.step([stream])[0] for _ in range(frames)]
    return np.array([row[1:] for row in rows if row is not None])


@pytest.mark.parametrize(("run", "penalty"), [("two_turn", 1.0), ("two_turn_rep11", 1.1)])
def test_both_turns_give_the_published_frames(run: str, penalty: float) -> None:
    """Every frame of two turns over one cache, with and without the penalty, which forgets at a turn."""
    generator, arrays = realtime(), reference("realtime")
    stream = generator.prefill([arrays["turn1_ids"]], greedy(penalty))[0]
    for turn in (1, 2):
        if turn == 2:
            generator.next_turn(stream, arrays["turn2_ids"])
        expected = arrays[f"gen_{run}_turn{turn}_codes"][0]
        codes = speak(generator, stream, arrays[f"text{turn}"], len(expected))
        np.testing.assert_array_equal(codes, expected)
        assert stream.ended == (run == "two_turn")
        np.testing.assert_allclose(
            stream.hidden, arrays[f"gen_{run}_turn{turn}_global_hidden"][-1, 0], rtol=0, atol=1e-4
        )


def test_a_batch_of_two_gives_the_published_frames() -> None:
    """The offline run: two prompts of different length, one ends by itself, the other is stopped."""
    generator, arrays = realtime(), reference("realtime")
    streams = generator.prefill([arrays["offline_prompt0"], arrays["offline_prompt1"]], greedy())
    for place, stream in enumerate(streams):
        generator.push_text(stream, arrays[f"offline_text{place}"].tolist())
        generator.end_text(stream)
    steps = [generator.step(streams) for _ in range(31)]
    end = generator.info.ids.audio_eos
    for place in range(2):
        frames = [step[place] for step in steps]
        codes = [row[1:] for row in frames if row is not None and row[1] != end]
        np.testing.assert_array_equal(np.array(codes), arrays[f"offline_codes{place}"])


def test_text_in_any_pieces_gives_the_same_frames() -> None:
    """One token a frame, or all at once: a stream without text waits, and never pads."""
    generator, arrays = realtime(), reference("realtime")
    expected, text = arrays["gen_two_turn_turn1_codes"][0], arrays["text1"].tolist()
    stream = generator.prefill([arrays["turn1_ids"]], greedy())[0]
    frames: list[IntArray] = []
    for place, token in enumerate(text):
        assert generator.waits(stream)
        assert generator.step([stream]) == [None]
        generator.push_text(stream, [token])
        row = generator.step([stream])[0]
        assert (row is None) == (place + 1 < TEXT_LEAD)
        if row is not None:
            assert row[0] == token
            frames.append(row[1:])
    generator.end_text(stream)
    while not stream.ended:
        row = generator.step([stream])[0]
        assert row is not None
        assert row[0] == generator.info.ids.text_pad
        frames.append(row[1:])
    np.testing.assert_array_equal(np.array(frames), expected)


def test_a_short_text_begins_when_it_is_complete() -> None:
    """Fewer tokens than the lead: the turn waits until it is told that this is all."""
    generator, arrays = realtime(), reference("realtime")
    stream = generator.prefill([arrays["offline_prompt1"]], greedy())[0]
    generator.push_text(stream, arrays["offline_text1"].tolist())
    assert generator.step([stream]) == [None]
    generator.end_text(stream)
    row = generator.step([stream])[0]
    assert row is not None
    np.testing.assert_array_equal(row[1:], arrays["offline_codes1"][0])


@pytest.mark.parametrize(("generated", "unheard"), [(10, 4), (7, 0), (7, 1), (27, 21)])
def test_an_interrupted_turn_is_forgotten_from_what_was_heard_on(generated: int, unheard: int) -> None:
    """The next turn goes on as if the turn had been stopped there, also when it had been generated to its end."""
    arrays, states, codes = reference("realtime"), [], []
    for frames, forgotten in ((7, None), (generated, unheard)):
        generator = realtime()
        stream = generator.prefill([arrays["turn1_ids"]], greedy())[0]
        speak(generator, stream, arrays["text1"], frames)
        if forgotten is not None:
            generator.interrupt(stream, forgotten)
            assert generator.step([stream]) == [None]
            with pytest.raises(InputError, match="from 0 to the 0 frames"):
                generator.interrupt(stream, 1)
        generator.next_turn(stream, arrays["turn2_ids"])
        states.append(stream.hidden)
        codes.append(speak(generator, stream, arrays["text2"], 5))
    np.testing.assert_allclose(states[0], states[1], rtol=0, atol=1e-5)
    np.testing.assert_array_equal(codes[0], codes[1])


@pytest.mark.parametrize("frames", [0, 1, 7, 40])
def test_a_turn_that_is_rolled_back_leaves_nothing(frames: int) -> None:
    """The caches are as long as before its rows, and the next turn gives what it would have given."""
    arrays, states, codes = reference("realtime"), [], []
    for interrupted in (False, True):
        generator = realtime()
        stream = generator.prefill([arrays["turn1_ids"]], greedy(1.1))[0]
        speak(generator, stream, arrays["text1"], 7)
        before = generator.table.fed(stream)
        if interrupted:
            generator.next_turn(stream, arrays["turn2_ids"])
            if frames:
                speak(generator, stream, arrays["text1"], frames)
            generator.roll_back(stream)
            assert generator.table.fed(stream) == before
            assert generator.step([stream]) == [None]
        generator.next_turn(stream, arrays["turn2_ids"])
        states.append(stream.hidden)
        codes.append(speak(generator, stream, arrays["text2"], 5))
    np.testing.assert_array_equal(states[0], states[1])
    np.testing.assert_array_equal(codes[0], codes[1])


def test_a_first_turn_that_is_rolled_back_leaves_its_prompt() -> None:
    """What `prefill` was given is no turn."""
    generator, arrays = realtime(), reference("realtime")
    stream = generator.prefill([arrays["turn1_ids"]], greedy())[0]
    speak(generator, stream, arrays["text1"], 3)
    generator.roll_back(stream)
    assert generator.table.fed(stream) == len(arrays["turn1_ids"])


def test_a_stream_that_is_full_does_not_harm_the_one_beside_it() -> None:
    """The step fails as a whole; without the full stream the other goes on as if nothing had been."""
    generator, arrays = realtime(), reference("realtime")
    prompt, text = arrays["turn1_ids"], arrays["text1"]
    full, other = generator.prefill([prompt[np.arange(387) % len(prompt)], prompt], greedy())
    for stream in (full, other):
        generator.push_text(stream, text.tolist())
        generator.end_text(stream)
    frames = [generator.step([full, other])[1], generator.step([full, other])[1]]
    with pytest.raises(CapacityError, match="400 positions has no room for 1 more"):
        generator.step([full, other])
    frames += [generator.step([other])[0] for _ in range(4)]
    codes = np.array([row[1:] for row in frames if row is not None])
    np.testing.assert_array_equal(codes, arrays["gen_two_turn_turn1_codes"][0, :6])


def test_misuse_of_a_turn_is_told() -> None:
    """Text after the end of the text, an end without text, ids out of range, more unheard than there is."""
    generator, arrays = realtime(), reference("realtime")
    stream = generator.prefill([arrays["turn1_ids"]], greedy())[0]
    with pytest.raises(InputError, match="at least one token"):
        generator.end_text(stream)
    with pytest.raises(InputError, match="text id 288 is outside the vocabulary of 288"):
        generator.push_text(stream, [1, 288])
    assert not stream.clock.tokens
    generator.push_text(stream, [1])
    generator.end_text(stream)
    with pytest.raises(InputError, match="text has been ended"):
        generator.push_text(stream, [2])
    generator.step([stream])
    with pytest.raises(InputError, match="from 0 to the 1 frames"):
        generator.interrupt(stream, 2)
