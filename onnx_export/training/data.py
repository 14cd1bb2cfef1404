"""Stage `data`: sentences spoken by the teacher, with exact phone onsets, in shards that a crash cannot half-write.

A shard is `shard_0000.npz` (pcm int16 24 kHz, all utterances end to end, and their ends) beside `shard_0000.jsonl`
(one line an utterance: text, words as [spelling, phones, mark], onsets_s per phone and mark, length_scale).
Shard contents depend on the seed and the shard number only, so shards may be made in any order, by several workers.
"""

import json
import random
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tqdm import tqdm

from voicestack.runtime.text.lexicon import Lexicon

from . import corpus
from .assistant_text import AssistantText
from .paths import EVERYDAY, LEXICON, WorkFolder
from .teacher import SAMPLE_RATE_HZ, SpokenWord, Teacher

UTTERANCES_PER_SHARD = 100
HELD_OUT_CORPUS_SENTENCES = 100
_ASSISTANT_SHARE = 0.45
_SEED = 20261122


@dataclass(frozen=True, slots=True)
class Utterance:
    """One spoken sentence. pcm: int16 [samples] at 24 kHz; onsets_s per phone and mark in order."""

    text: str
    words: list[tuple[str, tuple[str, ...], str]]
    onsets_s: list[float]
    length_scale: float
    pcm: NDArray[np.int16]


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
    lexicon = Lexicon.load(LEXICON)
    sentences = _corpus_sentences(folder, lexicon)
    teacher: Teacher | None = None
    with tqdm(total=hours, unit="h", desc="data", bar_format="{l_bar}{bar}| {n:.2f}/{total:.1f} h [{elapsed}]") as bar:
        for shard in range(part[0], 100_000, part[1]):
            done_hours = sum(seconds_of(path) for path in folder.shard_files()) / 3600
            bar.n = done_hours
            bar.refresh()
            if done_hours >= hours:
                return
            if not (folder.shards / f"shard_{shard:04}.jsonl").exists():
                teacher = teacher or Teacher()
                _write_shard(folder.shards, shard, list(_speak_shard(teacher, shard, sentences, lexicon)))


def read_shard(path: Path) -> Iterator[Utterance]:
    """Utterances of one shard, given its `.jsonl`."""
    arrays = np.load(path.with_suffix(".npz"))
    pcm, ends = arrays["pcm"], arrays["ends"]
    start = 0
    for line, end in zip(path.read_text("utf-8").splitlines(), ends, strict=True):
        fields = json.loads(line)
        fields["words"] = [(word, tuple(phones), mark) for word, phones, mark in fields["words"]]
        yield Utterance(**fields, pcm=pcm[start:end])
        start = int(end)


def seconds_of(path: Path) -> float:
    """Seconds of speech in one shard, given its `.jsonl`."""
    with np.load(path.with_suffix(".npz")) as arrays:
        return float(arrays["ends"][-1]) / SAMPLE_RATE_HZ


def held_out(folder: WorkFolder) -> dict[str, list[str]]:
    """The two held-out sets by name: `everyday` (with digits, as a user writes) and `corpus`."""
    return {
        "everyday": EVERYDAY.read_text("utf-8").splitlines(),
        "corpus": folder.sentences.read_text("utf-8").splitlines()[:HELD_OUT_CORPUS_SENTENCES],
    }


def _corpus_sentences(folder: WorkFolder, lexicon: Lexicon) -> list[str]:
    """Training sentences; the first lines of the saved file are the held-out ones."""
    if not folder.sentences.exists():
        found = corpus.sentences(lexicon)
        random.Random(_SEED).shuffle(found)
        folder.sentences.write_text("\n".join(found) + "\n", "utf-8")
    forbidden = {_key(text) for texts in held_out(folder).values() for text in texts}
    lines = folder.sentences.read_text("utf-8").splitlines()
    return [line for line in lines if _key(line) not in forbidden]


def _key(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def _speak_shard(teacher: Teacher, shard: int, sentences: list[str], lexicon: Lexicon) -> Iterator[Utterance]:
    generator = random.Random(_SEED * 1000 + shard)
    ort.set_seed(_SEED + shard)
    assistant = AssistantText(lexicon, generator)
    forbidden = {_key(line) for line in EVERYDAY.read_text("utf-8").splitlines()}
    for place in range(shard * UTTERANCES_PER_SHARD, (shard + 1) * UTTERANCES_PER_SHARD):
        text = assistant.sentence() if generator.random() < _ASSISTANT_SHARE else sentences[place % len(sentences)]
        if _key(text) in forbidden:
            continue
        words = spoken_words(text, lexicon)
        length_scale = 1.0 if generator.random() < 0.6 else round(generator.uniform(0.85, 1.25), 3)
        speech = teacher.speak(words, length_scale=length_scale)
        yield Utterance(text, [(w.text, w.phones, w.mark) for w in words], speech.onsets_s, length_scale, speech.pcm)


def _write_shard(folder: Path, shard: int, utterances: list[Utterance]) -> None:
    stem = folder / f"shard_{shard:04}"
    ends = np.cumsum([utterance.pcm.size for utterance in utterances])
    np.savez(stem.with_suffix(".npz"), pcm=np.concatenate([u.pcm for u in utterances]), ends=ends)
    lines = []
    for utterance in utterances:
        fields = asdict(utterance)
        del fields["pcm"]
        lines.append(json.dumps(fields))
    partial = stem.with_suffix(".partial")
    partial.write_text("\n".join(lines) + "\n", "utf-8")
    partial.rename(stem.with_suffix(".jsonl"))
