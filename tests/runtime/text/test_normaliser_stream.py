"""Text that arrives in pieces: what is given out when, in which form, at which cost."""

import re
import time
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicestack.runtime.text import Lexicon, Normaliser, Pause, PlainWord, SentenceEnd, Silence

PIECES = st.sampled_from(
    (
        "Hello there 3:45 p.m. 10:00 $23.50 $5 million 555-0142 (415) Dr. St. No. 5 e.g. U.S. J. 1987 1/2 **b** `c` "
        "``` # - * 1. /T AH0 M EY1/ /kæt/ / and/or https://x.co/a?b 😀 é — … “q” "
        "€3,50 3,50 € ₿5 Sat. cats.I mid-1990s St., -5 9/11 "
        "km 20 °C GPT4 A I ... ?! , ( ) | & @x #1 – ±"
    ).split()
    + ["\n", "\n\n", "\x00", "\t", "[pause 1s]", "[pause 0s]", "[pause"]
)
TEXTS = st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=12).flatmap(
    lambda pieces: st.sampled_from(["", " "]).map(lambda between: between.join(pieces))
)


@pytest.mark.parametrize(
    ("arrived", "heard"),
    [
        ("Hello the", ["hello"]),
        ("Hello there ", ["hello", "there"]),
        ("It is 10:00 ", ["it", "is"]),
        ("See /help me", ["see", "help"]),
    ],
)
def test_words_come_early(arrived: str, heard: list[str], lexicon: Lexicon) -> None:
    """A word is given out at the space after it; only numbers and abbreviations wait for the next one."""
    items = Normaliser(lexicon).push(arrived)
    assert [item.text for item in items if isinstance(item, PlainWord)] == heard


def test_sentence_end_comes_with_the_space(lexicon: Lexicon) -> None:
    """A full stop and a space end the sentence at once."""
    assert Normaliser(lexicon).push("Yes. ")[-2:] == [Pause("."), SentenceEnd()]


@given(text=TEXTS, data=st.data())
@example(text="at 10:00 p.m. Then /T AH0/ ok. 1. x", data=None)
def test_chunks_do_not_matter(text: str, data: st.DataObject | None, lexicon: Lexicon) -> None:
    """Any chunking of the input gives the same items."""
    sizes = [1] * len(text) if data is None else data.draw(st.lists(st.integers(0, 9), max_size=len(text)))
    whole, chunked = Normaliser(lexicon), Normaliser(lexicon)
    expected = whole.push(text) + whole.finish()
    items, place = [], 0
    for size in [*sizes, len(text)]:
        items += chunked.push(text[place : place + size])
        place += size
    assert items + chunked.finish() == expected


@given(text=TEXTS)
def test_items_are_well_formed(text: str, lexicon: Lexicon) -> None:
    """Sentences begin with a word and end with one closing mark; a word is plain letters."""
    normaliser = Normaliser(lexicon)
    previous: object = SentenceEnd()
    for item in normaliser.push(text) + normaliser.finish():
        if isinstance(item, PlainWord):
            assert item.phones or re.fullmatch(r"'?[a-z][a-z']*|[A-Z]", item.text)
        elif isinstance(item, Pause):
            assert isinstance(previous, PlainWord)
        elif isinstance(item, Silence):
            assert isinstance(previous, SentenceEnd | Silence)
        else:
            assert isinstance(previous, Pause)
            assert previous.mark != ","
        previous = item
    assert isinstance(previous, SentenceEnd | Silence)


@pytest.mark.parametrize(
    ("unit", "length"),
    [
        ("Pay $5 now, Dr. Li. ", 100_000),
        ("a", 100_000),
        ("1", 20_000),
        ("/T ", 20_000),
        ("[](", 20_000),
        ("[pause ", 20_000),
    ],
)
def test_long_text_is_linear(unit: str, length: int, lexicon: Lexicon) -> None:
    """Long text takes seconds at most, whatever it is, and at its end little of it is held back."""
    text = (unit * length)[:length]
    normaliser = Normaliser(lexicon)
    started_s = time.process_time()
    for place in range(0, len(text), 100):
        normaliser.push(text[place : place + 100])
    assert time.process_time() - started_s < 30  # about 1 s on an idle machine
    assert len(normaliser.finish()) < 500


def test_memory_is_bounded(lexicon: Lexicon) -> None:
    """What has been given out is not kept."""
    normaliser = Normaliser(lexicon)
    normaliser.push("Pay $5 now. " * 10)
    tracemalloc.start()
    for _ in range(50):
        normaliser.push("Pay $5 now, " * 10)
    kept, _peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 50_000


def test_normaliser_is_as_new_after_finish(lexicon: Lexicon) -> None:
    """What came before `finish` leaves no trace."""
    normaliser = Normaliser(lexicon)
    normaliser.push("```\ncode")
    normaliser.finish()
    assert [item.text for item in normaliser.push("Hello ") if isinstance(item, PlainWord)] == ["hello"]
