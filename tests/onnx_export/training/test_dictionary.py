from pathlib import Path

import pytest

from voicestack.onnx_export.training import dictionary
from voicestack.onnx_export.training.paths import LEXICON
from voicestack.runtime.text import Lexicon

NOUN = '2 05 n 02 badger 0 old_badger 1 000 | sturdy (fat) mammal; "the badger dug"; "two badgers"'
ADJECTIVE = '00000001 00 a 01 galore(ip) 0 001 ! 00000002 a 0101 | in great numbers; "whiskey galore"; "daffodils"'
"""Lines as wndb(5) has them."""


def test_a_line_gives_its_word_with_its_definition_and_the_examples() -> None:
    """What is in brackets is left out, and examples of one word."""
    assert list(dictionary.said_of(NOUN)) == ["Badger, sturdy mammal.", "The badger dug.", "Two badgers."]
    assert list(dictionary.said_of(ADJECTIVE)) == ["Galore, in great numbers.", "Whiskey galore."]


@pytest.mark.parametrize(
    "line",
    [
        "  1 This software and database is being provided | to you",
        "00000001 05 n 01 badger 0 000 | an offensive term for a man",
        "00000001 05 n 01 badger 0 000 @",
    ],
)
def test_other_lines_give_nothing(line: str) -> None:
    """Neither the licence, nor what is rude, nor what has no gloss."""
    assert list(dictionary.said_of(line)) == []


def test_questions_keep_their_mark() -> None:
    """A full stop is put only where there is no mark."""
    line = '00000001 05 n 01 how 0 000 | in what way; "how did it go?"; "how odd!"'
    assert list(dictionary.said_of(line))[1:] == ["How did it go?", "How odd!"]


def test_sentences_are_of_the_lexicon_and_come_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those with a word that has no phones are left out."""

    def unpack(root: Path, packages: tuple[str, ...]) -> None:
        folder = root / "usr/share/wordnet"
        folder.mkdir(parents=True)
        for name in ("data.noun", "data.verb", "data.adj", "data.adv"):
            (folder / name).write_text(NOUN + "\n" + NOUN.replace("sturdy", "xylqu"), "utf-8")

    monkeypatch.setattr(dictionary, "unpack_debian", unpack)
    assert dictionary.sentences(Lexicon.load(LEXICON)) == ["Badger, sturdy mammal.", "The badger dug.", "Two badgers."]
