"""Text to tokens of the embedded voice."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.runtime.text import Lexicon, Mark, SentenceEnd, TextEvent, TextFrontEnd, Word, spoken_form
from voicestack.runtime.text.phones import NONE, UNITS
from voicestack.runtime.text.unknown_words import derived_phones

TRAINING = Path(__file__).parents[3] / "onnx_export" / "training"


def events_of(text: str, lexicon: Lexicon) -> list[TextEvent]:
    """All events of a text pushed at once."""
    front_end = TextFrontEnd(lexicon)
    return front_end.push(text) + front_end.finish()


def units_of(event: Word | Mark) -> str:
    """The units of an event's tokens; `^` marks the first of a word."""
    return " ".join(UNITS[unit] for token in event.tokens for unit in token if UNITS[unit] != NONE)


def sentences_of(events: list[TextEvent]) -> list[list[Word]]:
    """The words of each sentence."""
    sentences: list[list[Word]] = [[]]
    for event in events:
        if isinstance(event, Word):
            sentences[-1].append(event)
        elif isinstance(event, SentenceEnd):
            sentences.append([])
    return sentences[:-1]


def test_words_marks_and_sentence_end(lexicon: Lexicon) -> None:
    """A sentence becomes words with phones, marks, and an end."""
    events = events_of("Well, hello?!", lexicon)
    assert [units_of(event) for event in events[:-1] if isinstance(event, Word | Mark)] == [
        "^W EH1 L", ",", "^HH AH0 L OW1", "?",
    ]  # fmt: skip
    assert events[-1] == SentenceEnd()


def test_closing_mark_is_added(lexicon: Lexicon) -> None:
    """A sentence without a closing mark gets a full stop."""
    assert [event.mark for event in events_of("No mark", lexicon) if isinstance(event, Mark)] == ["."]


@pytest.mark.parametrize(
    ("text", "units"),
    [
        ("/T AH0 M EY1 T OW0/", "^T AH0 M EY1 T OW0"),
        ("/təˈmeɪtoʊ/", "^T AH0 M EY1 T OW0"),
        ("(/kæt/)", "^K AE1 T"),
        ("/tʃɜːtʃ/!", "^CH ER1 CH"),
        ("A4", "^EY1"),
        ("P.M.", "^P IY1"),
        ("a", "^AH0"),
        ("qdrza", "^q d r z a"),
    ],
)
def test_first_word(text: str, units: str, lexicon: Lexicon) -> None:
    """Explicit pronunciations, letter names, unstressed words and spelled unknown words each have their units."""
    (event, *_) = events_of(text, lexicon)
    assert isinstance(event, Word)
    assert units_of(event) == units


@pytest.mark.parametrize(
    "text", ["and/or", "/help me", "/usr/bin", "/T/", "/", "a / b", "/T AH0 M", "/" + "T " * 90 + "/"]
)
def test_slashes_that_are_no_pronunciation(text: str, lexicon: Lexicon) -> None:
    """A slash group that cannot be read as phones is ordinary text."""
    words = " ".join(word.spoken for word in events_of(text, lexicon) if isinstance(word, Word)).lower()
    assert words == spoken_form(text)


@pytest.mark.parametrize(
    ("word", "phones"),
    [
        ("voicestack's", "V OY1 S S T AE2 K S"),
        ("chatbots", "CH AE1 T B AO2 T S"),
        ("smartwatches", "S M AA1 R T W AA2 CH AH0 Z"),
        ("unsubscribing", "AH0 N S AH0 B S K R AY1 B IH0 NG"),
        ("rebooted", "R IY0 B UW1 T AH0 D"),
        ("emojis", "IH0 M OW1 JH IY0 Z"),
        ("qdrza", None),
    ],
)
def test_unknown_words(word: str, phones: str | None, lexicon: Lexicon) -> None:
    """Possessive, plural, -ing, -ed, un- and compounds of known words have phones; others none."""
    assert derived_phones(word, lexicon) == (None if phones is None else tuple(phones.split()))


@pytest.mark.parametrize("name", ["everyday", "unusual"])
def test_held_out_sentences(name: str, lexicon: Lexicon) -> None:
    """The written held-out sentences lose nothing: every digit is spoken and every word has phones."""
    for line in (TRAINING / f"{name}.txt").read_text("utf-8").splitlines():
        events = events_of(line, lexicon)
        words = [event for event in events if isinstance(event, Word)]
        assert " ".join(word.spoken.lower() for word in words) == spoken_form(line)
        assert not any(re.search(r"\d", word.spoken) for word in words)
        assert not any(re.search(r"\^?[a-z']", units_of(word)) for word in words), line
        assert _letters_of("".join(word.spelling for word in words)) == _letters_of(line)


def _letters_of(text: str) -> str:
    return re.sub(r"\W", "", text)


def test_long_sentence_is_divided(lexicon: Lexicon) -> None:
    """Sentences the voice was not trained on are divided: at a comma, before a conjunction, or after 40 words."""
    plain = [len(words) for words in sentences_of(events_of("dog " * 100, lexicon))]
    assert plain == [40, 40, 20]
    joined = sentences_of(events_of("dog " * 30 + "and " + "cat " * 20, lexicon))
    assert [words[0].spoken for words in joined] == ["dog", "and"]
    comma = sentences_of(events_of("dog " * 30 + ", cat" + " cat" * 20, lexicon))
    assert [words[0].spoken for words in comma] == ["dog", "cat"]
    spelled = sentences_of(events_of("x" * 2000, lexicon))
    assert max(sum(len(word.tokens) for word in words) for words in spelled) < 150


@given(text=st.text(alphabet="aAbI .,;-/$5%'\"()\n*#é😀:?!…", max_size=60), size=st.integers(1, 7))
def test_events_are_well_formed_in_any_chunking(text: str, size: int, lexicon: Lexicon) -> None:
    """Chunks do not matter; sentences begin with a word, close with one mark, and every word has tokens."""
    front_end = TextFrontEnd(lexicon)
    events: list[TextEvent] = []
    for place in range(0, len(text), size):
        events += front_end.push(text[place : place + size])
    events += front_end.finish()
    assert events == events_of(text, lexicon)
    previous: TextEvent = SentenceEnd()
    for event in events:
        if isinstance(event, Word):
            assert event.tokens
        elif isinstance(event, Mark):
            assert isinstance(previous, Word)
        else:
            assert isinstance(previous, Mark)
            assert previous.mark in ".?!"
        previous = event
    assert isinstance(previous, SentenceEnd)
