"""Silence asked for in the text: what is a tag, what is not, and where the sentence before it ends."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from voicestack.runtime.text import Lexicon, Mark, Normaliser, SentenceEnd, Silence, TextFrontEnd, Word, spoken_form
from voicestack.runtime.text.pause_tags import LONGEST_PAUSE_S, MAX_TAG_CHARACTERS

PIECES = st.sampled_from(
    [
        "[pause 0.5s]",
        "[PAUSE 500ms]",
        "[Pause: 2 seconds]",
        "[pause 0s]",
        "[pause",
        "[",
        "]",
        " ",
        "\n",
        "Hello",
        "5",
        "$",
    ]
    + [
        "[pause 99s]",
        "[pause one]",
        ".",
        ",",
        "- ",
        "```",
        "km",
        "million",
        "(/kæt/)",
        "https://x.co/",
        "[pause 1" + "0" * 40,
    ]
)
TEXTS = st.lists(PIECES, max_size=10).map("".join)


def pauses(text: str) -> list[float]:
    """The pauses in a text, in seconds."""
    normaliser = Normaliser()
    return [item.seconds for item in normaliser.push(text) + normaliser.finish() if isinstance(item, Silence)]


@pytest.mark.parametrize(
    ("tag", "seconds"),
    [
        ("[pause 0.5s]", 0.5), ("[pause 500ms]", 0.5), ("[PAUSE 1S]", 1.0), ("[Pause: 2 seconds]", 2.0),
        ("[pause=.25 sec]", 0.25), ("[pause 1.s]", 1.0), ("[pause 10s]", 10.0), ("[pause0.5s]", 0.5),
        ("[pause 1 second ]", 1.0), ("[pause\u00a01s]", 1.0),
    ],
)  # fmt: skip
def test_a_pause_is_silence_wherever_it_stands(tag: str, seconds: float) -> None:
    """Alone, between words or glued to them, and none of it is read aloud."""
    for text in (tag, f"Hello {tag} there", f"Hello{tag}there", f"Hello. {tag}There.", f"/kæt/{tag}", f"**{tag}**"):
        assert pauses(text) == [seconds]
        assert spoken_form(text) == spoken_form(text.replace(tag, " "))


@pytest.mark.parametrize(("tag", "heard"), [("[pause 11s]", [LONGEST_PAUSE_S]), ("[pause 99999ms]", [LONGEST_PAUSE_S])])
def test_a_pause_that_is_too_long_is_as_long_as_may_be(tag: str, heard: list[float]) -> None:
    """Ten seconds, whatever was asked for."""
    assert pauses(f"Hello {tag} there.") == heard


@pytest.mark.parametrize("tag", ["[pause 0s]", "[pause 0ms]", "[pause -1s]", "[pause -.5s]"])
def test_a_pause_of_no_length_is_a_blank(tag: str, lexicon: Lexicon) -> None:
    """It is not read aloud, and does not even end the sentence."""
    for text in ("Hello {} there", "5{}km", "$5 {} million", "Hello\n{}\nthere"):
        with_tag, without = Normaliser(lexicon), Normaliser(lexicon)
        expected = without.push(text.format(" ")) + without.finish()
        assert with_tag.push(text.format(tag)) + with_tag.finish() == expected


@pytest.mark.parametrize(
    "text",
    ["[pause]", "[pause 5]", "[pause one second]", "[pause 5 minutes]", "[paused 1s]", "pause 1s", "[pause 1s",
     "[pause\n1s]", "[pause 1s and 2s]", "[pause " + " " * MAX_TAG_CHARACTERS + "1s]"],
)  # fmt: skip
def test_what_only_looks_like_a_pause_is_text(text: str) -> None:
    """Words in brackets are read as words."""
    assert pauses(text) == []
    assert spoken_form(text).startswith("pause")


def test_the_sentence_before_a_pause_ends_there(lexicon: Lexicon) -> None:
    """With its mark, and the next begins behind the silence."""
    front_end = TextFrontEnd(lexicon)
    events = front_end.push("Wait, [pause 1s] now? [pause 2s]") + front_end.finish()
    assert [event.mark if isinstance(event, Mark) else type(event) for event in events] == [
        Word, ".", SentenceEnd, Silence, Word, "?", SentenceEnd, Silence,
    ]  # fmt: skip


def test_a_pause_in_code_is_not_made(lexicon: Lexicon) -> None:
    """What is not read aloud asks for nothing."""
    assert pauses("```\n[pause 1s]\n```\nHello") == []


@pytest.mark.parametrize(("arrived", "heard"), [("Hello [pau", 1), ("Hello [x", 1), ("Hello [note] ", 2)])
def test_a_bracket_holds_back_no_more_than_it_must(arrived: str, heard: int) -> None:
    """What stands before it is given out, and what cannot become a pause is, too."""
    assert len(Normaliser().push(arrived)) == heard


def test_a_pause_is_given_out_with_its_bracket() -> None:
    """Nothing behind it is waited for."""
    assert Normaliser().push("Hello [pause 1s]")[-1] == Silence(1.0)


@given(text=TEXTS, sizes=st.lists(st.integers(1, 9), max_size=60))
@example(text="x" * 195 + "[pause 1s]", sizes=[1] * 205)
@example(text="x[pause 1s]" * 3, sizes=[2] * 9)
def test_chunks_do_not_matter(text: str, sizes: list[int], lexicon: Lexicon) -> None:
    """Any chunking of the input gives the same words and the same pauses, and sentences end before a pause."""
    whole, chunked = TextFrontEnd(lexicon), TextFrontEnd(lexicon)
    expected = whole.push(text) + whole.finish()
    events, place = [], 0
    for size in [*sizes, len(text)]:
        events += chunked.push(text[place : place + size])
        place += size
    assert events + chunked.finish() == expected
    previous: object = SentenceEnd()
    for event in expected:
        if isinstance(event, Silence):
            assert isinstance(previous, SentenceEnd | Silence)
            assert 0 < event.seconds <= LONGEST_PAUSE_S
        previous = event
