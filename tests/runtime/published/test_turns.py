"""Conversations of the Realtime family, many at once: each as `Conversation` alone."""

import math
from collections.abc import Sequence

import numpy as np
import pytest
from ensemble_driver import Driver, begun, codes_of, ensemble_of, slots_taken
from speaking_bundles import reference_codes, speaker_of

from voicestack.runtime import CapacityError
from voicestack.runtime.published import Conversation, PublishedManner, Speech

TURNS = (
    ("Hello, streaming world of tokens.", "Second turn text.", "Third."),
    ("Quick brown fox.", "Yes or no? One two three.", "A voice that speaks."),
)
FRAMES = 9
CUT = PublishedManner(max_frames=FRAMES)
ROWS = 1200


def spoken(conversation: Conversation, texts: Sequence[str], frames: int = FRAMES) -> list[np.ndarray]:
    return [codes_of(list(conversation.speak(text, max_frames=frames))) for text in texts]


def test_turns_of_two_conversations_are_those_of_each_alone() -> None:
    """Three turns each, in turn with the other's; then the conversations are ended and their slots free."""
    ensemble = ensemble_of("realtime", slots=2, capacity=ROWS)
    driver = Driver(ensemble)
    voice = ensemble.voice_of_codes(reference_codes("realtime"))
    manners = (CUT, PublishedManner(voice, max_frames=FRAMES))
    turns: list[list[Speech]] = [[], []]
    for texts in zip(*TURNS, strict=True):
        pair = [begun(ensemble, texts[n], manners[n], seed=n, conversation=n) for n in range(2)]
        driver.run(pair)
        for speeches, speech in zip(turns, pair, strict=True):
            speeches.append(speech)
    assert slots_taken(ensemble) == 2
    for key in (0, 1, 1):
        ensemble.end_conversation(key)
    assert slots_taken(ensemble) == 0
    for place, speeches in enumerate(turns):
        with speaker_of("realtime", capacity=ROWS).converse(manners[place].voice, seed=place) as conversation:
            for speech, codes in zip(speeches, spoken(conversation, TURNS[place]), strict=True):
                np.testing.assert_array_equal(driver.codes(speech), codes)


@pytest.mark.parametrize("size", [1, 4])
def test_text_that_comes_in_pieces_parks_the_turn_and_changes_nothing(size: int) -> None:
    """Sound begins before the text is complete; what was made is given out before a wait."""
    ensemble, text = ensemble_of("realtime", capacity=ROWS), TURNS[0][0]
    driver, speech = Driver(ensemble), ensemble.begin(PublishedManner(max_frames=40), seed=3)
    parked, early = 0, 0
    for start in range(0, len(text), size):
        speech.push(text[start : start + size])
        for _ in range(100):
            driver.round([speech], 4)
            if speech in driver.parked:
                break
        assert speech.pending == 0
        parked += speech in driver.parked
    early = len(driver.chunks.get(speech, []))
    speech.finish()
    driver.run([speech])
    assert parked
    assert early
    alone = list(speaker_of("realtime", capacity=ROWS).speak(text, seed=3, max_frames=40))
    np.testing.assert_array_equal(driver.codes(speech), codes_of(alone))
    assert slots_taken(ensemble) == 0


@pytest.mark.parametrize("turns_before", [0, 1])
@pytest.mark.parametrize("rounds", [0, 1, 2, 6, 30])
def test_a_turn_that_is_given_up_was_never_there(turns_before: int, rounds: int) -> None:
    """At any time, its prompt fed or not: the next one is that of a conversation without it."""
    ensemble = ensemble_of("realtime", capacity=ROWS)
    driver = Driver(ensemble, rows=2)
    for text in TURNS[0][:turns_before]:
        driver.run([begun(ensemble, text, CUT, seed=5, conversation=1)])
    left = begun(
        ensemble, "This will be cut off in the middle.", PublishedManner(max_frames=60), seed=5, conversation=1
    )
    driver.run([left], until=rounds)
    ensemble.release(left)
    after = begun(ensemble, TURNS[0][1], CUT, seed=5, conversation=1)
    driver.run([after])
    with speaker_of("realtime", capacity=ROWS).converse(seed=5) as conversation:
        *_, codes = spoken(conversation, (*TURNS[0][:turns_before], TURNS[0][1]))
    np.testing.assert_array_equal(driver.codes(after), codes)


@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("heard", [1, 4])
def test_the_next_turn_goes_on_from_what_was_heard(heard: int, finished: bool) -> None:
    """As if the turn had been stopped there, whether it was being made or had been made to its end."""
    ensemble = ensemble_of("realtime", capacity=ROWS)
    driver, manner = Driver(ensemble), PublishedManner(max_frames=20)
    first = begun(ensemble, TURNS[0][0], manner, seed=7, conversation=1)
    while not (first in driver.over if finished else len(driver.chunks.get(first, [])) > 8):
        driver.round([first])
    # A frame that was heard in part was heard.
    ensemble.heard(first, (heard - 0.5) * 0.08)
    ensemble.release(first)
    after = begun(ensemble, TURNS[0][1], CUT, seed=7, conversation=1)
    driver.run([after])
    with speaker_of("realtime", capacity=ROWS).converse(seed=7) as conversation:
        # The last frame that a turn makes is never fed, and what was heard is.
        list(conversation.speak(TURNS[0][0], max_frames=heard + 1))
        codes = codes_of(list(conversation.speak(TURNS[0][1], max_frames=FRAMES)))
    np.testing.assert_array_equal(driver.codes(after), codes)


@pytest.mark.parametrize("seconds", [0.0, math.inf])
@pytest.mark.parametrize("finished", [False, True])
def test_all_of_a_turn_or_nothing_may_have_been_heard(seconds: float, finished: bool) -> None:
    """Of nothing no trace stays; all of it is a turn that was stopped where it was."""
    ensemble = ensemble_of("realtime", capacity=ROWS)
    driver, manner = Driver(ensemble), PublishedManner(max_frames=9)
    first = begun(ensemble, TURNS[0][0], manner, seed=7, conversation=1)
    while not (first in driver.over if finished else len(driver.chunks.get(first, [])) == 5):
        driver.round([first])
    ensemble.heard(first, seconds)
    ensemble.release(first)
    after = begun(ensemble, TURNS[0][1], CUT, seed=7, conversation=1)
    driver.run([after])
    with speaker_of("realtime", capacity=ROWS).converse(seed=7) as conversation:
        if seconds:
            list(conversation.speak(TURNS[0][0], max_frames=9 if finished else 5))
        codes = codes_of(list(conversation.speak(TURNS[0][1], max_frames=FRAMES)))
    np.testing.assert_array_equal(driver.codes(after), codes)


def test_what_was_heard_of_another_turn_changes_nothing() -> None:
    """Of one that was never stepped, or behind which there is another, nothing is forgotten."""
    ensemble = ensemble_of("realtime", capacity=ROWS)
    driver = Driver(ensemble)
    first = begun(ensemble, TURNS[0][0], CUT, seed=7, conversation=1)
    driver.run([first])
    idle = begun(ensemble, TURNS[0][2], CUT, seed=7, conversation=1)
    ensemble.heard(idle, 0.0)
    ensemble.release(idle)
    after = begun(ensemble, TURNS[0][1], CUT, seed=7, conversation=1)
    driver.round([after])
    ensemble.heard(first, 0.1)
    driver.run([after])
    with speaker_of("realtime", capacity=ROWS).converse(seed=7) as conversation:
        *_, codes = spoken(conversation, TURNS[0][:2])
    np.testing.assert_array_equal(driver.codes(after), codes)


def test_a_turn_without_a_word_leaves_nothing() -> None:
    """It is done without a sound, whether its text was blank or never came."""
    ensemble = ensemble_of("realtime", capacity=ROWS)
    driver = Driver(ensemble)
    for text in ("", "  "):
        driver.run([begun(ensemble, text, CUT, seed=1, conversation=1)])
    after = begun(ensemble, TURNS[0][1], CUT, seed=1, conversation=1)
    driver.run([after])
    with speaker_of("realtime", capacity=ROWS).converse(seed=1) as conversation:
        np.testing.assert_array_equal(driver.codes(after), spoken(conversation, TURNS[0][1:2])[0])


def test_a_conversation_that_is_full_is_told_and_so_is_one_that_finds_no_slot() -> None:
    """By the turn; the others go on."""
    ensemble = ensemble_of("realtime", slots=1, capacity=400)
    driver = Driver(ensemble)
    manner = PublishedManner(max_frames=100)
    turns = [begun(ensemble, TURNS[0][0], manner, seed=0, conversation=1) for _ in range(4)]
    for turn in turns:
        driver.run([turn])
    assert "no room for a further turn" in str(driver.errors[turns[-1]])
    other = begun(ensemble, TURNS[0][0], CUT, seed=0, conversation=2)
    driver.run([other])
    assert isinstance(driver.errors[other], CapacityError)
    ensemble.end_conversation(1)
    other = begun(ensemble, TURNS[0][0], CUT, seed=0, conversation=2)
    driver.run([other])
    assert len(driver.codes(other)) == FRAMES
