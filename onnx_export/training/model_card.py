"""The model card of a voice, written from its manifest so that card and bundle cannot disagree."""

from typing import Any

from voicestack.runtime.manifest import Manifest

from .summary import GROUPS

_BAD_AT = """\
- {speaker}; other languages are read as if they were English.
- Words the lexicon lacks are read letter by letter sounds, and names among them are often wrong; write `/ARPABET/`.
- The codec makes up the phase on a pitch it tells: some of what has none in the teacher's speech, up to 5 % of what is
  loud, has one in the voice's.
{marks}
- Pitch within a sentence follows the teacher's loosely.
- Rare words and names come out wrong more often than common ones, and short sentences are less like the teacher.
- Speech of more than 20 s without a break was not in the training data; the front end divides it from 12 s on."""

_MARKS_KNOWN_LATE = """\
- How a sentence ends is known half a second ahead: a question or an exclamation is told by its end alone, and is not
  said higher from its beginning on."""
_MARKS_FORETOLD = """\
- A question is said as one, and an exclamation higher, from its first word on only where its mark has been written
  before it begins."""


def render(manifest: Manifest) -> str:
    """The card as Markdown."""
    facts, metrics = manifest.provenance, manifest.metrics
    marks = _MARKS_FORETOLD if manifest.text.foretold_marks else _MARKS_KNOWN_LATE
    return f"""# Model card: {manifest.name}

An English text-to-speech voice for streaming: {facts["generator_parameters"] / 1e6:.1f} M parameters generate
{manifest.n_vq}-layer RVQ stacks at {manifest.frame_rate_hz} frames per second, a codec decoder of
{facts["codec_decoder_parameters"] / 1e6:.1f} M parameters turns them into {manifest.sample_rate_hz // 1000} kHz sound.

| | |
|---|---|
| licence | {manifest.licence} |
| teacher | {facts["teacher"]} |
| text | {facts["text"]} |
| lexicon | {facts["lexicon"]} |
| speech trained on | {facts["data_hours"]} h, all of it synthetic |
| steps | generator {facts["generator_steps"]}, codec {facts["codec_steps"]} |
| weights | {_weights(facts)} |

## Measured

{_metrics(metrics)}

## What it is bad at

{_BAD_AT.format(speaker=facts["speaker"], marks=marks)}

Every sound in the training data was made by the teacher; no recording of a person was used.
"""


def _weights(facts: dict[str, Any]) -> str:
    if "quantisation" not in facts:
        return "float16, computed in float32"
    errors = facts["quantisation"]["errors"].values()
    return (
        f"int{facts['quantisation']['bits']} where they are multiplied with, float16 elsewhere; rounding changed each "
        f"matrix by {min(errors):.2%} to {max(errors):.2%}"
    )


def _metrics(metrics: dict[str, Any]) -> str:
    if not metrics:
        return "Not evaluated yet: `evaluate --voice FOLDER` judges it, and `bundle` then tells the figures here."
    rates, codec = metrics["wer_percent"], metrics["codec"]
    failures = metrics["failures"]
    rows = [
        *((f"WER, {group} sentences, voice / teacher", f"{rates[f'voice_{group}']} % / {rates[f'teacher_{group}']} %")
          for group in GROUPS if rates.get(f"voice_{group}") is not None),
        ("speaker similarity to the teacher, mean / minimum",
         f"{metrics['similarity']['mean']} / {metrics['similarity']['minimum']}"),
        ("mean absolute relative duration error", f"{metrics.get('duration_error_percent', '-')} %"),
        (f"runaways / two words or more skipped / added, of {metrics['sentences'] * metrics['sayings']} sayings",
         f"{failures['runaways']} / {failures['skips']} / {failures['repeats']}"),
        (f"codec alone, WER at {', '.join(codec)} layers", ", ".join(f"{c['wer_percent']} %" for c in codec.values())),
        ("the teacher on the same sentences", f"{metrics['codec_teacher_wer_percent']} %"),
    ]  # fmt: skip
    return "\n".join(["| what | figure |", "|---|---|", *(f"| {what} | {figure} |" for what, figure in rows)])
