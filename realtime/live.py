"""What the scheduler keeps of an utterance that is being spoken."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from voicestack.runtime import Chunk

from .metrics import Metrics
from .onset import OnsetDetector
from .orders import UtteranceSpec
from .outlet import Outlet
from .stages import Stages
from .track import Track


@dataclass(slots=True)
class Live:
    """One utterance that is being spoken."""

    outlet: Outlet
    spec: UtteranceSpec
    track: Track
    onset: OnsetDetector
    stages: Stages
    on_starved: Callable[[], None]
    text: list[str] = field(default_factory=list)
    complete: bool = False
    finish_sent: bool = False
    opened: bool = False
    play: int | None = None
    parked_since_s: float = math.inf
    first_sound_s: float | None = None
    delivered_samples: int = 0
    delivered_frames: int = 0

    @property
    def has_news(self) -> bool:
        """Whether the worker has yet to be told text, or that it is complete."""
        return bool(self.text) or (self.complete and not self.finish_sent)

    def hand_on(self, chunk: Chunk, now_s: float, codec_s: float, metrics: Metrics) -> None:
        """Give a chunk, whose decoding took a part of codec_s, to the listener, and measure what it means to them."""
        rate, track, stages, outlet = self.outlet.rate, self.track, self.stages, self.outlet
        if outlet.queued_s:
            # A listener that has not taken what is there is not waiting.
            track.excused_until_s = now_s
        if self.first_sound_s is None:
            self.first_sound_s = now_s
            stages.sounded(now_s, codec_s)
            metrics.ttfb.observe(now_s - track.opened_s)
        gap_s = track.heard(len(chunk.pcm) / rate, now_s)
        if gap_s:
            metrics.underruns.inc()
            metrics.underrun_s.inc(gap_s)
        if self.onset.onset_sample is None:
            self.onset.add(chunk.pcm)
            if self.onset.onset_sample is not None:
                # On the player's time: what was handed out early waits behind what still plays.
                begins_s = (track.dry_at_s or now_s) - len(chunk.pcm) / rate
                stages.audible_s = begins_s + (self.onset.onset_sample - self.delivered_samples) / rate
                metrics.ttfa.observe(stages.audible_s - track.opened_s)
        for depth in chunk.depths:
            metrics.played.labels(depth).inc()
        for doubt in chunk.doubts:
            metrics.doubts.labels(doubt.reason).inc()
        self.delivered_samples += len(chunk.pcm)
        self.delivered_frames += len(chunk.depths)
        outlet.put(chunk)
        track.full = outlet.full
        if track.full and outlet.full_since_s is None:
            outlet.full_since_s = now_s
