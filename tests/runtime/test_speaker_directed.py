"""What the speaker does about what the model does: runaways, waits and lengths, with the model's part played here."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from voicestack.runtime import Bundle, Doubt, Event, Reason, Speaker, Stream, StreamSpec
from voicestack.runtime.names import END, HOLD, MASKED, NEXT
from voicestack.runtime.stack_head import HeadRow

RATE = 24_000
FRAME = 1920
Wish = Callable[[int, int], int]


class Director:
    """Sees the streams a speaker begins, and decides in place of the model what it does after each frame."""

    def __init__(self, speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> None:
        self.streams: list[Stream] = []
        self.wish: Wish = lambda place, frame: NEXT
        self._engine = speaker._engine  # pyright: ignore[reportPrivateUsage]
        self._admit_one = self._engine.admit
        monkeypatch.setattr(self._engine, "admit", self._admit)
        monkeypatch.setattr(self._engine._head, "draw", self._draw)  # pyright: ignore[reportPrivateUsage]

    @property
    def targets(self) -> list[int | None]:
        return [stream.spec.target_frames for stream in self.streams]

    def _admit(self, spec: StreamSpec) -> Stream:
        self.streams.append(self._admit_one(spec))
        return self.streams[-1]

    def _draw(self, depth: int, rows: Sequence[HeadRow]) -> tuple[list[int], list[np.ndarray]]:
        """The wish for this stream and frame; to go on at the end of the text is to end."""
        (row,) = rows
        wanted = self.wish(len(self.streams) - 1, self.streams[-1].feed.frames)
        channel = END if wanted == NEXT and row.channel_bias[NEXT] == MASKED else wanted
        return [channel], [np.zeros(depth, np.int64)]


@pytest.fixture
def director(speaker: Speaker, monkeypatch: pytest.MonkeyPatch) -> Director:
    return Director(speaker, monkeypatch)


@pytest.fixture(scope="module")
def speaker(tiny: Bundle) -> Speaker:
    return Speaker(tiny)


def test_a_length_divides_over_the_sentences(speaker: Speaker, director: Director) -> None:
    """With a length, the targets of all sentences add up to it, by their tokens; text in pieces is read first."""
    list(speaker.speak(iter(["Hello world. The ca", "t sat on the mat."]), depth=8, seconds=4))
    first, second = (target or 0 for target in director.targets)
    assert first + second == 50
    assert second > 1.5 * first


def test_a_sentence_that_was_cut_off_takes_no_target_of_another(speaker: Speaker, director: Director) -> None:
    """After a runaway the rest of its sentence has no target, and each later sentence has its own."""
    text = "Hello world good morning. The cat sat. Yes."
    list(speaker.speak(text, depth=8, seconds=4))
    shares = director.targets
    director.streams.clear()
    director.wish = lambda place, frame: NEXT if place else HOLD
    events = [chunk.event for chunk in speaker.speak(text, depth=8, seconds=4)]
    assert [event for event in events if event is not Event.SPOKEN] == [Event.CAPPED, *[Event.ENDED] * 3]
    assert director.targets == [shares[0], None, *shares[1:]]


def test_the_rest_of_a_sentence_has_what_is_left_of_its_share(tiny: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that is cut off before its target, for want of room, leaves the rest of it to what goes on."""
    short = replace(tiny.manifest, backbone=replace(tiny.manifest.backbone, max_positions=12))
    speaker = Speaker(Bundle(tiny.path, short))
    director = Director(speaker, monkeypatch)
    director.wish = lambda place, frame: HOLD
    list(speaker.speak("The cat sat on the mat, the cat sat", depth=8, seconds=1.6))
    # Four positions of the prefix give one frame, the other eight one each.
    assert director.targets[:4] == [20, 11, 2, None]


def test_words_a_runaway_did_not_come_to_are_said_again(speaker: Speaker, director: Director) -> None:
    """A word that was cued but not heard when the voice was cut off is told once, with the stream that says it."""
    # Three tokens may last 34 frames and four 36; the word that is cued in frame 33 would begin in frame 39.
    director.wish = lambda place, frame: NEXT if place or frame == 32 else HOLD
    chunks = list(speaker.speak("The cat on the mat. Yes.", depth=8))
    assert [[cue.text for cue in stream.feed.words] for stream in director.streams] == [
        ["The", "cat", "on"], ["on", "the", "mat"], ["Yes"],
    ]  # fmt: skip
    capped = next(place for place, chunk in enumerate(chunks) if chunk.event is Event.CAPPED)
    before = [word.text for chunk in chunks[: capped + 1] for word in chunk.words]
    after = [word.text for chunk in chunks[capped + 1 :] for word in chunk.words]
    assert (before, after) == (["The", "cat"], ["on", "the", "mat", "Yes"])


def test_the_word_a_runaway_was_cut_off_in_is_doubted(speaker: Speaker, director: Director) -> None:
    """It is told with the chunk that ends there, from when the word began to where the sound stops."""
    director.wish = lambda place, frame: NEXT if place or frame == 32 else HOLD
    chunks = list(speaker.speak("The cat on the mat. Yes.", depth=8))
    capped = next(place for place, chunk in enumerate(chunks) if chunk.event is Event.CAPPED)
    (doubt,) = [doubt for chunk in chunks for doubt in chunk.doubts]
    assert (doubt,) == chunks[capped].doubts
    begins = {word.text: word.start_s for chunk in chunks for word in chunk.words}
    end_s = chunks[capped].start_s + len(chunks[capped].pcm) / RATE
    assert doubt == Doubt("cat", begins["cat"], end_s, Reason.CUT_OFF)


def test_the_first_chunks_are_small_after_a_wait_between_sentences(speaker: Speaker, director: Director) -> None:
    """Where a sentence had to be waited for its first chunk is one frame; where it was there, four."""
    director.wish = lambda place, frame: HOLD if frame < 20 else NEXT
    sentences = ["Hello there world. ", "Good morning. "]

    def first_size(text: str | Iterator[str]) -> int:
        chunks = list(speaker.speak(text, depth=8))
        ended = next(place for place, chunk in enumerate(chunks) if chunk.event is Event.ENDED)
        return len(chunks[ended + 1].pcm)

    assert first_size(iter(sentences)) == FRAME - 720
    assert first_size("".join(sentences)) == 4 * FRAME - 720


@pytest.mark.parametrize("idle", [0, 3])
@pytest.mark.usefixtures("director")
def test_every_wait_inside_a_sentence_is_told_once(speaker: Speaker, idle: int) -> None:
    """A stream that parks just after a chunk went out says so with an empty one, however long it then waits."""
    chunks = list(speaker.speak(iter(["Hello there ", *[""] * idle, "world. "]), depth=8))
    events = [chunk.event for chunk in chunks]
    assert events.count(Event.PARKED) == 1
    parked = chunks[events.index(Event.PARKED)]
    assert parked.pcm.shape == (0,)
    assert parked.pcm.dtype == np.float32
    assert parked.start_s == pytest.approx(sum(len(chunk.pcm) for chunk in chunks[:2]) / RATE)
