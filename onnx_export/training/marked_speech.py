"""Sentences of all kinds, each said by the teacher as a question or an exclamation: what `marks` learns from.

Most sentences that have such a mark have it for their words' sake. Said with a mark of chance, they tell what the mark
itself changes.
"""

import random
from collections.abc import Iterator

import onnxruntime as ort
from tqdm import tqdm

from .assistant_text import AssistantText
from .data import UTTERANCES_PER_SHARD, Sources, letters_of, spoken_words, utterance, write_shard
from .dialogue_text import DialogueText
from .paths import EVERYDAY, WorkFolder
from .prosody_text import lines
from .speech import SpokenWord
from .voices import recipe_of

KIND = "marked"
"""What the names of these shards begin with."""
MARKS = ("?", "!")
_DIALOGUE_SHARE, _TEMPLATE_SHARE = 0.40, 0.15
_OWN_MARK_SHARE = 0.7
"""Of the sentences that have one of these marks already."""
_MOST_WORDS = 14
_SEED = 20261127


def speak(folder: WorkFolder, shards: int) -> None:
    """Make the shards that are not there yet; the first is never learned from."""
    folder.shards.mkdir(parents=True, exist_ok=True)
    sources, recipe = Sources.of(folder), recipe_of(folder)
    for shard in tqdm(range(shards), desc=KIND):
        stem = folder.shards / f"{KIND}_{shard:04}"
        if stem.with_suffix(".jsonl").exists():
            continue
        # A graph draws its noise by the seed there is when it is opened: a teacher for every shard.
        ort.set_seed(_SEED + shard)
        teacher, texts = recipe.speak(), sentences(sources, random.Random(_SEED * 1000 + shard))
        said = ((*next(texts), 1.0) for _ in range(UTTERANCES_PER_SHARD))
        write_shard(stem, [utterance(text, words, scale, teacher.speak(words)) for text, words, scale in said])


def sentences(sources: Sources, generator: random.Random) -> Iterator[tuple[str, list[SpokenWord]]]:
    """Without end: one short sentence each, its words, and behind them one of the marks; none that is held out."""
    assistant = AssistantText(sources.lexicon, generator)
    dialogue = DialogueText(sources.lexicon, sources.common, generator)
    texts = (*EVERYDAY.read_text("utf-8").splitlines(), *(line.text for line in lines()))
    forbidden = {letters_of(text) for text in texts}
    while True:
        draw = generator.random()
        if draw < _DIALOGUE_SHARE:
            _, words = dialogue.utterance()
        else:
            of_template = draw < _DIALOGUE_SHARE + _TEMPLATE_SHARE
            text = assistant.sentence() if of_template else generator.choice(sources.sentences)
            words = spoken_words(text, sources.lexicon)
        words = _last_sentence(words)
        mark = words[-1].mark
        if mark not in MARKS or generator.random() > _OWN_MARK_SHARE:
            mark = generator.choice(MARKS)
        words[-1] = SpokenWord(words[-1].text, words[-1].phones, mark)
        text = " ".join(word.text + word.mark for word in words)
        if len(words) <= _MOST_WORDS and letters_of(text) not in forbidden:
            yield text, words


def _last_sentence(words: list[SpokenWord]) -> list[SpokenWord]:
    begins = [place for place, word in enumerate(words[:-1], 1) if word.mark in (".", *MARKS)]
    return words[begins[-1] :] if begins else words
