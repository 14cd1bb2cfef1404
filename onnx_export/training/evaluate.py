"""Stage `evaluate`: a voice beside its teacher, sentence by sentence, by a recogniser and a speaker judge.

Every judged sentence is one line of `evaluate/results.jsonl`, keyed by the weights and the sampling it was made with:
an interrupted run goes on where it stopped, and another bundle is measured anew. The summary goes to `evaluation.json`
and a plot.
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from voicestack.onnx_export.specs import CodecConfig
from voicestack.runtime import Bundle, SamplingParams, Speaker
from voicestack.runtime.names import WEIGHTS_FILE
from voicestack.runtime.text import Lexicon, Mark, SentenceEnd, TextFrontEnd, Word
from voicestack.runtime.text.phones import LETTERS, NONE, UNITS

from .codec import analyse, load_analysis, load_synthesis, synthesis_checkpoint
from .codec_model import CodecDecoder, Encoder, ResidualQuantiser
from .data import held_out
from .judges import Recogniser, SpeakerJudge
from .paths import LEXICON, VOICE, WorkFolder
from .summary import draw, summarise
from .teacher import SAMPLE_RATE_HZ, SpokenWord, Teacher
from .word_errors import word_errors

PREFIXES = (1, 3, 6, 8, 16, 32)
PREFIX_SENTENCES = 40
DURATION_SENTENCES = 40
DURATION_FACTORS = (0.9, 1.0, 1.15)
RUNAWAY_FACTOR = 1.5

Pcm = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Sentence:
    """One held-out sentence."""

    group: str
    index: int
    text: str


def run(folder: WorkFolder, *, limit: int | None = None, voice: Path = VOICE) -> dict[str, Any]:
    """Judge everything not judged yet, write the JSON and the plot, and return the summary."""
    stage = folder.stage("evaluate")
    bench = _Bench(folder, voice)
    results = _Results(stage / "results.jsonl", bench.weights_key)
    sentences = [
        Sentence(group, index, text)
        for group, texts in held_out(folder).items()
        for index, text in enumerate(texts[:limit])
    ]
    jobs = list(_jobs(bench, sentences))
    for system, sentence, measure in tqdm(jobs, desc="evaluate"):
        if not results.has(system, sentence):
            results.add(system, sentence, measure())
    summary = summarise(results.records(), bench.manifest_facts())
    (stage / "evaluation.json").write_text(
        json.dumps({"summary": summary, "sentences": results.records()}, indent=1), "utf-8"
    )
    draw(summary, stage / "evaluation.png")
    print(json.dumps(summary, indent=1))
    return summary


def _jobs(bench: "_Bench", sentences: list[Sentence]) -> Iterator[tuple[str, Sentence, Callable[[], dict[str, Any]]]]:
    for sentence in sentences:
        yield "teacher", sentence, partial(bench.judge_teacher, sentence)
        yield "voice", sentence, partial(bench.judge_voice, sentence)
    everyday = [sentence for sentence in sentences if sentence.group == "everyday"]
    for sentence in everyday[:DURATION_SENTENCES]:
        yield "duration", sentence, partial(bench.judge_duration, sentence)
    for sentence in everyday[:PREFIX_SENTENCES]:
        for depth in PREFIXES:
            yield f"codec_{depth}", sentence, partial(bench.judge_codec, sentence, depth)


class _Results:
    """Append-only measured lines, each with the key of the weights it depends on; `key_of` gives it for a system."""

    def __init__(self, path: Path, key_of: Callable[[str], str]) -> None:
        self._path, self._key_of = path, key_of
        lines = path.read_text("utf-8").splitlines() if path.exists() else []
        kept = [record for line in lines if (record := json.loads(line))["weights"] == key_of(record["system"])]
        self._records = {(r["system"], r["group"], r["index"]): r for r in kept}

    def has(self, system: str, sentence: Sentence) -> bool:
        return (system, sentence.group, sentence.index) in self._records

    def add(self, system: str, sentence: Sentence, measured: dict[str, Any]) -> None:
        record = {"system": system, "group": sentence.group, "index": sentence.index, "text": sentence.text}
        record |= {"weights": self._key_of(system), **measured}
        self._records[system, sentence.group, sentence.index] = record
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")

    def records(self) -> list[dict[str, Any]]:
        return list(self._records.values())


class _Bench:
    """The voice, the teacher, the codec and the judges, each loaded when first asked for."""

    def __init__(self, folder: WorkFolder, voice: Path) -> None:
        self._folder = folder
        self._bundle = Bundle.load(voice)
        self._speaker = Speaker(self._bundle)
        self._lexicon = Lexicon.load(LEXICON)
        self._teacher_pcm: dict[Sentence, Pcm] = {}

    @cached_property
    def _teacher(self) -> Teacher:
        return Teacher()

    @cached_property
    def _recogniser(self) -> Recogniser:
        return Recogniser()

    @cached_property
    def _judge(self) -> SpeakerJudge:
        return SpeakerJudge()

    def weights_key(self, system: str) -> str:
        """What tells one set of weights from another, for one of the systems judged."""
        if system == "teacher":
            return ""
        return self._codec_key if system.startswith("codec_") else self._voice_key

    @cached_property
    def _voice_key(self) -> str:
        # How it samples is as much of the voice as its weights are.
        sampling = hashlib.sha256(repr(self._bundle.manifest.sampling).encode()).hexdigest()
        return f"{self._weights_hash} {sampling[:12]}"

    @property
    def _weights_hash(self) -> str:
        return self._bundle.manifest.files[WEIGHTS_FILE].sha256[:12]

    @cached_property
    def _codec_key(self) -> str:
        files = (self._folder.stage("codec") / "analysis.pt", synthesis_checkpoint(self._folder))
        return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]

    def manifest_facts(self) -> dict[str, Any]:
        return {"weights": self._weights_hash, **self._bundle.manifest.provenance}

    def judge_teacher(self, sentence: Sentence) -> dict[str, Any]:
        return self._heard(sentence, self._teacher_speech(sentence))

    def judge_voice(self, sentence: Sentence) -> dict[str, Any]:
        teacher = self._teacher_speech(sentence)
        chunks = list(self._speaker.speak(sentence.text, sampling=SamplingParams(seed=sentence.index)))
        pcm = np.concatenate([chunk.pcm for chunk in chunks])
        similarity = float(self._judge.embed(pcm) @ self._judge.embed(teacher))
        return self._heard(sentence, pcm) | {
            "similarity": round(similarity, 4),
            "runaway": bool(pcm.size > RUNAWAY_FACTOR * teacher.size + 3 * CodecConfig().frame_samples),
            "capped": any(chunk.event == "capped" for chunk in chunks),
        }

    def judge_duration(self, sentence: Sentence) -> dict[str, Any]:
        """Relative duration errors when the teacher's length times each factor is asked for."""
        errors = []
        for factor in DURATION_FACTORS:
            wanted_s = round(self._teacher_speech(sentence).size / SAMPLE_RATE_HZ * factor, 2)
            chunks = self._speaker.speak(sentence.text, sampling=SamplingParams(seed=sentence.index), seconds=wanted_s)
            got_s = sum(chunk.pcm.size for chunk in chunks) / SAMPLE_RATE_HZ
            errors.append(round(abs(got_s - wanted_s) / wanted_s, 4))
        return {"errors": errors}

    def judge_codec(self, sentence: Sentence, depth: int) -> dict[str, Any]:
        teacher = self._teacher_speech(sentence)
        made = self._analysis_synthesis(teacher, depth)
        similarity = float(self._judge.embed(made) @ self._judge.embed(teacher))
        return self._heard(sentence, made) | {"similarity": round(similarity, 4)}

    def _heard(self, sentence: Sentence, pcm: Pcm) -> dict[str, Any]:
        heard = self._recogniser.hear(pcm)
        errors = word_errors(sentence.text, heard)
        return {
            "heard": heard, "words": errors.words, "edits": errors.edits, "deletions": errors.deletions,
            "insertions": errors.insertions, "longest_deletion": errors.longest_deletion,
            "longest_insertion": errors.longest_insertion, "seconds": round(pcm.size / SAMPLE_RATE_HZ, 3),
        }  # fmt: skip

    def _teacher_speech(self, sentence: Sentence) -> Pcm:
        if sentence not in self._teacher_pcm:
            ort.set_seed(sentence.index)
            words = teacher_words(sentence.text, self._lexicon)
            self._teacher_pcm[sentence] = self._teacher.speak(words).pcm.astype(np.float32) / 32768.0
        return self._teacher_pcm[sentence]

    @torch.no_grad()
    def _analysis_synthesis(self, pcm: Pcm, depth: int) -> Pcm:
        encoder, quantiser, decoder = self._codec
        latent = quantiser.vectors(analyse(encoder, quantiser, pcm))[:, :depth].sum(1)
        made: Pcm = decoder(latent[None])[0].numpy()
        return made

    @cached_property
    def _codec(self) -> tuple[Encoder, ResidualQuantiser, CodecDecoder]:
        return *load_analysis(self._folder), load_synthesis(self._folder)


def spoken_by_teacher(texts: list[str]) -> list[Pcm]:
    """Each text by the teacher, float32 [samples] at 24 kHz."""
    teacher, lexicon = Teacher(), Lexicon.load(LEXICON)
    return [teacher.speak(teacher_words(text, lexicon)).pcm.astype(np.float32) / 32768.0 for text in texts]


def teacher_words(text: str, lexicon: Lexicon) -> list[SpokenWord]:
    """What the runtime's front end makes of a text, as words for the teacher; unknown words by their letters' names."""
    front_end = TextFrontEnd(lexicon)
    words: list[SpokenWord] = []
    for event in front_end.push(text) + front_end.finish():
        match event:
            case Word():
                units = [UNITS[unit].lstrip("^") for token in event.tokens for unit in token if UNITS[unit] != NONE]
                phones = [p for u in units for p in (lexicon.letter_name(u) if u in LETTERS and u != "'" else (u,))]
                words.append(SpokenWord(event.spoken, tuple(p for p in phones if p != "'")))
            case Mark() if words:
                words[-1] = SpokenWord(words[-1].text, words[-1].phones, event.mark)
            case Mark() | SentenceEnd():
                pass
    return words
