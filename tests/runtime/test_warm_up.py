import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicestack.runtime import InputError, WarmUp
from voicestack.runtime.warm_up import GUARD_S, Estimate, Lead, Need, Pace, frames_due

FRAME_S = 0.08
FULL = st.integers(1, 32)
WARM_UPS = st.integers(1, 32).flatmap(lambda first: st.builds(WarmUp, st.just(first), st.integers(1, first)))
SECONDS = st.floats(0, 10)
NEEDS = st.builds(Need, st.booleans(), SECONDS, st.one_of(SECONDS, st.just(math.inf)), st.sampled_from([1, 2, 4]))
STAIRS = st.tuples(FULL, st.integers(0, 40), st.integers(1, 40)).map(
    # A staircase of so many frames whose last one has so many layers, of all it may have.
    lambda case: ([min(case[0], case[2] + back) for back in reversed(range(case[1]))], case[0])
)


@given(STAIRS, WARM_UPS, NEEDS)
def test_no_more_is_given_than_there_is(stairs: tuple[list[int], int], warm_up: WarmUp, need: Need) -> None:
    """The frames given out exist, and after the first each has all its layers or at least min_depth of them."""
    depths, full = stairs
    due = frames_due(depths, full, warm_up, need, FRAME_S)
    assert 0 <= due <= len(depths)
    assert all(depth >= min(warm_up.min_depth, full) for depth in depths[:due])


@given(STAIRS, WARM_UPS, NEEDS)
def test_nothing_waits_while_the_lead_runs_out(stairs: tuple[list[int], int], warm_up: WarmUp, need: Need) -> None:
    """With less lead than is needed the next frame goes out, if it has min_depth; and enough of them, if there are."""
    depths, full = stairs
    playable = sum(depth >= min(warm_up.min_depth, full) for depth in depths)
    if need.begun and need.lead_s < need.needed_s and playable:
        due = frames_due(depths, full, warm_up, need, FRAME_S)
        assert due >= 1
        assert (
            due >= min(playable, need.wanted) or due * FRAME_S + need.lead_s >= need.needed_s - 1e-9 or due == playable
        )


@given(STAIRS, WARM_UPS, NEEDS)
def test_a_long_lead_gives_whole_frames_only(stairs: tuple[list[int], int], warm_up: WarmUp, need: Need) -> None:
    """While the lead lasts only frames of full depth go out, as many at once as are worth a call, and never fewer."""
    depths, full = stairs
    if need.begun and need.lead_s >= need.needed_s:
        due = frames_due(depths, full, warm_up, need, FRAME_S)
        whole = depths.count(full)
        assert due == (need.wanted if whole >= need.wanted else 0)


@given(FULL, WARM_UPS, NEEDS)
def test_the_first_frame_leaves_at_first_depth(full: int, warm_up: WarmUp, need: Need) -> None:
    """Layer by layer, it goes out alone as soon as it has first_depth layers, or all if there are fewer."""
    first = Need(False, need.lead_s, need.needed_s, need.wanted)
    stairs = [[min(full, steps - frame) for frame in range(steps)] for steps in range(1, full + 1)]
    due = [frames_due(depths, full, warm_up, first, FRAME_S) for depths in stairs]
    expected = min(warm_up.first_depth, full)
    assert due == [int(steps >= expected) for steps in range(1, full + 1)]


@dataclass
class Generator:
    """A delay voice and its listener, in figures: what is generated, given out and heard when."""

    frames: int
    full: int
    step_s: float
    decode_s: float
    now_s: float = 0.0
    steps: int = 0
    lead: Lead = field(default_factory=Lead)
    pace: Pace = field(default_factory=Pace.begin)
    played: list[int] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)

    def waiting(self) -> list[int]:
        return [min(self.full, self.steps - frame) for frame in range(len(self.played), min(self.steps, self.frames))]

    def run(self, warm_up: WarmUp) -> None:
        while self.steps < self.frames + self.full - 1:
            self.now_s += self.step_s
            self.pace.step.note(self.step_s)
            self.steps += 1
            while due := self.due(warm_up):
                self.give(due)
        if self.waiting():
            self.give(len(self.waiting()))

    def due(self, warm_up: WarmUp) -> int:
        wanted = (1, 1, 2, 4)[min(len(self.played), 3)]
        need = Need(self.lead.begun, self.lead.left_s(self.now_s), self.pace.needed_s(), wanted)
        return frames_due(self.waiting(), self.full, warm_up, need, FRAME_S)

    def give(self, count: int) -> None:
        depths = self.waiting()[:count]
        self.now_s += self.decode_s
        self.pace.decode.note(self.decode_s)
        if self.lead.begun:
            self.gaps_s.append(self.lead.left_s(self.now_s))
        self.played += depths
        self.lead.give(self.now_s, count * FRAME_S)


@settings(max_examples=300)
@given(
    frames=st.integers(1, 80), full=FULL, warm_up=WARM_UPS, step_s=st.floats(0.0005, 0.02), decode_s=st.floats(0, 0.018)
)
def test_depth_is_never_bought_with_an_underrun(
    frames: int, full: int, warm_up: WarmUp, step_s: float, decode_s: float
) -> None:
    """At a steady pace with which speech can be kept up, every chunk is there before the one before has been heard."""
    first = min(warm_up.first_depth, full)
    run = Generator(frames, full, step_s, decode_s)
    run.run(WarmUp(warm_up.first_depth, 1))
    assert len(run.played) == frames
    assert all(left > 0 for left in run.gaps_s)
    assert run.played[0] == first
    # Steps are at least twice as fast as speech here, so that depth only rises.
    assert run.played == sorted(run.played)
    behind = math.ceil(full / (FRAME_S / (step_s + decode_s) - 1)) + 3
    assert all(depth == full for depth in run.played[behind:])


def test_full_stacks_can_be_waited_for() -> None:
    """With all layers as both depths nothing is ever played shallower, even by a machine that cannot keep up."""
    for step_s in (0.002, 0.2):
        run = Generator(30, 32, step_s, 0.007)
        run.run(WarmUp(32, 32))
        assert run.played == [32] * 30


def test_a_machine_that_cannot_keep_up_stays_shallow() -> None:
    """With steps slower than speech frames go out at min_depth, each as soon as it can."""
    run = Generator(30, 32, 0.1, 0.01)
    run.run(WarmUp(6, 2))
    assert run.played[0] == 6
    # Five frames were in the staircase when the first went out; they are what there was to live on.
    assert run.played[8:] == [2] * 22


def test_the_lead_begins_anew_after_a_gap() -> None:
    """Time in which there was nothing to hear does not count against what comes after it."""
    lead = Lead()
    assert not lead.begun
    lead.give(5.0, 0.5)
    assert lead.left_s(5.2) == pytest.approx(0.3)
    assert lead.left_s(9.0) == 0
    lead.give(9.0, 0.5)
    assert lead.left_s(9.1) == pytest.approx(0.4)


def test_slow_calls_count_at_once_and_are_forgotten_slowly() -> None:
    """An estimate follows a longer time immediately, and a shorter one in small steps."""
    estimate = Estimate()
    assert not estimate.known
    for seconds, low, high in ((0.01, 0.01, 0.01), (0.05, 0.05, 0.05), (0.01, 0.04, 0.05), (0.01, 0.03, 0.04)):
        estimate.note(seconds)
        assert low <= estimate.seconds <= high


def test_the_guard_grows_with_the_work() -> None:
    """Little work leaves a fixed guard, much of it one as long as itself; a wait for text comes on top."""
    pace = Pace.begin()
    pace.step.note(0.002)
    assert pace.needed_s() == pytest.approx(0.002 + GUARD_S)
    pace.decode.note(0.098)
    assert pace.needed_s(wait_s=0.5) == pytest.approx(0.5 + 0.1 + 0.1)


@pytest.mark.parametrize(
    ("first", "least", "message"),
    [
        (0, 1, "first_depth must be a whole number from 1 to 32, got 0"),
        (33, 1, "first_depth must be a whole number from 1 to 32, got 33"),
        (2.0, 1, "first_depth must be a whole number from 1 to 32, got 2.0"),
        (True, 1, "first_depth must be a whole number from 1 to 32, got True"),
        (4, 5, "min_depth must be a whole number from 1 to 4, got 5"),
        (4, 0, "min_depth must be a whole number from 1 to 4, got 0"),
    ],
)
def test_depths_that_cannot_be_are_refused(first: int, least: int, message: str) -> None:
    """The error names the field, what would do and what was given."""
    with pytest.raises(InputError, match=message):
        WarmUp(first, least)
