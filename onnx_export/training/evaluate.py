"""Stage `evaluate`: a voice beside its teacher, sentence by sentence, by a recogniser and a speaker judge.

Every judged sentence is one line of `evaluate/results.jsonl`, keyed by the weights and the sampling it was made with:
an interrupted run goes on where it stopped, and another bundle is measured anew. The summary goes to
`evaluation_NAME.json`, NAME being the voice's, and a plot.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tqdm import tqdm

from voicestack.onnx_export.specs import CodecConfig
from voicestack.runtime import Bundle, Chunk, SamplingParams, Speaker
from voicestack.runtime.manifest import Manifest
from voicestack.runtime.names import WEIGHTS_FILE
from voicestack.runtime.text import Lexicon

from .codec import finished_decoder
from .data import held_out
from .hearing import hearing, places_of
from .judges import Recogniser, SpeakerJudge, Witness
from .lines import append_line, read_lines
from .paths import LEXICON, VOICE, WorkFolder, whole_file
from .resynthesis import Resynthesis
from .speech import SAMPLE_RATE_HZ, Teacher
from .summary import draw, said_by, summarise
from .teacher_text import teacher_words
from .voices import recipe_of
from .word_errors import word_errors

PREFIXES = (1, 3, 6, 8, 16, 32)
PREFIX_SENTENCES = 40
DURATION_SENTENCES = 40
DURATION_FACTORS = (0.9, 1.0, 1.15)
RUNAWAY_FACTOR = 1.5
SAYINGS = 3
"""How often each sentence is said: of one saying each, the words misheard vary by more than a tenth."""
_SEED = 1
_SEEDS_APART = 1000

Pcm = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One held-out sentence."""

    group: str
    index: int
    text: str


Job = tuple[str, Sentence, Callable[[], dict[str, Any]]]
"""The system judged, the sentence, and what measures it."""


def run(folder: WorkFolder, *, limit: int | None = None, voice: Path = VOICE) -> dict[str, Any]:
    """Judge everything not judged yet, write the JSON and the plot, and return the summary.

    With a limit, of so many sentences of each set, it is a look and no judgement: the summary is only printed.
    """
    stage = folder.stage("evaluate")
    bench = Bench(folder, voice)
    results = Results(stage / "results.jsonl", bench.weights_key)
    sentences = [
        Sentence(group, index, text)
        for group, texts in held_out(folder).items()
        for index, text in enumerate(texts[:limit])
    ]
    bench.require_codec()
    records = results.measure(list(_jobs(bench, sentences)), "evaluate")
    summary = summarise(records, bench.manifest_facts())
    if limit is None:
        path = folder.evaluation(bench.name)
        path.write_text(json.dumps({"summary": summary, "sentences": records}, indent=1), "utf-8")
        draw(summary, path.with_suffix(".png"))
    print(json.dumps(summary, indent=1))
    return summary


def _jobs(bench: "Bench", sentences: list[Sentence]) -> Iterator[Job]:
    for saying, sentence in product(range(SAYINGS), sentences):
        yield said_by("teacher", saying), sentence, partial(bench.judge_teacher, sentence, saying)
        yield said_by("voice", saying), sentence, partial(bench.judge_voice, sentence, saying)
    everyday = [sentence for sentence in sentences if sentence.group == "everyday"]
    for sentence in everyday[:DURATION_SENTENCES]:
        yield "duration", sentence, partial(bench.judge_duration, sentence)
    for sentence in everyday[:PREFIX_SENTENCES]:
        for depth in PREFIXES:
            yield f"codec_{depth}", sentence, partial(bench.judge_codec, sentence, depth)


class Results:
    """Append-only measured lines, each with the key of the weights it depends on; `key_of` gives it for a system."""

    def __init__(self, path: Path, key_of: Callable[[str], str]) -> None:
        self._path, self._key_of = path, key_of
        kept = [record for record in read_lines(path) if record["weights"] == key_of(record["system"])]
        self._records = {(r["system"], r["group"], r["index"]): r for r in kept}

    def find(self, system: str, sentence: Sentence) -> dict[str, Any] | None:
        """What was measured of this sentence; None if nothing was, or another text had its place then."""
        record = self._records.get((system, sentence.group, sentence.index))
        return record if record and record["text"] == sentence.text else None

    def measure(self, jobs: Sequence[Job], title: str) -> list[dict[str, Any]]:
        """The lines of all jobs, in their order; those whose lines are not there yet are done."""
        return [
            self.find(system, sentence) or self._add(system, sentence, measure())
            for system, sentence, measure in tqdm(jobs, desc=title)
        ]

    def _add(self, system: str, sentence: Sentence, measured: dict[str, Any]) -> dict[str, Any]:
        record = {"system": system, "group": sentence.group, "index": sentence.index, "text": sentence.text}
        record |= {"weights": self._key_of(system), **measured}
        self._records[system, sentence.group, sentence.index] = record
        append_line(self._path, record)
        return record


class Bench:
    """The voice, the teacher, the codec and the judges, each loaded when first asked for."""

    def __init__(self, folder: WorkFolder, voice: Path = VOICE) -> None:
        self._folder, self._voice = folder, voice

    @cached_property
    def _bundle(self) -> Bundle:
        return Bundle.load(self._voice)

    @cached_property
    def _speaker(self) -> Speaker:
        return Speaker(self._bundle)

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon.load(LEXICON)

    @cached_property
    def _teacher(self) -> Teacher:
        ort.set_seed(_SEED)
        return recipe_of(self._folder).speak()

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser()

    @cached_property
    def _witness(self) -> Witness:
        return Witness()

    @cached_property
    def _judge(self) -> SpeakerJudge:
        return SpeakerJudge()

    def weights_key(self, system: str) -> str:
        """What tells one set of weights from another, for one of the systems judged."""
        if system.startswith("teacher"):
            return ""
        return self._codec.key if system.startswith("codec_") else self._voice_key

    @property
    def name(self) -> str:
        """The voice's own."""
        return self._bundle.manifest.name

    @cached_property
    def _voice_key(self) -> str:
        return voice_key(self._bundle.manifest)

    @cached_property
    def _codec(self) -> Resynthesis:
        return Resynthesis(self._folder, finished_decoder(self._folder))

    def require_codec(self) -> None:
        """InputError when the work folder has no finished codec to judge."""
        _ = self._codec

    def manifest_facts(self) -> dict[str, Any]:
        """Whose figures these are: the hash of the weights, and the provenance its manifest tells."""
        return {"weights": weights_hash(self._bundle.manifest), **self._bundle.manifest.provenance}

    def judge_teacher(self, sentence: Sentence, saying: int = 0) -> dict[str, Any]:
        """What is heard of the teacher, who says it anew each time but the first."""
        return self.heard(
            sentence, _floats(self._teacher_saying(sentence)) if saying else self.teacher_speech(sentence)
        )

    def judge_voice(self, sentence: Sentence, saying: int) -> dict[str, Any]:
        """What is heard of the voice, whether it ended as it should, and how much it sounds like the teacher."""
        pcm, chunks = self._voice_speech(sentence, saying)
        similarity = {"similarity": self.similarity(sentence, pcm)}
        return self.heard(sentence, pcm) | similarity | self._ending(sentence, pcm, chunks)

    def judge_words(self, sentence: Sentence) -> dict[str, Any]:
        """What two recognisers hear of the voice, whether it ended as it should, and what the runtime doubted."""
        pcm, chunks = self._voice_speech(sentence)
        doubts = [[doubt.word, doubt.reason] for chunk in chunks for doubt in chunk.doubts]
        return self._heard_by_two(sentence, pcm) | self._ending(sentence, pcm, chunks) | {"doubts": doubts}

    def judge_teacher_words(self, sentence: Sentence) -> dict[str, Any]:
        """What two recognisers hear of the teacher."""
        return self._heard_by_two(sentence, self.teacher_speech(sentence))

    def judge_duration(self, sentence: Sentence) -> dict[str, Any]:
        """Relative duration errors when the teacher's length times each factor is asked for."""
        errors = []
        for factor in DURATION_FACTORS:
            wanted_s = round(self.teacher_speech(sentence).size / SAMPLE_RATE_HZ * factor, 2)
            chunks = self._speaker.speak(sentence.text, sampling=SamplingParams(seed=sentence.index), seconds=wanted_s)
            got_s = sum(chunk.pcm.size for chunk in chunks) / SAMPLE_RATE_HZ
            errors.append(round(abs(got_s - wanted_s) / wanted_s, 4))
        return {"errors": errors}

    def judge_codec(self, sentence: Sentence, depth: int) -> dict[str, Any]:
        """What is heard of the teacher through the codec, and how much it still sounds like the teacher."""
        made = self._codec(self.teacher_speech(sentence), depth)
        return self.heard(sentence, made) | {"similarity": self.similarity(sentence, made)}

    def heard(self, sentence: Sentence, pcm: Pcm) -> dict[str, Any]:
        """What the recogniser makes of pcm float32 [samples] at 24 kHz, and its word errors."""
        heard = self._recogniser.hear(pcm)
        errors = word_errors(sentence.text, heard)
        return {
            "heard": heard, "words": errors.words, "edits": errors.edits, "deletions": errors.deletions,
            "insertions": errors.insertions, "longest_deletion": errors.longest_deletion,
            "longest_insertion": errors.longest_insertion, "seconds": round(pcm.size / SAMPLE_RATE_HZ, 3),
        }  # fmt: skip

    def similarity(self, sentence: Sentence, pcm: Pcm) -> float:
        """Cosine of the speaker embeddings of pcm and of the teacher's sound for the sentence."""
        return round(float(self._judge.embed(pcm) @ self._judge.embed(self.teacher_speech(sentence))), 4)

    def teacher_speech(self, sentence: Sentence) -> Pcm:
        """The sentence by the teacher, float32 [samples] at 24 kHz: once spoken, it is kept in the work folder.

        The teacher never says a thing twice alike, and what is compared must be compared with the same sound.
        """
        name = hashlib.sha256(sentence.text.encode()).hexdigest()[:16]
        path = self._folder.stage("teacher") / f"{name}.npy"
        if not path.exists():
            with whole_file(path) as aside:
                np.save(aside, self._teacher_saying(sentence))
        return _floats(np.load(path))

    def _teacher_saying(self, sentence: Sentence) -> NDArray[np.int16]:
        return self._teacher.speak(teacher_words(sentence.text, self._lexicon)).pcm

    def _heard_by_two(self, sentence: Sentence, pcm: Pcm) -> dict[str, Any]:
        """As `heard`; and of the words the recogniser misses, the places (`hearing`) of those that were `said`."""
        measured = self.heard(sentence, pcm)
        missing = hearing(sentence.text, measured["heard"]).missing
        words = teacher_words(sentence.text, self._lexicon)
        places = places_of(sentence.text, words) if missing else None
        if places is None:
            return measured | {"said": []}
        doubtful = {word for word, parts in enumerate(places) if not {*missing}.isdisjoint(parts)}
        said = self._witness.said(pcm, words, doubtful)
        return measured | {"said": [place for word in said for place in places[word]]}

    def _voice_speech(self, sentence: Sentence, saying: int = 0) -> tuple[Pcm, list[Chunk]]:
        sampling = SamplingParams(seed=sentence.index + _SEEDS_APART * saying)
        chunks = list(self._speaker.speak(sentence.text, sampling=sampling))
        return np.concatenate([chunk.pcm for chunk in chunks]), chunks

    def _ending(self, sentence: Sentence, pcm: Pcm, chunks: list[Chunk]) -> dict[str, bool]:
        """Whether the voice ran away, and whether the runtime had to end it."""
        expected = self.teacher_speech(sentence).size
        return {
            "runaway": bool(pcm.size > RUNAWAY_FACTOR * expected + 3 * CodecConfig().frame_samples),
            "capped": any(chunk.event == "capped" for chunk in chunks),
        }


def _floats(pcm: NDArray[np.int16]) -> Pcm:
    return pcm.astype(np.float32) / 32768.0


def weights_hash(manifest: Manifest) -> str:
    """What tells a voice's weights from others."""
    return manifest.files[WEIGHTS_FILE].sha256[:12]


def voice_key(manifest: Manifest) -> str:
    """What tells a voice from others: how it samples is as much of it as its weights are."""
    sampling = hashlib.sha256(repr(manifest.sampling).encode()).hexdigest()
    return f"{weights_hash(manifest)} {sampling[:12]}"
