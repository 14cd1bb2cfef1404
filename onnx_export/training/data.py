"""Stage `data`: sentences spoken by the teacher, with exact phone onsets, in shards that a crash cannot half-write.

A shard is `shard_0000.npz` (pcm int16 24 kHz, all utterances end to end, and their ends) beside `shard_0000.jsonl`
(one line an utterance: text, words as [spelling, phones, mark], onsets_s per phone and mark, length_scale).
Shard contents depend on the seed and the shard number only, so shards may be made in any order, by several workers.
The first shards are those of the first voice; what an assistant says has a larger and richer part in those behind them,
and half of the last ones is of a dictionary.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tqdm import tqdm

from voicestack.runtime.errors import InputError
from voicestack.runtime.text.lexicon import Lexicon

from . import corpus, dictionary
from .assistant_text import AssistantText
from .dialogue_text import DialogueText
from .paths import LEXICON, WRITTEN, WorkFolder, whole_file, written_lines
from .speech import SAMPLE_RATE_HZ, Speech, SpokenWord, Teacher
from .voices import VoiceRecipe, recipe_of

UTTERANCES_PER_SHARD = 100
HELD_OUT_CORPUS_SENTENCES = 100
_FIRST_DIALOGUE_SHARD, _FIRST_DICTIONARY_SHARD = 140, 570
_ASSISTANT_SHARE = 0.45
_DIALOGUE_SHARE, _TEMPLATE_SHARE = 0.60, 0.12
"""Of the later shards: the share of what `DialogueText` makes, and of the first shards' assistant sentences."""
_DICTIONARY_SHARE = 0.5
"""Of the last shards; the rest of them is as in those before."""
_COMMON_WORD_TIMES = 4
_SEED = 20261122


Line = tuple[str, list[SpokenWord], Callable[[], float]]
"""A text, its words, and what draws its length scale."""


@dataclass(frozen=True, slots=True)
class Script:
    """A spoken sentence without its sound; onsets_s per phone and mark in order."""

    text: str
    words: list[tuple[str, tuple[str, ...], str]]
    onsets_s: list[float]
    length_scale: float


@dataclass(frozen=True, slots=True)
class Utterance(Script):
    """One spoken sentence. pcm: int16 [samples] at 24 kHz."""

    pcm: NDArray[np.int16]


@dataclass(frozen=True)
class Sources:
    """What the texts of all shards are drawn from."""

    lexicon: Lexicon
    sentences: list[str]
    look_up: Callable[[], list[str]] = list
    """What gives the dictionary's sentences: only the last shards want them."""

    @classmethod
    def of(cls, folder: WorkFolder) -> "Sources":
        """The lexicon, and the sentences of a work folder but for those that are held out."""
        lexicon = Lexicon.load(LEXICON)
        look_up = partial(_dictionary_sentences, folder, lexicon)
        return cls(lexicon, _corpus_sentences(folder, lexicon), look_up)

    @cached_property
    def dictionary(self) -> list[str]:
        """The dictionary's sentences."""
        return self.look_up()

    def sentences_of(self, shard: int) -> list[str]:
        """As many corpus sentences as a shard has utterances; which of them are said is drawn later."""
        return _in_turn(self.sentences, shard)

    def entries_of(self, shard: int) -> list[str]:
        """As many sentences of the dictionary."""
        return _in_turn(self.dictionary, shard - _FIRST_DICTIONARY_SHARD)

    @cached_property
    def common(self) -> list[str]:
        """Words that the corpus has more than once or twice."""
        counts = Counter(word for sentence in self.sentences for word in corpus.words_of(sentence))
        return sorted(word for word, times in counts.items() if times >= _COMMON_WORD_TIMES and len(word) > 1)


def _in_turn(sentences: list[str], shard: int) -> list[str]:
    places = range(shard * UTTERANCES_PER_SHARD, (shard + 1) * UTTERANCES_PER_SHARD)
    return [sentences[place % len(sentences)] for place in places]


def spoken_words(text: str, lexicon: Lexicon) -> list[SpokenWord]:
    """Words of a sentence whose every word the lexicon knows; single capitals are letter names."""
    words: list[SpokenWord] = []
    for spelling, mark in re.findall(r"([A-Za-z][A-Za-z']*)\s*([,.?!]?)", text):
        is_letter = len(spelling) == 1 and spelling.isupper() and spelling != "I" and (spelling != "A" or bool(words))
        phones = lexicon.letter_name(spelling.lower()) if is_letter else lexicon.phones(spelling.lower())
        if phones is None:
            raise KeyError(f"the lexicon lacks {spelling!r} of {text!r}")
        words.append(SpokenWord(spelling, phones, mark))
    return words


def make(folder: WorkFolder, *, hours: float, part: tuple[int, int] = (0, 1)) -> None:
    """Make shards until `hours` of speech exist, taking every part[1]-th shard from part[0] on."""
    folder.shards.mkdir(parents=True, exist_ok=True)
    sources, recipe = Sources.of(folder), recipe_of(folder)
    with tqdm(total=hours, unit="h", desc="data", bar_format="{l_bar}{bar}| {n:.2f}/{total:.1f} h [{elapsed}]") as bar:
        for shard in range(recipe.first_shard + part[0], 100_000, part[1]):
            done_hours = sum(seconds_of(path) for path in folder.shard_files()) / 3600
            bar.n = done_hours
            bar.refresh()
            if done_hours >= hours:
                return
            speak = partial(_speak_shard, shard=shard, sources=sources)
            make_shard(folder.shards / f"shard_{shard:04}", recipe, _SEED + shard, speak)


def make_shard(stem: Path, recipe: VoiceRecipe, seed: int, speak: Callable[[Teacher], Iterable[Utterance]]) -> None:
    """Let the teacher speak a shard that is not there yet, given its path without suffix."""
    if not stem.with_suffix(".jsonl").exists():
        # A graph draws its noise by the seed there is when it is opened: a teacher for every shard.
        ort.set_seed(seed)
        write_shard(stem, list(speak(recipe.speak())))


def read_scripts(path: Path) -> Iterator[Script]:
    """What one shard says, given its `.jsonl`."""
    for line in path.read_text("utf-8").splitlines():
        fields = json.loads(line)
        fields["words"] = [(word, tuple(phones), mark) for word, phones, mark in fields["words"]]
        yield Script(**fields)


def read_pcm(path: Path) -> list[NDArray[np.int16]]:
    """The sound of one shard's utterances, given its `.jsonl`."""
    with np.load(path.with_suffix(".npz")) as arrays:
        return np.split(arrays["pcm"], arrays["ends"][:-1])


def read_ends(path: Path) -> NDArray[np.int64]:
    """The sample in which each utterance of one shard ends, given its `.jsonl`; the sound is not read."""
    with np.load(path.with_suffix(".npz")) as arrays:
        ends: NDArray[np.int64] = arrays["ends"]
        return ends


def read_shard(path: Path) -> Iterator[Utterance]:
    """Utterances of one shard, given its `.jsonl`."""
    for script, pcm in zip(read_scripts(path), read_pcm(path), strict=True):
        yield Utterance(script.text, script.words, script.onsets_s, script.length_scale, pcm)


def seconds_of(path: Path) -> float:
    """Seconds of speech in one shard, given its `.jsonl`."""
    return float(read_ends(path)[-1]) / SAMPLE_RATE_HZ


def held_out(folder: WorkFolder) -> dict[str, list[str]]:
    """The held-out sets by name: `everyday` (with digits, as a user writes), `corpus`, `unusual` (words rarely met)."""
    if not folder.sentences.exists():
        raise InputError(
            f"{folder.sentences}: no such file; the stage `data` writes it, before it speaks the first shard"
        )
    corpus_lines = folder.sentences.read_text("utf-8").splitlines()
    return {
        "everyday": written_lines("everyday"),
        "corpus": corpus_lines[:HELD_OUT_CORPUS_SENTENCES],
        "unusual": written_lines("unusual"),
    }


def _corpus_sentences(folder: WorkFolder, lexicon: Lexicon) -> list[str]:
    """Training sentences; the first lines of the saved file are the held-out ones."""
    _shuffled(folder.sentences, lexicon, corpus.sentences)
    return _but_for_held_out(folder, folder.sentences)


def _dictionary_sentences(folder: WorkFolder, lexicon: Lexicon) -> list[str]:
    _shuffled(folder.dictionary, lexicon, dictionary.sentences)
    return _but_for_held_out(folder, folder.dictionary)


def _shuffled(path: Path, lexicon: Lexicon, sentences: Callable[[Lexicon], list[str]]) -> None:
    """Save sentences in a random order, unless that was done before."""
    if not path.exists():
        found = sentences(lexicon)
        random.Random(_SEED).shuffle(found)
        with whole_file(path) as aside:
            aside.write_text("\n".join(found) + "\n", "utf-8")


def _but_for_held_out(folder: WorkFolder, path: Path) -> list[str]:
    forbidden = {letters_of(text) for texts in held_out(folder).values() for text in texts}
    return [line for line in path.read_text("utf-8").splitlines() if letters_of(line) not in forbidden]


def letters_of(text: str) -> str:
    """What two texts have in common that differ in nothing but case, marks and spaces."""
    return re.sub(r"[^a-z]", "", text.lower())


def _speak_shard(teacher: Teacher, shard: int, sources: Sources) -> Iterator[Utterance]:
    generator = random.Random(_SEED * 1000 + shard)
    forbidden = {letters_of(line) for name in WRITTEN for line in written_lines(name)}
    for text, words, length_scale in _texts(generator, shard, sources):
        if letters_of(text) not in forbidden:
            scale = length_scale()
            speech = teacher.speak(words, length_scale=scale)
            yield utterance(text, words, scale, speech)


def utterance(text: str, words: list[SpokenWord], length_scale: float, speech: Speech) -> Utterance:
    """What a teacher said of a text, and how."""
    plain = [(word.text, word.phones, word.mark) for word in words]
    return Utterance(text, plain, speech.onsets_s, length_scale, speech.pcm)


def _texts(generator: random.Random, shard: int, sources: Sources) -> Iterator[Line]:
    if shard < _FIRST_DIALOGUE_SHARD:
        yield from _first_texts(generator, shard, sources)
    elif shard < _FIRST_DICTIONARY_SHARD:
        yield from _dialogue_texts(generator, shard, sources)
    else:
        for line, entry in zip(_dialogue_texts(generator, shard, sources), sources.entries_of(shard), strict=True):
            is_entry = generator.random() < _DICTIONARY_SHARE
            yield (entry, spoken_words(entry, sources.lexicon), line[2]) if is_entry else line


def _first_texts(generator: random.Random, shard: int, sources: Sources) -> Iterator[Line]:
    """What is said in one of the first shards."""
    assistant = AssistantText(sources.lexicon, generator)
    for sentence in sources.sentences_of(shard):
        text = assistant.sentence() if generator.random() < _ASSISTANT_SHARE else sentence
        yield text, spoken_words(text, sources.lexicon), partial(_length_scale, generator, 0.6, 0.85, 1.25)


def _dialogue_texts(generator: random.Random, shard: int, sources: Sources) -> Iterator[Line]:
    """What is said in a later shard: at more rates, since a voice that is asked for a length must know them."""
    assistant = AssistantText(sources.lexicon, generator)
    dialogue = DialogueText(sources.lexicon, sources.common, generator)
    for sentence in sources.sentences_of(shard):
        draw = generator.random()
        if draw < _DIALOGUE_SHARE:
            text, words = dialogue.utterance()
        else:
            text = assistant.sentence() if draw < _DIALOGUE_SHARE + _TEMPLATE_SHARE else sentence
            words = spoken_words(text, sources.lexicon)
        yield text, words, partial(_length_scale, generator, 0.5, 0.75, 1.4)


def _length_scale(generator: random.Random, usual_share: float, fastest: float, slowest: float) -> float:
    return 1.0 if generator.random() < usual_share else round(generator.uniform(fastest, slowest), 3)


def write_shard(stem: Path, utterances: list[Utterance]) -> None:
    """Write one shard, given its path without suffix."""
    ends = np.cumsum([utterance.pcm.size for utterance in utterances])
    np.savez(stem.with_suffix(".npz"), pcm=np.concatenate([u.pcm for u in utterances]), ends=ends)
    lines = []
    for utterance in utterances:
        fields = asdict(utterance)
        del fields["pcm"]
        lines.append(json.dumps(fields))
    with whole_file(stem.with_suffix(".jsonl")) as aside:
        aside.write_text("\n".join(lines) + "\n", "utf-8")
