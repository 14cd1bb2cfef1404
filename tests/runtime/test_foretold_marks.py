"""The mark that closes a sentence, told to the voice before the sentence begins, where it has been written by then."""

import dataclasses
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.runtime import Bundle, Engine, SamplingParams, StreamSpec
from voicestack.runtime.cued_feed import CuedFeed
from voicestack.runtime.names import END, NEXT
from voicestack.runtime.text import Lexicon, TextFrontEnd
from voicestack.runtime.text.phones import MARKS, Token, begin_token
from voicestack.runtime.text_queue import TextQueue

LEARNED = ("?", "!")
LONG = "The lamp is on and" + " on and" * 80 + " on?"
TEXT = f"So, the lamp is on! Is the lamp on? It is. [pause 0.2s] {LONG} So on!! Good?"


@pytest.fixture(scope="module")
def lexicon(tiny: Bundle) -> Lexicon:
    return Lexicon.load(tiny.lexicon_path)


def said(lexicon: Lexicon, pieces: Iterable[str]) -> list[list[Token]]:
    """The tokens of each sentence as a voice gets them, the first row's among them; pieces come when they must."""
    queue, left, sentences = TextQueue(TextFrontEnd(lexicon)), iter(pieces), list[list[Token]]()
    while (more := queue.has_more()) is not False:
        if more is None:
            push_one(queue, left)
        elif not queue.take_pause():
            sentences.append(one_sentence(queue, left))
    return sentences


def one_sentence(queue: TextQueue, left: Iterable[str]) -> list[Token]:
    feed, tokens = CuedFeed(foretold_marks=LEARNED), list[Token]()
    while not feed.ended:
        while not queue.supply(feed):
            push_one(queue, left)
        tokens += [(row[0], row[1]) for row in feed.rows()]
        feed.heed(END if feed.complete and feed.tokens_fed == len(feed.tokens) else NEXT)
    queue.take_back(feed)
    return tokens


def push_one(queue: TextQueue, left: Iterable[str]) -> None:
    piece = next(iter(left), None)
    queue.finish() if piece is None else queue.push(piece)


def test_a_sentence_that_was_written_is_told_its_mark(lexicon: Lexicon) -> None:
    """All but a full stop, of which the voice learned nothing; of a sentence said in parts the last is told."""
    firsts = [sentence[0] for sentence in said(lexicon, [TEXT])]
    assert firsts[:3] == [begin_token(mark) for mark in ("!", "?", "")]
    assert firsts[-3:] == [begin_token(mark) for mark in ("?", "!", "?")]
    assert set(firsts[3:-3]) == {begin_token()}


def test_a_sentence_that_is_still_being_written_is_not(lexicon: Lexicon) -> None:
    """It begins as soon as three tokens of it are there, and does not wait for its end."""
    assert said(lexicon, ["The lamp is on and ", "on! So"])[0][0] == begin_token()
    assert said(lexicon, ["The lamp is on and on! So"])[0][0] == begin_token("!")


@given(cuts=st.lists(st.integers(0, len(TEXT)), max_size=40))
def test_when_the_text_comes_changes_nothing_else(lexicon: Lexicon, cuts: list[int]) -> None:
    """However it is cut, the tokens are the same, and a mark that is told is the one that closes the sentence."""
    places = sorted({0, *cuts, len(TEXT)})
    pieces = [TEXT[begin:end] for begin, end in zip(places, places[1:], strict=False)]
    whole, cut = said(lexicon, [TEXT]), said(lexicon, pieces)
    assert [sentence[1:] for sentence in cut] == [sentence[1:] for sentence in whole]
    assert all(one[0] in (begin_token(), other[0]) for one, other in zip(cut, whole, strict=True))


def test_each_mark_has_a_first_token_of_its_own() -> None:
    """And none is that of a mark which is not known."""
    assert len({begin_token(mark) for mark in ("", *MARKS)}) == 1 + len(MARKS)


def test_a_voice_is_told_the_marks_it_has_learned_about(tiny: Bundle) -> None:
    """Its bundle names them; a voice that names none is told none."""
    spec = StreamSpec(SamplingParams(seed=1))
    assert Engine(tiny).admit(spec).feed.foretold_marks == ()
    text = dataclasses.replace(tiny.manifest.text, foretold_marks=LEARNED)
    learned = Bundle(tiny.path, dataclasses.replace(tiny.manifest, text=text))
    assert Engine(learned).admit(spec).feed.foretold_marks == LEARNED
