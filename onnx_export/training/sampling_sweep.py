"""Stage `sampling`: which temperature each band of layers wants, and how many layers are worth making.

The sentences are made for this stage alone, so that what is chosen here has not seen the sentences it is reported on.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from voicestack.runtime import Bundle, SamplingParams, Speaker
from voicestack.runtime.text import Lexicon

from .dialogue_text import DialogueText
from .evaluate import voice_key
from .judges import Recogniser, SpeakerJudge
from .paths import LEXICON, VOICE, WorkFolder, whole_file
from .speech import Teacher
from .teacher_text import spoken_by
from .voices import ALWAYS_LIKELIEST, SAMPLING, recipe_of
from .word_errors import word_errors

_SENTENCES, _SEED = 100, 40


@dataclass(frozen=True, slots=True)
class Setting:
    """Temperatures of layers 1-3, 4-8 and 9-32, and how many layers are made."""

    temperatures: tuple[float, float, float]
    depth: int = SAMPLING.depth

    @property
    def name(self) -> str:
        """As the table shows it; a layer that always takes the likeliest code has temperature 0."""
        shown = ["0" if t == ALWAYS_LIKELIEST else f"{t:g}" for t in self.temperatures]
        return f"{self.depth:2} layers, {' / '.join(shown)}"

    def sampling(self, seed: int) -> SamplingParams:
        """What the runtime takes for it."""
        return SamplingParams(band_temperatures=tuple(zip((3, 8, 32), self.temperatures, strict=True)), seed=seed)


SETTINGS = (
    # The first one ships; the others differ from it in one thing each, but for the last.
    Setting((0.6, 0.5, ALWAYS_LIKELIEST)),
    Setting((0.6, 0.5, 0.4)),
    Setting((0.45, 0.4, ALWAYS_LIKELIEST)),
    Setting((ALWAYS_LIKELIEST,) * 3),
    Setting((0.9, 0.8, ALWAYS_LIKELIEST)),
    Setting((0.6, 0.5, ALWAYS_LIKELIEST), 8),
    Setting((0.6, 0.5, ALWAYS_LIKELIEST), 32),
    Setting((0.6, 0.5, 0.4), 32),
)


def run(folder: WorkFolder, *, voice: Path = VOICE) -> dict[str, Any]:
    """Judge every setting on the same sentences and seeds, print and write `sampling/sampling.json`; resumable."""
    path = folder.stage("sampling") / "sampling.json"
    bundle = Bundle.load(voice)
    key = voice_key(bundle.manifest)
    done = json.loads(path.read_text("utf-8")) if path.exists() else {}
    rows: dict[str, Any] = done.get("settings", {}) if done.get("weights") == key else {}
    settings = [setting for setting in SETTINGS if setting.name not in rows]
    if settings:
        judge = _Judge(bundle, recipe_of(folder).speak())
        for setting in tqdm(settings, desc="sampling"):
            rows[setting.name] = judge.judged(setting)
            result = {"voice": bundle.manifest.name, "weights": key, "sentences": _SENTENCES, "settings": rows}
            with whole_file(path) as aside:
                aside.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print("\n".join(table(rows)))
    return rows


def table(rows: dict[str, Any]) -> Iterator[str]:
    """A line for each setting: temperatures, WER and its standard error, similarity."""
    yield f"{'layers 1-3 / 4-8 / 9-32':32} {'WER %':>13} {'similarity':>10} {'least':>6}"
    for name, row in rows.items():
        error = f"{row['wer_percent']:5.2f} ± {row['wer_error_percent']:4.2f}"
        yield f"{name:32} {error:>13} {row['similarity']:10.3f} {row['similarity_minimum']:6.3f}"


def sentences() -> list[str]:
    """The sentences of this stage, always the same."""
    source = DialogueText(Lexicon.load(LEXICON), ["yes"], random.Random(_SEED))
    found: dict[str, None] = {}
    while len(found) < _SENTENCES:
        text, words = source.utterance()
        if len(words) > 3:
            found[text] = None
    return list(found)


class _Judge:
    def __init__(self, bundle: Bundle, teacher: Teacher) -> None:
        torch.set_num_threads(1)
        self._speaker, self._recogniser, self._likeness = Speaker(bundle), Recogniser(), SpeakerJudge()
        self._texts = sentences()
        voices = [self._likeness.embed(pcm) for pcm in spoken_by(teacher, self._texts)]
        self._teacher = np.mean(voices, axis=0) / np.linalg.norm(np.mean(voices, axis=0))

    def judged(self, setting: Setting) -> dict[str, float]:
        words, edits, similarity = [], [], []
        for place, text in enumerate(self._texts):
            chunks = self._speaker.speak(text, sampling=setting.sampling(place), depth=setting.depth)
            pcm = np.concatenate([chunk.pcm for chunk in chunks])
            errors = word_errors(text, self._recogniser.hear(pcm))
            words.append(errors.words)
            edits.append(errors.edits)
            similarity.append(float(self._likeness.embed(pcm) @ self._teacher))
        rate, error = rate_with_error(np.array(edits), np.array(words))
        return {
            "wer_percent": round(100 * rate, 2), "wer_error_percent": round(100 * error, 2),
            "similarity": round(float(np.mean(similarity)), 3), "similarity_minimum": round(min(similarity), 3),
        }  # fmt: skip


def rate_with_error(edits: "np.ndarray[Any, Any]", words: "np.ndarray[Any, Any]") -> tuple[float, float]:
    """Errors over words of int [sentences] each, and the standard error of that ratio over the sentences."""
    rate = float(edits.sum() / words.sum())
    residuals = edits - rate * words
    return rate, float(np.sqrt((residuals**2).sum()) / words.sum())
