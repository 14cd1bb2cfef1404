"""Stage `failures`: what goes wrong, and how often, in a thousand sentences nobody trained on.

The held-out sets, and what the recipe's own text makers write from a seed of this stage, but for every text that a
training shard has. Voice and teacher are heard by the same recogniser, and a word counts against the voice only where
the teacher's own sound was heard better (`failures_of`). The same count with the two exchanged tells how much of it is
the recogniser's chance: what is charged to the teacher so is no failure of anybody. A word that the recogniser misses
is a skip only if a second one, which knows no sentences, misses it too. Every judged sentence is one line of
`failures/results.jsonl`, so a run goes on where it stopped; the summary goes to `failures.json`.
"""

import json
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicestack.runtime.errors import InputError
from voicestack.runtime.text import spoken_form

from .hearing import Fate, hearing
from .paths import VOICE, WorkFolder
from .summary import Record, word_error_rate

if TYPE_CHECKING:
    from .evaluate import Bench, Job, Sentence

_SEED = 20270301
_ASSISTANT_SHARE = 0.25
_WORST = 10


@dataclass(frozen=True, slots=True)
class Failures:
    """What went wrong in one sentence, beyond what is heard of the teacher.

    skips: the lengths in words of the runs of missing words. wrong: words heard as others. repeated, added: words said
    again at once, and other words nobody meant. truncated: the last word is missing. clipped: the first word is missing
    or wrong. runaway: more than half as long again as the teacher's sound. capped: ended by the runtime's limit.
    """

    skips: tuple[int, ...] = ()
    wrong: int = 0
    repeated: int = 0
    added: int = 0
    truncated: bool = False
    clipped: bool = False
    runaway: bool = False
    capped: bool = False

    @property
    def words(self) -> int:
        """How many words went wrong in one way or another."""
        return sum(self.skips) + self.wrong + self.repeated + self.added

    @property
    def kinds(self) -> list[str]:
        """The names of the failures, as the table counts them."""
        found = {
            "skip of a word or more": bool(self.skips),
            "skip of two words or more": max(self.skips, default=0) >= 2,
            "repeat": self.repeated > 0,
            "words added": self.added > 0,
            "wrong words": self.wrong > 0,
            "truncated ending": self.truncated,
            "clipped start": self.clipped,
            "runaway": self.runaway,
            "capped": self.capped,
        }
        return [kind for kind, is_so in found.items() if is_so]


KINDS = Failures((2,), 1, 1, 1, True, True, True, True).kinds


def failures_of(ours: Record, theirs: Record) -> Failures:
    """What is heard to go wrong in a record of `failures/results.jsonl` but not in the other one of the same text.

    A missing word counts if the other's was not missing, a wrong word if the other's was right, repeated and added
    words if none were heard of the other at that place.
    """
    found, other = (hearing(record["text"], record["heard"], record["said"]) for record in (ours, theirs))
    fates = list(zip(found.fates, other.fates, strict=True))
    missing = [our is Fate.MISSING is not their for our, their in fates]
    wrong = [our is Fate.WRONG and their is Fate.RIGHT for our, their in fates]
    surplus = {*other.repeated, *other.added}
    return Failures(
        skips=tuple(len(list(run)) for is_missing, run in groupby(missing) if is_missing),
        wrong=sum(wrong),
        repeated=sum(count for gap, count in found.repeated.items() if gap not in surplus),
        added=sum(count for gap, count in found.added.items() if gap not in surplus),
        truncated=missing[-1],
        clipped=missing[0] or wrong[0],
        runaway=ours.get("runaway", False),
        capped=ours.get("capped", False),
    )


def run(folder: WorkFolder, *, voice: Path = VOICE, count: int = 1000) -> dict[str, Any]:
    """Judge `count` sentences, those not judged yet, write the summary, print its table and return it."""
    from .evaluate import Bench, Results

    stage, bench, sentences = folder.stage("failures"), Bench(folder, voice), unseen(folder, count)
    results = Results(stage / "results.jsonl", bench.weights_key)
    results.measure(list(_jobs(bench, sentences)), "failures")
    judged = [(results.find("voice", sentence), results.find("teacher", sentence)) for sentence in sentences]
    summary = {
        "facts": bench.manifest_facts(),
        **summarise([(ours, theirs) for ours, theirs in judged if ours and theirs]),
    }
    (stage / "failures.json").write_text(json.dumps(summary, indent=1), "utf-8")
    print(table(summary))
    return summary


def unseen(folder: WorkFolder, count: int) -> list["Sentence"]:
    """The first `count` of: the held-out sets, and made texts that no training shard has, endlessly."""
    from . import data
    from .assistant_text import AssistantText
    from .dialogue_text import DialogueText
    from .evaluate import Sentence

    if not folder.shard_files():
        raise InputError(f"no shards in {folder.shards}: they tell what was trained on; run the stage `data` first")
    sets = data.held_out(folder)
    sentences = [Sentence(group, index, text) for group, texts in sets.items() for index, text in enumerate(texts)]
    seen = {_key(text) for text in (*_trained_on(folder), *(sentence.text for sentence in sentences))}
    sources, generator = data.Sources.of(folder), random.Random(_SEED)
    dialogue = DialogueText(sources.lexicon, sources.common, generator)
    assistant = AssistantText(sources.lexicon, generator)
    while len(sentences) < count:
        made = assistant.sentence() if generator.random() < _ASSISTANT_SHARE else dialogue.utterance()[0]
        if _key(made) not in seen:
            seen.add(_key(made))
            sentences.append(Sentence("made", len(sentences), made))
    return sentences[:count]


def summarise(judged: Iterable[tuple[Record, Record]]) -> dict[str, Any]:
    """How many sentences have each failure, of the voice and, exchanged, of the teacher; and the voice's worst ones."""
    pairs = list(judged)
    ours, theirs = [failures_of(v, t) for v, t in pairs], [failures_of(t, v) for v, t in pairs]
    worst = sorted(zip(ours, pairs, strict=True), key=lambda item: _badness(item[0]), reverse=True)[:_WORST]
    return {
        "sentences": len(pairs),
        "minutes": round(sum(t["seconds"] for _, t in pairs) / 60, 1),
        "wer_percent": {
            "voice": word_error_rate([v for v, _ in pairs]),
            "teacher": word_error_rate([t for _, t in pairs]),
        },
        "words": sum(v["words"] for v, _ in pairs),
        "voice": _counts(ours),
        "teacher_exchanged": _counts(theirs),
        "skips_of_the_first_recogniser": {
            "voice": sum(bool(_unconfirmed(v, t).skips) for v, t in pairs),
            "teacher_exchanged": sum(bool(_unconfirmed(t, v).skips) for v, t in pairs),
        },
        "doubts": _doubts(ours, pairs),
        "worst": [
            {"text": v["text"], "heard": v["heard"], "teacher_heard": t["heard"], "failures": found.kinds}
            for found, (v, t) in worst
            if found.kinds
        ],
    }


def table(summary: dict[str, Any]) -> str:
    """The counts, a line a failure, and the worst sentences."""
    rates, first, doubts = summary["wer_percent"], summary["skips_of_the_first_recogniser"], summary["doubts"]
    lines = [f"{'sentences with':<28}{'voice':>8}{'exchanged':>12}"]
    lines += [f"{kind:<28}{ours:>8}{summary['teacher_exchanged'][kind]:>12}" for kind, ours in summary["voice"].items()]
    lines += [
        f"of {summary['sentences']} sentences, {summary['words']} words, {summary['minutes']} min of the teacher; "
        f"word error rate {rates['voice']} %, the teacher's {rates['teacher']} %",
        "exchanged: the teacher charged with what is heard of it but not of the voice, the recogniser's chance",
        f"skips that the second recogniser did not hear either; by the first alone {first['voice']}, exchanged "
        f"{first['teacher_exchanged']}",
        f"the runtime doubted {doubts['failed_doubted']} of the {doubts['failed']} sentences with a failure and "
        f"{doubts['others_doubted']} of the {doubts['others']} others",
    ]
    for place, item in enumerate(summary["worst"], 1):
        lines.append(
            f"\n{place:>2}. {item['text']}\n    voice    {item['heard']}\n    teacher  {item['teacher_heard']}"
        )
        lines.append(f"    {', '.join(item['failures'])}")
    return "\n".join(lines)


def _counts(found: list[Failures]) -> dict[str, int]:
    counts = {kind: sum(kind in failures.kinds for failures in found) for kind in KINDS}
    return {**counts, "any failure": sum(bool(failures.kinds) for failures in found)}


def _unconfirmed(ours: Record, theirs: Record) -> Failures:
    """The same by the first recogniser alone."""
    return failures_of({**ours, "said": ()}, {**theirs, "said": ()})


def _doubts(found: list[Failures], pairs: list[tuple[Record, Record]]) -> dict[str, int]:
    """How many of the sentences with and without a failure the runtime's own listener doubted a word of."""
    counts = {"failed": 0, "failed_doubted": 0, "others": 0, "others_doubted": 0}
    for failures, (voice, _) in zip(found, pairs, strict=True):
        which = "failed" if failures.kinds else "others"
        counts[which] += 1
        counts[f"{which}_doubted"] += bool(voice["doubts"])
    return counts


def _badness(failures: Failures) -> tuple[bool, int, int]:
    return failures.runaway or failures.capped, failures.words, len(failures.kinds)


def _jobs(bench: "Bench", sentences: list["Sentence"]) -> Iterator["Job"]:
    for sentence in sentences:
        yield "teacher", sentence, partial(bench.judge_teacher_words, sentence)
        yield "voice", sentence, partial(bench.judge_words, sentence)


def _trained_on(folder: WorkFolder) -> Iterator[str]:
    from .marked_speech import KIND

    for path in (*folder.shard_files(), *folder.shard_files(KIND)):
        for line in path.read_text("utf-8").splitlines():
            yield json.loads(line)["text"]


def _key(text: str) -> str:
    from .data import letters_of

    # As spoken: of "Call 555 0123" and "Call 555 0199" the letters alone are the same.
    return letters_of(spoken_form(text))
