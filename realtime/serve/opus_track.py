"""What one peer hears: 20 ms of Opus after 20 ms, silence when there is nothing to say, on a clock that never drifts.

Time and sound in, packets out: nothing here waits, or knows a network.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from voicestack.runtime import Chunk, WordTiming

from ..fade import FADE_S, faded
from ..meter import mono

PACKET_S = 0.02
RESYNC_S = 0.5
"""A stall below this is made good by a burst, so that no word is lost; a longer one moves the clock."""
_SETTLED_PACKETS = 25
"""After so much silence the encoder has nothing left to say, and its last packet is sent again and again."""
_FULL_S = 2.0
_START_S, _START_PACKETS = 0.1, 3
"""An utterance begins when there is so much of it, or so many packets later: its first chunk may be very short."""


class MediaClock:
    """Says when packets are due: every 20 ms of a monotonic clock, counted from the first, not from the last.

    Attributes:
        bursts: how often packets were late by one or more, and sent at once.
        resyncs: how often they were so late that the clock was moved instead.
        late_s: the most that a packet was late.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self.bursts = self.resyncs = 0
        self.late_s = 0.0
        self._clock = clock
        self._origin_s: float | None = None
        self._next = 0
        self._is_behind = False

    def tick(self) -> tuple[int, float]:
        """The number of the next packet, and for how many seconds it is to be held; asked once for each packet.

        Numbers follow real time: they leap where the clock was moved.
        """
        now_s = self._clock()
        if self._origin_s is None:
            self._origin_s = now_s
        wait_s = self._origin_s + self._next * PACKET_S - now_s
        self.late_s = max(self.late_s, -wait_s)
        if wait_s < -RESYNC_S:
            self.resyncs += 1
            self._next += int(-wait_s / PACKET_S)
            wait_s = 0.0
        is_behind = wait_s < -PACKET_S
        self.bursts += is_behind and not self._is_behind
        self._is_behind = is_behind
        number, self._next = self._next, self._next + 1
        return number, max(0.0, wait_s)


class PacketEncoder(Protocol):
    """One peer's Opus encoder; it is fed all that the peer hears, so that what it remembers is what was heard."""

    def feed(self, pcm: NDArray[np.float32]) -> list[bytes]:
        """Packets of 20 ms, as far as the samples reach."""
        ...


@dataclass(frozen=True, slots=True)
class Position:
    """Where a listener is. utterance: the one that plays or was played last, -1 before the first."""

    utterance: int = -1
    played_s: float = 0.0
    words: tuple[WordTiming, ...] = ()


@dataclass(slots=True)
class _Piece:
    """Sound that waits. taken: samples of it that were sent."""

    utterance: int
    chunk: Chunk
    pcm: NDArray[np.float32]
    taken: int = 0


@dataclass(frozen=True, slots=True)
class _Mark:
    """Something that is to happen when all the sound before it was sent."""

    ends: int | None
    happen: Callable[[], None]


class CallPlayout:
    """The sound one peer has yet to hear, and what it has heard.

    Attributes:
        underruns: how often there was no sound while there was text to be spoken. Silence that begins excused stays so
            until there is sound again: text that has just come cannot be speech already.
        underrun_s: for how long in all.
        depth: layers of the frame that plays, as far as it is known.
    """

    def __init__(
        self,
        encoder: PacketEncoder,
        sample_rate_hz: int,
        *,
        is_excused: Callable[[], bool] = lambda: False,
        on_started: Callable[[int], None] = lambda utterance: None,
    ) -> None:
        """Args: is_excused tells whether text is missing; on_started that the first sound of an utterance is sent."""
        self.underruns = 0
        self.underrun_s = 0.0
        self.depth = 0
        self._encoder, self._rate = encoder, sample_rate_hz
        self._is_excused, self._on_started = is_excused, on_started
        self._queue: deque[_Piece | _Mark] = deque()
        self._packets: deque[bytes] = deque()
        self._silence = b""
        self._silent_packets = 0
        self._fade: NDArray[np.float32] | None = None
        self._utterance, self._played_s = -1, 0.0
        self._words: list[WordTiming] = []
        self._is_open = self._is_dry = self._is_forgiven = False
        self._held = 0
        self._room = asyncio.Event()
        self._room.set()

    @property
    def position(self) -> Position:
        """What was heard of the utterance that plays, counted in packets that were sent."""
        heard = tuple(word for word in self._words if word.start_s < self._played_s)
        return Position(self._utterance, self._played_s, heard)

    @property
    def lead_s(self) -> float:
        """Seconds of sound that wait."""
        return sum(len(item.pcm) - item.taken for item in self._queue if isinstance(item, _Piece)) / self._rate

    @property
    def playing(self) -> bool:
        """Whether an utterance has begun and not ended yet."""
        return self._is_open

    async def room(self) -> None:
        """Wait while so much sound waits that more would be pointless."""
        while self.lead_s >= _FULL_S:
            self._room.clear()
            await self._room.wait()

    def put(self, utterance: int, chunk: Chunk) -> None:
        """Queue a piece of an utterance."""
        if len(chunk.pcm):
            self._queue.append(_Piece(utterance, chunk, mono(chunk.pcm)))

    def mark(self, happen: Callable[[], None], *, ends: int | None = None) -> None:
        """Call `happen` when what is queued now was sent; it may be the end of an utterance."""
        self._queue.append(_Mark(ends, happen))
        self._pass_marks()

    def clear(self) -> Position:
        """Fall silent with the next packet, without a click; returns what was heard. Marks are forgotten, too."""
        head = next((item for item in self._queue if isinstance(item, _Piece)), None)
        if head is not None and head.utterance == self._utterance and self._is_open:
            self._fade = faded(head.pcm[head.taken : head.taken + round(FADE_S * self._rate)], self._rate)
        self._queue.clear()
        self._is_open = self._is_dry = False
        self._room.set()
        return self.position

    def cut(self, end_s: float | None) -> None:
        """Keep only what lies before a second of the utterance that plays; None keeps the rest of it."""
        pieces = self._pieces()
        self._queue.clear()
        for piece in pieces:
            kept = len(piece.pcm) if end_s is None else round((end_s - piece.chunk.start_s) * self._rate)
            if kept > piece.taken:
                piece.pcm = faded(piece.pcm[:kept], self._rate) if kept < len(piece.pcm) else piece.pcm
                self._queue.append(piece)

    def word_end_s(self) -> float | None:
        """Where the word behind the one that sounds now begins; None when no later word is queued."""
        words = [word.start_s for item in self._pieces() for word in item.chunk.words]
        return min((start_s for start_s in words if start_s > self._played_s), default=None)

    def packet(self) -> bytes:
        """The next 20 ms."""
        while not self._packets:
            pcm = self._take()
            self._silent_packets = 0 if pcm is not None else self._silent_packets + 1
            if self._silent_packets > _SETTLED_PACKETS and self._silence:
                return self._silence
            self._packets += self._encoder.feed(np.zeros(self._samples, np.float32) if pcm is None else pcm)
            if self._silent_packets and self._packets:
                self._silence = self._packets[-1]
        return self._packets.popleft()

    @property
    def _samples(self) -> int:
        return round(PACKET_S * self._rate)

    def _pieces(self) -> list[_Piece]:
        return [i for i in self._queue if isinstance(i, _Piece) and i.utterance == self._utterance]

    def _take(self) -> NDArray[np.float32] | None:
        """The samples of one packet; None when all of them are silence."""
        if self._fade is not None:
            pcm = np.zeros(self._samples, np.float32)
            pcm[: len(self._fade)] = self._fade
            self._fade = None
            return pcm
        if self._is_held():
            return None
        parts: list[NDArray[np.float32]] = []
        missing = self._samples
        while missing and self._queue:
            missing -= self._take_from_head(parts, missing)
        self._room.set()
        if missing and self._is_open:
            self._count_dry(missing / self._rate)
        elif not missing:
            self._is_dry = False
        if not parts:
            return None
        return np.concatenate([*parts, np.zeros(missing, np.float32)])

    def _is_held(self) -> bool:
        """Whether a new utterance waits for a little more of its sound, lest it begin with a gap."""
        if not self._queue or self._is_open or isinstance(self._queue[-1], _Mark):
            return False
        if self.lead_s >= _START_S or self._held >= _START_PACKETS:
            self._held = 0
            return False
        self._held += 1
        return True

    def _take_from_head(self, parts: list[NDArray[np.float32]], missing: int) -> int:
        self._pass_marks()
        if not self._queue:
            return 0
        head = self._queue[0]
        if isinstance(head, _Mark):  # pragma: no cover  # marks in front were just passed
            return 0
        if head.utterance != self._utterance:
            self._begin(head.utterance)
        if not head.taken:
            self._words += head.chunk.words
        part = head.pcm[head.taken : head.taken + missing]
        depths = head.chunk.depths
        if depths:
            self.depth = depths[min(len(depths) - 1, head.taken * len(depths) // max(1, len(head.pcm)))]
        head.taken += len(part)
        self._played_s = head.chunk.start_s + head.taken / self._rate
        if head.taken >= len(head.pcm):
            self._queue.popleft()
            self._pass_marks()
        parts.append(part)
        return len(part)

    def _pass_marks(self) -> None:
        while self._queue and isinstance(mark := self._queue[0], _Mark):
            self._queue.popleft()
            if mark.ends is not None and mark.ends == self._utterance:
                self._is_open = self._is_dry = False
            mark.happen()

    def _begin(self, utterance: int) -> None:
        self._utterance, self._played_s = utterance, 0.0
        self._words.clear()
        self._is_open = True
        self._on_started(utterance)

    def _count_dry(self, seconds: float) -> None:
        is_excused = self._is_excused()
        if not self._is_dry:
            self._is_dry, self._is_forgiven = True, is_excused
            self.underruns += not is_excused
        if not (is_excused or self._is_forgiven):
            self.underrun_s += seconds
