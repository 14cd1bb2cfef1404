"""The worker that speaks with a published checkpoint's bundle: an ensemble, and the price of its work."""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NoReturn

from voicestack.runtime import Advance, Chunk, InputError, SamplingParams
from voicestack.runtime.published import (
    PublishedAdvanced,
    PublishedBundle,
    PublishedChunk,
    PublishedEnsemble,
    PublishedManner,
    PublishedVoice,
    Speech,
)

from .cost_model import CostMeter
from .orders import OpenWorker, Order, Report, Result, StackShape, UtteranceSpec
from .published_voice import read_prompt

_WARM_BATCHES = (1, 2, 4)
_WARM_FRAMES = (1, 2, 4, 1, 2, 4)
_WARM_ROWS = 32
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class PublishedMemory:
    """How much a published voice may remember.

    rows: of one utterance, or one conversation: its prompt and 12.5 a second. gib: for all of them together, keys and
    values of the backbone in GiB; so many streams are served as fit, one at least.
    """

    rows: int = 2048
    gib: float = 4.0

    def __post_init__(self) -> None:
        if self.rows < 1 or not self.gib > 0:
            raise InputError(f"memory must be some rows and GiB, got {self.rows!r} rows and {self.gib!r} GiB")

    def slots(self, bundle: PublishedBundle, wanted: int) -> int:
        """How many of the streams wanted there is room for."""
        spec = bundle.generator_info.backbone
        width = 2 if bundle.generator_info.computes_in == "float16" else 4
        row_bytes = 2 * spec.layers * spec.kv_heads * spec.head_dim * width
        return max(1, min(wanted, int(self.gib * _GIB / (row_bytes * min(self.rows, spec.max_positions)))))


class PublishedWorker:
    """Does rounds for the scheduler; used by one thread. `prompt` is what its utterances sound like by default.

    `prompt` is a `.voice` file or a recording, whose words are `prompt_text` if speech is to go on from it.
    """

    def __init__(
        self, bundle: PublishedBundle, slots: int, memory: PublishedMemory, prompt: Path | None, prompt_text: str | None
    ) -> None:
        info = bundle.generator_info
        self.slots = memory.slots(bundle, slots)
        rows = min(memory.rows, info.backbone.max_positions)
        self._ensemble = PublishedEnsemble(bundle, self.slots, capacity=rows)
        self._rows = rows
        self.sample_rate_hz, self.channels = self._ensemble.sample_rate_hz, self._ensemble.channels
        self.frame_s = self.first_sound_s = self._ensemble.frame_samples / self.sample_rate_hz
        self.depth = self._ensemble.depths[-1]
        self.stack = StackShape(self.depth, info.codebook_size, info.family == "delay", adjustable=False)
        # Rows of another depth than their stream's would be rows that no published code ever fed.
        self.sheds, self.converses = False, self._ensemble.converses
        voice = None if prompt is None else self.read_voice(prompt, prompt_text)
        self._manner = PublishedManner(voice)
        self._speeches: dict[int, Speech] = {}
        self._newest: dict[int, tuple[int, Speech]] = {}

    @classmethod
    def opener(
        cls,
        path: Path,
        slots: int,
        *,
        memory: PublishedMemory | None = None,
        prompt: Path | None = None,
        prompt_text: str | None = None,
    ) -> OpenWorker:
        """What loads the bundle in a folder, for at most so many sessions."""
        return lambda: cls(PublishedBundle.load(path), slots, memory or PublishedMemory(), prompt, prompt_text)

    def checked(self, spec: UtteranceSpec) -> UtteranceSpec:
        """The same; InputError for what this voice cannot do."""
        if replace(spec.sampling, seed=None) != SamplingParams():
            raise InputError("of sampling a published voice takes the seed only; give the rest by its PublishedManner")
        if spec.rate not in (None, 1):
            raise InputError(
                f"a published voice speaks at a rate of its own; leave out the rate, or 1; got {spec.rate!r}"
            )
        if spec.warm_up is not None:
            raise InputError("a published voice has no warm-up ramp; leave warm_up out")
        self._ensemble.check(self._manner_of(spec), spec.depth)
        return spec

    def deep_enough(self, depth: int) -> NoReturn:
        """InputError: a published checkpoint speaks at the depth it began with."""
        raise InputError("a published checkpoint cannot change its depth while it speaks; open a session with it")

    def read_voice(self, prompt: Path, prompt_text: str | None) -> PublishedVoice:
        """A voice from a `.voice` file or a recording, which takes a slot while it is prefilled."""
        return read_prompt(self._ensemble, prompt, prompt_text)

    def warm_up(self, meter: CostMeter) -> None:
        """Speak nonsense in batches of some sizes at every depth, and note what it takes."""
        room = self._rows - sum(_WARM_FRAMES) - 1
        for depth in self._ensemble.depths:
            for batch in sorted({min(size, self.slots) for size in _WARM_BATCHES}):
                for is_warm in (False, True):
                    for done in self._ensemble.rehearse(depth, batch, _WARM_FRAMES, max(1, min(_WARM_ROWS, room))):
                        if is_warm:
                            meter.prefilled(done.prompt_rows, done.prefill_s)
                            meter.decoded(done.decoded, done.decode_s)
                        if is_warm and done.stepped:
                            meter.stepped(depth, done.stepped, done.step_s)

    def work(self, order: Order, meter: CostMeter) -> Report:
        """Do a round."""
        report, entered_s, ort_before_s = Report(), time.perf_counter(), self._ensemble.busy_s
        report.results = list(self._take(order))
        began_s = time.perf_counter()
        report.results += self._prefill(order, report, meter)
        report.results += self._step(order)
        if order.step:
            times = self._ensemble.times
            report.step_s, report.codec_s = times.engine_s, times.codec_s
            self._note(order, report, meter)
        now_s = time.perf_counter()
        report.engine_s, report.round_s = now_s - began_s, now_s - entered_s
        report.ort_s = self._ensemble.busy_s - ort_before_s
        return report

    def _take(self, order: Order) -> Iterator[Result]:
        """All of an order that costs next to nothing; results only of those whose text cannot be spoken."""
        for key, seconds in order.heard:
            for newest, speech in self._newest.values():
                if newest == key:
                    self._ensemble.heard(speech, seconds)
        for key in order.close:
            if key in self._speeches:
                self._ensemble.release(self._speeches.pop(key))
        for conversation in order.close_conversations:
            self._ensemble.end_conversation(conversation)
            self._newest.pop(conversation, None)
        for key, spec in order.open:
            speech = self._ensemble.begin(
                self._manner_of(spec), seed=spec.sampling.seed, depth=spec.depth, conversation=spec.conversation
            )
            self._speeches[key] = speech
            if spec.conversation is not None:
                self._newest[spec.conversation] = (key, speech)
        pieces: dict[int, list[str]] = {}
        for key, text in order.text:
            pieces.setdefault(key, []).append(text)
        for key in dict.fromkeys((*pieces, *order.finish)):
            speech = self._speeches[key]
            try:
                if key in pieces:
                    speech.push("".join(pieces[key]))
                if key in order.finish:
                    speech.finish()
            except Exception as error:
                self._ensemble.release(self._speeches.pop(key))
                yield Result(key, Advance.FAILED, error=error)

    def _prefill(self, order: Order, report: Report, meter: CostMeter) -> Iterator[Result]:
        """Feed the rows that are due; results only of what fails at it."""
        for key, rows in order.prefill:
            speech = self._speeches.get(key)
            if speech is None:
                continue
            began_s = time.perf_counter()
            try:
                fed = self._ensemble.prefill(speech, rows)
            except Exception as error:
                self._ensemble.release(self._speeches.pop(key))
                yield Result(key, Advance.FAILED, error=error)
                continue
            if fed:
                took_s = time.perf_counter() - began_s
                report.prefill_s += took_s
                meter.prefilled(fed, took_s)

    def _step(self, order: Order) -> Iterator[Result]:
        chosen = [(self._speeches[s.key], s.chunk_frames) for s in order.step if s.key in self._speeches]
        keys = {self._speeches[step.key]: step.key for step in order.step if step.key in self._speeches}
        for advanced in self._ensemble.step(chosen):
            yield _result(keys[advanced.speech], advanced, self.channels)

    def _note(self, order: Order, report: Report, meter: CostMeter) -> None:
        """Tell the meter what the step took."""
        times = self._ensemble.times
        made = {result.key for result in report.results if result.frames}
        depths = Counter(step.depth for step in order.step if step.key in made)
        # A step in which somebody did not go on, or made no whole frame, is of a batch nobody knows.
        if len(made) == len(order.step):
            meter.stepped_together(depths, times.engine_s)
        if times.decoded:
            meter.decoded(times.decoded, times.codec_s)

    def _manner_of(self, spec: UtteranceSpec) -> PublishedManner:
        manner = spec.published
        if manner is None:
            return self._manner
        return manner if manner.voice is not None else replace(manner, voice=self._manner.voice)


def _result(key: int, advanced: PublishedAdvanced, channels: int) -> Result:
    chunk = None if advanced.chunk is None else _chunk(advanced.chunk, channels)
    return Result(
        key,
        advanced.advance,
        advanced.frames,
        advanced.pending,
        chunk,
        advanced.error,
        advanced.speech.row,
        advanced.rows_left,
    )


def _chunk(chunk: PublishedChunk, channels: int) -> Chunk:
    """As sessions hand it out; when words begin is not known."""
    depths = (chunk.codes.shape[1],) * len(chunk.codes)
    pcm = chunk.pcm[:, 0] if channels == 1 else chunk.pcm
    return Chunk(pcm, chunk.start_s, (), chunk.event, depths, chunk.codes)
