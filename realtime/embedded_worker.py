"""The worker that speaks with a bundle of this project's own format: an ensemble, and the price of its work."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from voicestack.runtime import (
    FIRST_SOUND_S,
    Advanced,
    Bundle,
    Ensemble,
    InputError,
    SamplingParams,
    StreamSpec,
    Utterance,
    find_voice,
)

from .cost_model import CostMeter
from .orders import OpenWorker, Order, Report, Result, StackShape, UtteranceSpec

_WARM_TEXT = "The quick brown fox jumps over the lazy dog and runs into the dark green forest. "
_WARM_ROWS = (1, 2, 3, 4, 5, 6, 12)
_WARM_FRAMES = 6


class EmbeddedWorker:
    """Does rounds for the scheduler; used by one thread."""

    def __init__(self, bundle: Bundle, slots: int) -> None:
        manifest = bundle.manifest
        self.sample_rate_hz, self.channels = manifest.sample_rate_hz, 1
        self.frame_s, self.first_sound_s = 1 / manifest.frame_rate_hz, FIRST_SOUND_S
        self.depth = manifest.sampling.depth
        self.stack = StackShape(manifest.n_vq, manifest.codebook_size, manifest.head == "delay")
        self.slots = slots
        self.sheds, self.converses = manifest.head == "local", False
        self._depths = manifest.head_depths
        self._ensemble = Ensemble(bundle, slots)
        self._utterances: dict[int, Utterance] = {}

    @classmethod
    def opener(cls, voice: str | Path | None, slots: int) -> OpenWorker:
        """What loads a voice by its name or its bundle's folder, by default the one that ships."""
        path = find_voice(voice)
        return lambda: cls(Bundle.load(path), slots)

    def checked(self, spec: UtteranceSpec) -> UtteranceSpec:
        """The same; InputError for what this voice cannot do."""
        if spec.published is not None:
            raise InputError("a manner of published checkpoints does not fit this project's own voice; leave it out")
        self._ensemble.release(self._begin(spec))
        return spec

    def deep_enough(self, depth: int) -> int:
        """How many layers must be made so that `depth` can be heard; InputError when it never can."""
        return self._ensemble.deep_enough(depth)

    def read_voice(self, prompt: Path, prompt_text: str | None) -> NoReturn:
        """InputError: there is one voice only."""
        raise InputError(f"this project's own voice cannot sound like {prompt}; only a published checkpoint can")

    def warm_up(self, meter: CostMeter) -> None:
        """Speak in batches of every size and depth, decode chunks of every length, and note what it takes."""
        meter.prefilled(1, 1e-6)
        self._ensemble.take_memory()
        for depth in self._depths:
            for rows in (rows for rows in _WARM_ROWS if rows <= self.slots):
                spec = StreamSpec(SamplingParams(seed=0), depth)
                chorus = [self._ensemble.begin(spec) for _ in range(rows)]
                for utterance in chorus:
                    utterance.push(_WARM_TEXT)
                self._ensemble.step([(utterance, 1) for utterance in chorus])
                for frame in range(_WARM_FRAMES):
                    self._ensemble.step([(utterance, (1, 2, 4)[frame % 3]) for utterance in chorus])
                    self._note(meter, Counter({depth: rows}))
                for utterance in chorus:
                    self._ensemble.release(utterance)

    def work(self, order: Order, meter: CostMeter) -> Report:
        """Do a round."""
        report = Report()
        entered_s, ort_before_s = time.perf_counter(), self._ensemble.busy_s
        for key in order.close:
            if utterance := self._utterances.pop(key, None):
                self._ensemble.release(utterance)
        for key, spec in order.open:
            self._utterances[key] = self._begin(spec)
            self._utterances[key].play(spec.played_depth)
        for key, depth in order.play:
            self._utterances[key].play(depth)
        for key, text in order.text:
            self._utterances[key].push(text)
        for key in order.finish:
            self._utterances[key].finish()
        began_s = time.perf_counter()
        report.results = list(self._step(order))
        if order.step:
            times = self._ensemble.times
            report.step_s, report.codec_s = times.engine_s, times.codec_s
            self._note(meter, Counter(step.depth for step in order.step))
        report.more_history = self._ensemble.maintain() if order.maintain else self._ensemble.ages
        now_s = time.perf_counter()
        report.engine_s, report.round_s = now_s - began_s, now_s - entered_s
        report.ort_s = self._ensemble.busy_s - ort_before_s
        return report

    def _begin(self, spec: UtteranceSpec) -> Utterance:
        return self._ensemble.begin(
            StreamSpec(spec.sampling, spec.depth, history=spec.history), spec.warm_up, spec.rate
        )

    def _step(self, order: Order) -> Iterator[Result]:
        keys = {self._utterances[step.key]: step.key for step in order.step if step.key in self._utterances}
        for step in order.step:
            if step.key in self._utterances:
                self._utterances[step.key].depth = step.depth
        chosen = [(self._utterances[s.key], s.chunk_frames) for s in order.step if s.key in self._utterances]
        for advanced in self._ensemble.step(chosen):
            yield _result(keys[advanced.utterance], advanced)

    def _note(self, meter: CostMeter, depths: "Counter[int]") -> None:
        """Tell the meter what the last step took."""
        times = self._ensemble.times
        # A step in which somebody had no text, or was silent, is of a batch nobody knows.
        if times.stepped == depths.total():
            meter.stepped_together(depths, times.engine_s)
        if times.decoded:
            meter.decoded(times.decoded, times.codec_s)


def _result(key: int, advanced: Advanced) -> Result:
    return Result(
        key,
        advanced.advance,
        advanced.frames,
        advanced.pending,
        advanced.chunk,
        advanced.error,
        advanced.utterance.row,
    )
