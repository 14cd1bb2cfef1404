"""Stage `prosody`: whether commas, full stops, question and exclamation marks change how the voice speaks.

The teacher and the voice say the texts of `prosody.txt`, each twice: the teacher's second saying tells how much it
agrees with itself, which is all that can be asked of a voice. What the teacher said is also sent through the codec
alone, which tells what of a difference is the codec's and what the generator's. Every measured line goes to
`prosody/results.jsonl`, so an interrupted run goes on where it stopped; the summary goes to `prosody.json` and a plot.
"""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from tqdm import tqdm

from voicestack.runtime import Bundle, SamplingParams, Speaker
from voicestack.runtime.text import Lexicon

from .codec import finished_decoder
from .evaluate import voice_key, weights_hash
from .lines import append_line, read_lines
from .melody import (
    Melody,
    Said,
    agreement,
    final_contour,
    final_height_st,
    final_movement_st,
    melody,
    pause_s,
    range_st,
    span_of,
    voiced_end_share,
    voiced_loud_share,
)
from .paths import LEXICON, VOICE, WorkFolder
from .prosody_summary import SYSTEMS, Record, draw, summarise, table
from .prosody_text import Line, lines
from .resynthesis import Resynthesis
from .serialise import FRAME_S
from .teacher_text import teacher_words
from .voices import recipe_of

TAKES = 2
_SPAN_LINES = 6
_SEED = 20261125


def run(folder: WorkFolder, *, voice: Path = VOICE) -> dict[str, Any]:
    """Measure every line not measured yet, write the JSON and the plot, print the table, and return the summary."""
    stage = folder.stage("prosody")
    bundle = Bundle.load(voice)
    speakers = _Speakers(folder, bundle)
    key = f"{voice_key(bundle.manifest)} {speakers.codec_key}"
    records = _kept(stage / "results.jsonl", key)
    measured = {(record["kind"], record["text"]) for record in records}
    for line in tqdm(lines(), desc="prosody"):
        if (line.kind, line.text) not in measured:
            new = [{"weights": key, **record} for record in _measure(line, speakers)]
            records += new
            append_line(stage / "results.jsonl", new)
    summary = summarise(records, {"voice": bundle.manifest.name, "weights": weights_hash(bundle.manifest)})
    (stage / "prosody.json").write_text(json.dumps({"summary": summary, "lines": records}, indent=1), "utf-8")
    draw(records, stage / "prosody.png")
    print(table(summary))
    return summary


def _kept(path: Path, key: str) -> list[Record]:
    """What was measured with this key and of texts that are still said; a row holds the sayings of one text."""
    places = {(line.kind, line.text): line.index for line in lines()}
    kept = [record for row in read_lines(path) for record in row if record["weights"] == key]
    return [
        record | {"index": places[record["kind"], record["text"]]}
        for record in kept
        if (record["kind"], record["text"]) in places
    ]


class _Speakers:
    """Who says a line, each a method of the name of its system."""

    def __init__(self, folder: WorkFolder, bundle: Bundle) -> None:
        # Its sayings follow from the seed that is set before it is opened, and from their order.
        ort.set_seed(_SEED)
        self._speaker, self._teacher = Speaker(bundle), recipe_of(folder).speak()
        self._lexicon = Lexicon.load(LEXICON)
        self._depth = bundle.manifest.sampling.depth
        self._codec = Resynthesis(folder, finished_decoder(folder))
        self._by_teacher: dict[tuple[Line, int], Said] = {}
        self.span = span_of(self.teacher(line, 0).pcm for line in lines()[:_SPAN_LINES])

    @property
    def codec_key(self) -> str:
        """What tells the codec's weights from others."""
        return self._codec.key

    def teacher(self, line: Line, take: int) -> Said:
        """The teacher's saying; its onsets are as coarse as the voice's, so that both are aligned equally well."""
        if said := self._by_teacher.get((line, take)):
            return said
        words = teacher_words(line.text, self._lexicon)
        speech = self._teacher.speak(words)
        firsts = np.cumsum([0, *(len(word.phones) + bool(word.mark) for word in words[:-1])])
        onsets_s = np.floor(np.array(speech.onsets_s)[firsts] / FRAME_S) * FRAME_S
        self._by_teacher[line, take] = said = Said(speech.pcm.astype(np.float32) / 32768.0, onsets_s)
        return said

    def codec(self, line: Line, take: int) -> Said:
        """The teacher's saying through analysis and synthesis, as deep as the voice speaks."""
        said = self.teacher(line, take)
        return Said(self._codec(said.pcm, self._depth), said.onsets_s)

    def voice(self, line: Line, take: int) -> Said:
        """The voice's saying, as it is shipped."""
        chunks = list(self._speaker.speak(line.text, sampling=SamplingParams(seed=TAKES * line.index + take)))
        onsets_s = np.array([word.start_s for chunk in chunks for word in chunk.words])
        return Said(np.concatenate([chunk.pcm for chunk in chunks]), onsets_s)


def _measure(line: Line, speakers: _Speakers) -> Iterator[Record]:
    """All sayings of one line; each but the teacher's first is compared with that."""
    reference: Melody | None = None
    for system in SYSTEMS:
        for take in range(TAKES):
            said = melody(getattr(speakers, system)(line, take), speakers.span)
            yield {"system": system, "take": take, "kind": line.kind, "index": line.index, "text": line.text} | {
                "median_hz": round(said.median_hz, 2),
                "range_st": round(range_st(said), 3),
                "height_st": _known(final_height_st(said)),
                "movement_st": _known(final_movement_st(said)),
                "voiced_end": round(voiced_end_share(said), 3),
                "voiced_loud": round(voiced_loud_share(said), 3),
                "last_word_s": round(said.last_word_s, 3),
                "pauses_s": [round(pause_s(said, word), 2) for word in line.breaks],
                "contour_st": [_known(height) for height in final_contour(said).tolist()],
                "agreement": None if reference is None else [round(x, 4) for x in agreement(reference, said)],
            }
            reference = reference or said


def _known(value: float) -> float | None:
    """JSON has no word for NaN."""
    return round(value, 3) if math.isfinite(value) else None
