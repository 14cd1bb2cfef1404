"""What a step does to a stream: what is told of it, and how it is written into the stream."""

from dataclasses import dataclass
from enum import StrEnum

from . import names
from .backbone import IntArray
from .cued_feed import Row
from .delay_line import DelayLine
from .stream import Stream


class Event(StrEnum):
    """What a step did to a stream.

    It made a frame; made none, but deepened those before (only behind the end of a delay voice's speech); found no text
    to go on with; saw the end, with nothing left to come; cut a runaway off; or could not be made.
    """

    SPOKEN = "spoken"
    DEEPENED = "deepened"
    PARKED = "parked"
    ENDED = "ended"
    CAPPED = "capped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step did to one stream.

    `codes` int64 [depth]: with a local head the stack of the frame that was SPOKEN. With a delay head what the step
    drew, one layer each of several frames, null where there is no such frame; None when it drew nothing. The frames
    are in `stream.line`. `error` is why it FAILED.
    """

    stream: Stream
    event: Event
    codes: IntArray | None = None
    error: Exception | None = None


def text_row(stream: Stream) -> Row:
    """The text side of the next row of a stream that has begun."""
    if stream.flushing and stream.line is not None:
        return stream.feed.flush_row(stream.line.steps)
    return stream.feed.rows()[0]


def note(stream: Stream, channel: int, codes: IntArray) -> StepResult:
    """Write what was drawn into its stream."""
    if stream.line is not None:
        return _note_delayed(stream, stream.line, channel, codes)
    stream.feed.heed(channel)
    if stream.feed.ended:
        stream.done = True
        return StepResult(stream, Event.ENDED)
    _remember(stream, codes)
    stream.recent[: stream.depth, stream.feed.frames % names.PENALTY_WINDOW] = codes
    return StepResult(stream, Event.SPOKEN, codes)


def _note_delayed(stream: Stream, line: DelayLine, channel: int, codes: IntArray) -> StepResult:
    """Write a column of the delay line into its stream."""
    if not stream.feed.ended:
        stream.feed.heed(channel)
    if stream.feed.ended:
        line.end()
    line.take(codes)
    line.remember(stream.recent)
    drawn = line.row[: stream.depth].copy()
    _remember(stream, drawn)
    stream.done = line.complete
    event = Event.ENDED if stream.done else Event.DEEPENED if stream.feed.ended else Event.SPOKEN
    return StepResult(stream, event, drawn)


def _remember(stream: Stream, codes: IntArray) -> None:
    """Set what the backbone is told of the last step: no more than the newest band of its history keeps."""
    depth = stream.depth if stream.history is None else min(stream.depth, stream.history.depths[0])
    stream.stack[:depth] = codes[:depth]


def failure(stream: Stream, error: Exception) -> StepResult:
    """The end of a stream that cannot go on."""
    stream.done = True
    return StepResult(stream, Event.FAILED, error=error)
