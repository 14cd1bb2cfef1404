from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("tqdm", reason="the `export` extra is not installed")
pytest.importorskip("soxr", reason="the `export` extra is not installed")

from voicestack.onnx_export.training import data
from voicestack.onnx_export.training.paths import LEXICON, WRITTEN, written_lines
from voicestack.onnx_export.training.speech import Speech, SpokenWord
from voicestack.runtime.text import Lexicon


class Mute:
    """A teacher that says nothing, and remembers the rates it was asked for."""

    def __init__(self) -> None:
        self.scales: list[float] = []

    def speak(self, words: list[SpokenWord], *, length_scale: float = 1.0) -> Speech:
        self.scales.append(length_scale)
        return Speech(np.zeros(len(words), np.int16), [0.0])


@pytest.fixture(scope="module")
def sources() -> data.Sources:
    sentences = [f"The {noun} is {word}." for noun in ("garden", "window") for word in ("open", "green") for _ in "ab"]
    entries = [f"The {noun} is {word}." for noun in ("otter", "walrus", "badger") for word in ("gaunt", "aloof")]
    return data.Sources(Lexicon.load(LEXICON), sentences, lambda: entries)


def shard(number: int, sources: data.Sources, teacher: Mute | None = None) -> Iterator[data.Utterance]:
    return data._speak_shard(teacher or Mute(), number, sources)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [3, 200, 600])
def test_a_shard_depends_on_its_number_alone(number: int, sources: data.Sources) -> None:
    """It is the same whatever was made before it, and another number makes another."""
    texts = [[u.text for u in shard(place, sources)] for place in (number, number + 1, number)]
    assert texts[0] == texts[2] != texts[1]
    assert len(texts[0]) > data.UTTERANCES_PER_SHARD - 5  # What is held out by chance is left out.


def test_later_shards_are_mostly_what_an_assistant_says(sources: data.Sources) -> None:
    """At most a third of their utterances are of the corpus, and the teacher speaks at many rates."""
    teacher = Mute()
    utterances = list(shard(200, sources, teacher))
    assert sum(u.text in sources.sentences for u in utterances) < 40
    assert teacher.scales.count(1.0) > 30
    assert min(teacher.scales) < 0.85
    assert max(teacher.scales) > 1.25


def test_half_of_the_last_shards_is_of_the_dictionary(sources: data.Sources) -> None:
    """In the shards behind the dialogues its entries come in turn, from the first one on, and in no other shard."""
    of_it = [u.text in sources.dictionary for u in shard(600, sources)]
    assert 35 < sum(of_it) < 65
    assert not any(u.text in sources.dictionary for number in (3, 569) for u in shard(number, sources))
    assert sources.entries_of(570)[:6] == sources.dictionary
    assert sources.entries_of(571)[0] == sources.dictionary[100 % 6]


def test_held_out_sentences_are_never_spoken() -> None:
    """Not even when they come as corpus sentences, with other marks."""
    lines = [line.rstrip(".?!") + "!" for name in WRITTEN for line in written_lines(name) if line.isascii()]
    plain = [line for line in lines if not any(char.isdigit() for char in line) and "$" not in line]
    sources = data.Sources(Lexicon.load(LEXICON), plain, lambda: plain)
    assert not {u.text for number in (3, 200, 600) for u in shard(number, sources)} & set(plain)


def test_common_words_are_those_that_come_up_often(sources: data.Sources) -> None:
    """A word said four times is common, one said twice is not."""
    assert sources.common == ["garden", "green", "is", "open", "the", "window"]
    assert data.Sources(sources.lexicon, sources.sentences[:3]).common == []
