"""Doubts about what was said: words whose sound is not what their text says, told with the sound that follows them.

A cue is a promise (`cue_clock`), and nothing in the codes tells whether it was kept. So the sound is listened to: each
phone of a word should be heard somewhere between its own onset and the next one's. A word whose phones are, on the
average, no likelier than anywhere in speech is doubtful. This changes no sound and delays none.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from .cued_feed import CuedFeed
from .lead_in import AUDIBLE
from .listener import CLASSES, CONTEXT, FEATURES, FRAME_SAMPLES, Listener, spectra_of, unit_classes
from .text.phones import CONSONANTS, UNIT_IDS

FloatArray = NDArray[np.float32]

UNCLEAR_NATS = -0.4
"""A word is unclear when the evidence for its phones is less than this on the average; 0 is that for any sound.

Of 200 sentences that a recogniser judged beside the teacher's, 45 had an error that the teacher's had not. 37 are
doubted for this, 17 of them rightly; at 0 one more is found and 39 are doubted wrongly instead of 20. Words cut out or
covered by noise are told in 97 of 100 cases, those said with another word's sound in 64 (at 0: 99 and 81).
"""
SHIFT_NATS = 1.0
"""What a word said a frame early or late has to make good for."""
INAUDIBLE = 0.001
"""A word whose loudest frame has a root mean square below this, -60 dBFS, is silent."""
CLEAR_LAYERS = 8
"""Sound of so many layers is as clear to the listener as any: coarser speech was never judged by it."""
STUCK_FRAMES = 12
"""A token that lasts for longer than this, about a second, holds the voice up."""
TAIL_FRAMES, BABBLE_FRAMES = 8, 4
"""So long after the onset of the last phone a sentence is over; so many frames of sound behind that are none of it."""

_AT_ONCE_SAMPLES = 16 * FRAME_SAMPLES
"""So much sound, 1.3 s, is listened to in one go: a call takes half a millisecond, however little it is given."""

_CLASS = unit_classes()
_FIRST_SPOKEN, _FIRST_INITIAL = UNIT_IDS[CONSONANTS[0]], UNIT_IDS["^" + CONSONANTS[0]]
"""Where the phones and letters begin among the units, marks being before them, and those that begin a word."""


class Reason(StrEnum):
    """Why a word is doubted.

    Its phones are not heard; it has no sound; the sentence ended before it began; it lasts far too long; speech goes on
    behind the last word; the voice ran away there and was cut off.
    """

    UNCLEAR = "unclear"
    SILENT = "silent"
    UNSAID = "unsaid"
    STUCK = "stuck"
    BABBLE = "babble"
    CUT_OFF = "cut_off"


@dataclass(frozen=True, slots=True)
class Doubt:
    """A word, as spelled in the text, that may not have been heard as it should; when it was to be said, and why.

    Of several words said for one (`$23.50`) each may be doubted, under the same spelling. Seconds are the utterance's.
    """

    word: str
    start_s: float
    end_s: float
    reason: Reason


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A doubt by the frames of its stream, `end` being the first frame behind it."""

    word: str
    start: int
    end: int
    reason: Reason


@dataclass(slots=True)
class Watch:
    """What is remembered of one stream to judge its words: what was heard in each frame.

    `given`: samples that were not listened to yet. `spectra`: the frames not judged yet, and the one before them.
    `evidence` float32 [frames, classes] and `loudness` float32 [frames] by frame. `place`: the token
    with which the next word begins, `spelling`: how the last one is written. `blind`: no word before this frame is
    judged.
    """

    listener: Listener
    feed: CuedFeed
    given: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    spectra: FloatArray = field(default_factory=lambda: np.zeros((0, FEATURES), np.float32))
    evidence: FloatArray = field(default_factory=lambda: np.zeros((0, len(CLASSES)), np.float32))
    loudness: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    place: int = 0
    spelling: str = ""
    blind: int = 0

    def hear(self, pcm: FloatArray, *, is_last: bool) -> Iterator[Suspicion]:
        """Listen to the next samples of the stream, float32 [samples], and doubt the words that are over."""
        self.given = np.concatenate([self.given, pcm])
        if len(self.given) < _AT_ONCE_SAMPLES and not is_last:
            return
        self._listen(is_last)
        heard = len(self.evidence)
        # A word may be said a frame late, and sound on in the frame behind.
        while (end := self._word_end()) is not None and self.feed.onsets[end] + 2 <= heard:
            yield from self._judged(end)
        if is_last and self.feed.ended:
            while self.place < len(self.feed.onsets):
                yield from self._judged(self._word_end() or len(self.feed.onsets))
            yield from self._end()

    def _listen(self, is_last: bool) -> None:
        whole = len(self.given) // FRAME_SAMPLES * FRAME_SAMPLES
        pcm, self.given = self.given[:whole], self.given[whole:]
        if whole:
            spectra = spectra_of(pcm)
            power = np.square(pcm).reshape(-1, FRAME_SAMPLES).mean(1)
            self.loudness = np.concatenate([self.loudness, np.sqrt(power)])
            # Before the first frame there is none, so it stands beside itself; so does the last.
            self.spectra = np.concatenate([self.spectra if len(self.spectra) else spectra[:1], spectra])
        if is_last and len(self.spectra):
            self.spectra = np.concatenate([self.spectra, self.spectra[-1:]])
        if len(self.spectra) >= CONTEXT:
            self.evidence = np.concatenate([self.evidence, self.listener.evidence(self.spectra)])
            self.spectra = self.spectra[-2:]

    def _word_end(self) -> int | None:
        """The token behind the next word or mark, once its onset is known."""
        for place in range(self.place + 1, len(self.feed.onsets)):
            if not _FIRST_SPOKEN <= self._unit(place) < _FIRST_INITIAL:
                return place
        return None

    def _unit(self, place: int) -> int:
        """The first unit of a token."""
        return self.feed.tokens[place][0][0]

    def _judged(self, end: int) -> Iterator[Suspicion]:
        """Judge the word up to a token, and go on to that."""
        begin, self.place = self.place, end
        if self._unit(begin) < _FIRST_SPOKEN:
            return
        self.spelling = self.feed.tokens[begin][1] or self.spelling
        onsets = [*self.feed.onsets, self.feed.frames][begin : end + 1]
        start, stop = onsets[0], max(onsets[-1], onsets[0] + 1)
        reason = None if start < self.blind else self._reason(begin, onsets)
        if reason is not None:
            yield Suspicion(self.spelling, start, stop, reason)

    def _reason(self, begin: int, onsets: list[int]) -> Reason | None:
        """Why to doubt the word whose tokens, from `begin` on, have these onsets; the last is the end's."""
        start, stop = onsets[0], max(onsets[-1], onsets[0] + 1)
        if start >= len(self.evidence):
            return Reason.UNSAID
        if max(after - before for before, after in pairwise(onsets)) > STUCK_FRAMES:
            return Reason.STUCK
        in_time = self._clarity(begin, onsets) >= UNCLEAR_NATS
        # A `the` behind a pause may well be late; in a longer word the closure of a stop is heard in silence too.
        may_be_late = in_time and len(onsets) == 2
        if self.loudness[start:stop].max() < INAUDIBLE and not may_be_late:
            return Reason.SILENT
        shifted = (self._clarity(begin, onsets, shift) - SHIFT_NATS for shift in (-1, 1))
        return None if in_time or max(shifted) >= UNCLEAR_NATS else Reason.UNCLEAR

    def _clarity(self, begin: int, onsets: list[int], shift: int = 0) -> float:
        """The evidence for the phones of a word, so many frames late: of each the best in its token's time."""
        found: list[float] = []
        last = len(self.evidence) - 1
        frames = [min(max(onset + shift, 0), last) for onset in onsets]
        for place, (start, stop) in enumerate(pairwise(frames), begin):
            # The last phone of a token may sound on in the frame in which the next begins.
            heard = self.evidence[start : stop + 1]
            found += [float(heard[:, _CLASS[unit]].max()) for unit in self.feed.tokens[place][0] if _CLASS[unit] >= 0]
        # What is spelled in letters has no phones to listen for.
        return sum(found) / len(found) if found else 0.0

    def _end(self) -> Iterator[Suspicion]:
        """Judge what follows the last word: a little silence, as a rule."""
        spoken = [onset for place, onset in enumerate(self.feed.onsets) if self._unit(place) >= _FIRST_SPOKEN]
        start = spoken[-1] + TAIL_FRAMES if spoken else 0
        if (self.loudness[start:] > AUDIBLE).sum() > BABBLE_FRAMES:
            yield Suspicion(self.spelling, start, self.feed.frames, Reason.BABBLE)
