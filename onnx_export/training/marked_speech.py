"""Sentences of all kinds, each said by the teacher as a question or an exclamation: what `marks` learns from.

Most sentences that have such a mark have it for their words' sake. Said with a mark of chance, they tell what the mark
itself changes.
"""

import random
from collections.abc import Iterator
from functools import partial
from itertools import islice

from tqdm import tqdm

from .assistant_text import AssistantText
from .data import UTTERANCES_PER_SHARD, Sources, Utterance, letters_of, make_shard, spoken_words, utterance
from .dialogue_text import DialogueText
from .paths import WRITTEN, WorkFolder, written_lines
from .prosody_text import lines
from .speech import RAISED_MARKS, SpokenWord, Teacher
from .voices import recipe_of

KIND = "marked"
"""What the names of these shards begin with."""
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
        speak_shard = partial(_speak_shard, shard=shard, sources=sources)
        make_shard(folder.shards / f"{KIND}_{shard:04}", recipe, _SEED + shard, speak_shard)


def _speak_shard(teacher: Teacher, shard: int, sources: Sources) -> Iterator[Utterance]:
    texts = sentences(sources, random.Random(_SEED * 1000 + shard))
    for text, words in islice(texts, UTTERANCES_PER_SHARD):
        yield utterance(text, words, 1.0, teacher.speak(words))


def sentences(sources: Sources, generator: random.Random) -> Iterator[tuple[str, list[SpokenWord]]]:
    """Without end: one short sentence each, its words, and behind them one of the marks; none that is held out."""
    assistant = AssistantText(sources.lexicon, generator)
    dialogue = DialogueText(sources.lexicon, sources.common, generator)
    texts = [line for name in WRITTEN for line in written_lines(name)] + [line.text for line in lines()]
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
        if mark not in RAISED_MARKS or generator.random() > _OWN_MARK_SHARE:
            mark = generator.choice(RAISED_MARKS)
        words[-1] = SpokenWord(words[-1].text, words[-1].phones, mark)
        text = " ".join(word.text + word.mark for word in words)
        if len(words) <= _MOST_WORDS and letters_of(text) not in forbidden:
            yield text, words


def _last_sentence(words: list[SpokenWord]) -> list[SpokenWord]:
    begins = [place for place, word in enumerate(words[:-1], 1) if word.mark in (".", *RAISED_MARKS)]
    return words[begins[-1] :] if begins else words
