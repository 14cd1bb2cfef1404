import random
import re

import pytest

pytest.importorskip("soxr", reason="the `export` extra is not installed")

from voicestack.onnx_export.training.dialogue_phrases import PHRASES
from voicestack.onnx_export.training.dialogue_text import MAX_PHONES, DialogueText, spoken_text
from voicestack.onnx_export.training.paths import LEXICON
from voicestack.runtime.text import Lexicon
from voicestack.runtime.text.phones import MARKS, PHONES


@pytest.fixture(scope="module")
def lexicon() -> Lexicon:
    return Lexicon.load(LEXICON)


def utterances(lexicon: Lexicon, count: int, seed: int = 3) -> list[tuple[str, list[str]]]:
    source = DialogueText(lexicon, ["hello", "window", "garden"], random.Random(seed))
    return [(text, [word.text for word in words]) for text, words in (source.utterance() for _ in range(count))]


def test_every_slot_a_phrase_names_can_be_filled() -> None:
    """Each is another list of phrases, a method of the class, or the letters of what was said before it."""
    for phrases in PHRASES.values():
        for name in re.findall(r"\{(\w+)\}", " ".join(phrases)):
            assert name in PHRASES or name == "letters_of_it" or hasattr(DialogueText, f"_slot_{name}")


def test_an_utterance_has_phones_only_and_ends_with_a_mark(lexicon: Lexicon) -> None:
    """No word of it is left to its letters, it lasts twenty seconds at most, and no slot is left open."""
    source = DialogueText(lexicon, ["hello", "window"], random.Random(1))
    for _ in range(300):
        text, words = source.utterance()
        assert "{" not in text
        assert words[-1].mark in ".?!"
        assert all(word.mark in ("", *MARKS) and word.phones for word in words)
        assert {phone for word in words for phone in word.phones} <= set(PHONES)
        assert sum(len(word.phones) for word in words) <= MAX_PHONES


def test_the_same_seed_gives_the_same_utterances(lexicon: Lexicon) -> None:
    """Shards are made again as they were."""
    assert utterances(lexicon, 60) == utterances(lexicon, 60)
    assert utterances(lexicon, 60) != utterances(lexicon, 60, seed=4)


def test_there_is_something_of_everything(lexicon: Lexicon) -> None:
    """Money, times, phone numbers, spelled words, questions, single words and long speech are all there."""
    texts = [text for text, _ in utterances(lexicon, 600)]
    for pattern in (
        r"\$\d",
        r"\d:\d\d",
        r"\d{3}-\d{4}",
        r"\b[A-Z][ ,-]+[A-Z][ ,-]+[A-Z]\b",
        r"\?$",
        r"^\w+\W?$",
        ".{120}",
    ):
        assert sum(bool(re.search(pattern, text)) for text in texts) >= 5, pattern


def test_what_is_spelled_is_the_word_before(lexicon: Lexicon) -> None:
    """`Peter, spelled P E T E R`."""
    spelled = [re.fullmatch(r"(\w+), spelled ([A-Z ,-]+)\.", text) for text, _ in utterances(lexicon, 2000)]
    found = [(match[1].upper(), re.sub(r"\W", "", match[2])) for match in spelled if match]
    assert found
    assert all(name == letters for name, letters in found)


def test_text_is_spoken_as_the_runtime_reads_it(lexicon: Lexicon) -> None:
    """The front end makes the words; text with a word of unknown phones is not spoken at all."""
    words = spoken_text("It's $2 at 7:05, B?", lexicon)
    assert " ".join(word.text + word.mark for word in words) == "it's two dollars at seven oh five, B?"
    assert spoken_text("Hello, flibbergasm.", lexicon) == []
