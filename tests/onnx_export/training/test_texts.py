import random
import re

import pytest

from voicestack.onnx_export.training.assistant_text import AssistantText, spoken
from voicestack.onnx_export.training.paths import LEXICON, WRITTEN, written_lines
from voicestack.runtime.text import Lexicon


def test_every_assistant_sentence_is_in_the_lexicon() -> None:
    """A thousand generated sentences hold only words with a known pronunciation, and one closing mark at least."""
    lexicon = Lexicon.load(LEXICON)
    source = AssistantText(lexicon, random.Random(5))
    for _ in range(1000):
        text = source.sentence()
        assert text[-1] in ".?!"
        for word in re.findall(r"[A-Za-z'{}]+", text):
            assert word.lower() in lexicon, text


def test_the_same_seed_gives_the_same_sentences() -> None:
    """Two sources of the same seed agree."""
    lexicon = Lexicon.load(LEXICON)
    first, second = (AssistantText(lexicon, random.Random(9)) for _ in range(2))
    assert [first.sentence() for _ in range(50)] == [second.sentence() for _ in range(50)]


def test_numbers_are_spoken_without_hyphens() -> None:
    """Numbers read as the runtime's normaliser reads them."""
    assert spoken(1984, "year") == "nineteen eighty four"
    assert spoken(31, "ordinal") == "thirty first"


@pytest.mark.parametrize("name", WRITTEN)
def test_held_out_sets_are_of_a_hundred_distinct_sentences(name: str) -> None:
    """Each written set has 100 lines, all different."""
    lines = written_lines(name)
    assert len(lines) == len(set(lines)) == 100
