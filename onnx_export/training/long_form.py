"""Stage `long-form`: ten minutes of speech without a break, measured by the minute, for what changes as it goes on.

Held-out sentences, everyday and corpus in turn, are streamed word by word as one text into one `Speaker.speak`. Its
sound is cut where the voice ends a sentence. The recogniser hears it in stretches of whole sentences that fit into its
window of 30 s, so that its own slips cannot spread. The teacher says the same sentences one by one and is heard in the
same stretches, so what the text causes can be told from drift.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from voicestack.runtime import Bundle, Event, SamplingParams, Speaker
from voicestack.runtime.text import Lexicon, TextFrontEnd, Word, spoken_form

from .data import held_out
from .evaluate import weights_hash
from .judges import Recogniser, SpeakerJudge
from .long_form_summary import MINUTES, Record, draw, summarise, table
from .melody import loudness_db, silences, span_of
from .paths import LEXICON, VOICE, WorkFolder
from .pitch import STEP_S, PitchSpan, semitones, track
from .speech import SAMPLE_RATE_HZ
from .teacher_text import spoken_by
from .voices import recipe_of
from .word_errors import word_errors

_SEED = 0
_HEARD_AT_ONCE_S = 28.0
_SPAN_SENTENCES = 10


@dataclass(frozen=True, slots=True)
class Passage:
    """One sentence of the long speech. start_s: where in it it begins. pcm: float32 [samples] at 24 kHz."""

    text: str
    start_s: float
    pcm: NDArray[np.float32]

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.pcm.size / SAMPLE_RATE_HZ

    @property
    def minute(self) -> int:
        """The minute in which it begins, counted from 0."""
        return int(self.start_s // 60)


def run(folder: WorkFolder, *, voice: Path = VOICE) -> dict[str, Any]:
    """Speak for ten minutes, measure it beside the teacher, write the JSON and the plot, and return the summary."""
    stage = folder.stage("long-form")
    bundle = Bundle.load(voice)
    sets = held_out(folder)
    texts = [text for pair in zip(sets["everyday"], sets["corpus"], strict=False) for text in pair]
    passages = list(tqdm(_spoken(Speaker(bundle), texts), desc="speech", unit=" sentences"))
    teacher = _spoken_by_teacher(folder, passages)
    span = span_of(passage.pcm for passage in teacher[:_SPAN_SENTENCES])
    sentences: list[Record] = [
        {"text": own.text, "start_s": round(own.start_s, 3)}
        | {"voice": _measures(own, span), "teacher": _measures(theirs, span)}
        for own, theirs in zip(passages, teacher, strict=True)
    ]
    for sentence, gap_s in zip(sentences, _gaps_s(passages), strict=False):
        sentence["voice"]["gap_s"] = gap_s
    recogniser = Recogniser()
    stretches: list[Record] = [
        {"start_s": round(passages[part.start].start_s, 3)}
        | {"voice": _heard(passages[part], recogniser), "teacher": _heard(teacher[part], recogniser)}
        for part in tqdm(_stretches(passages, teacher), desc="recogniser")
    ]
    facts = {"voice": bundle.manifest.name, "weights": weights_hash(bundle.manifest)}
    summary = summarise(sentences, stretches, _similarities(passages, teacher), facts)
    found = {"summary": summary, "sentences": sentences, "stretches": stretches}
    (stage / "long_form.json").write_text(json.dumps(found, indent=1), "utf-8")
    draw(summary, stage / "long_form.png")
    print(table(summary))
    return summary


def _spoken(speaker: Speaker, texts: list[str]) -> Iterator[Passage]:
    """The sentences of one long speech as they end, until it has lasted long enough."""
    lexicon = Lexicon.load(LEXICON)
    due = np.cumsum([_word_count(text, lexicon) for text in texts])
    place, told, start_s, parts = 0, 0, 0.0, list[NDArray[np.float32]]()
    # A line break ends a sentence beyond doubt; an abbreviation before a blank may not.
    for chunk in speaker.speak(_streamed("\n".join(texts)), sampling=SamplingParams(seed=_SEED)):
        parts.append(chunk.pcm)
        told += len(chunk.words)
        if chunk.event in (Event.ENDED, Event.CAPPED) and told >= due[place]:
            passage = Passage(texts[place], start_s, np.concatenate(parts))
            yield passage
            place, start_s, parts = place + 1, start_s + passage.seconds, []
            if start_s >= MINUTES * 60:
                return


def _spoken_by_teacher(folder: WorkFolder, passages: list[Passage]) -> list[Passage]:
    """The same sentences, each said by itself."""
    spoken = spoken_by(recipe_of(folder).speak(), [passage.text for passage in passages])
    return [replace(own, pcm=pcm) for own, pcm in zip(passages, spoken, strict=True)]


def _streamed(text: str) -> Iterable[str]:
    return re.findall(r"\S+\s*", text)


def _word_count(text: str, lexicon: Lexicon) -> int:
    """How many words the voice tells the times of."""
    front_end = TextFrontEnd(lexicon)
    return sum(isinstance(event, Word) and bool(event.spelling) for event in front_end.push(text) + front_end.finish())


def _stretches(*sayings: list[Passage]) -> list[slice]:
    """Which sentences are heard together: as many of one minute as are short enough in every saying."""
    stretches, begin, count = [], 0, len(sayings[0])
    for end in range(1, count + 1):
        if end == count or sayings[0][begin].minute != sayings[0][end].minute or _is_long(sayings, begin, end + 1):
            stretches.append(slice(begin, end))
            begin = end
    return stretches


def _is_long(sayings: tuple[list[Passage], ...], begin: int, end: int) -> bool:
    return max(sum(said.seconds for said in saying[begin:end]) for saying in sayings) > _HEARD_AT_ONCE_S


def _heard(stretch: list[Passage], recogniser: Recogniser) -> Record:
    heard = recogniser.hear(np.concatenate([passage.pcm for passage in stretch]))
    errors = word_errors(" ".join(passage.text for passage in stretch), heard)
    return {"heard": heard, "words": errors.words, "edits": errors.edits}


def _measures(passage: Passage, span: PitchSpan) -> Record:
    """What is measured of one sentence by itself; its pitch is None where it has none."""
    pitch_hz = track(passage.pcm, SAMPLE_RATE_HZ, span)
    voiced_hz = pitch_hz[np.isfinite(pitch_hz)]
    median_hz = float(np.median(voiced_hz)) if voiced_hz.size else None
    silent = silences(passage.pcm)
    power = 10 ** (loudness_db(passage.pcm)[~silent] / 10)
    speech_s = float(np.ptp(np.flatnonzero(~silent)) + 1) * STEP_S
    return {
        "seconds": round(passage.seconds, 3),
        "pitch_hz": median_hz and round(median_hz, 2),
        "spread_st": median_hz and round(float(np.std(semitones(voiced_hz, median_hz))), 3),
        "loudness_db": round(float(10 * np.log10(power.mean())), 3),
        "words_per_s": round(len(spoken_form(passage.text).split()) / speech_s, 3),
    }


def _gaps_s(passages: list[Passage]) -> list[float]:
    """The silence between each sentence and the next: what one ends with and the other begins with."""
    all_silent = [silences(passage.pcm) for passage in passages]
    return [
        round(float(np.argmin(own[::-1]) + np.argmin(following)) * STEP_S, 3)
        for own, following in zip(all_silent, all_silent[1:], strict=False)
    ]


def _similarities(passages: list[Passage], teacher: list[Passage]) -> dict[str, list[float]]:
    """By the minute, against the mean of the teacher's minutes; those of the teacher against the mean of the others."""
    judge = SpeakerJudge()

    def embeddings(saying: list[Passage]) -> NDArray[np.float32]:
        minutes = [[said.pcm for said in saying if said.minute == minute] for minute in range(saying[-1].minute + 1)]
        return np.array([judge.embed(np.concatenate(pcms)) for pcms in minutes])

    def against(mean: NDArray[np.float32], embedding: NDArray[np.float32]) -> float:
        return round(float(embedding @ mean / np.linalg.norm(mean)), 4)

    theirs = embeddings(teacher)
    total = theirs.sum(0)
    return {
        "voice": [against(total, own) for own in embeddings(passages)],
        "teacher": [against(total - own, own) for own in theirs],
    }
