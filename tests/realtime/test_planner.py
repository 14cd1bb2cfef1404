import math
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicestack.realtime.cost_model import CostMeter, CostModel, Line
from voicestack.realtime.planner import Planner, PlannerConfig
from voicestack.realtime.simulator import Simulation, Talker
from voicestack.realtime.track import Track

COST = CostModel(
    MappingProxyType({8: Line(1e-3, 0.8e-3), 16: Line(2e-3, 1.2e-3), 32: Line(4e-3, 2.0e-3)}),
    Line(1e-3, 0.5e-3),
    Line(0.5e-3, 0.1e-3),
)
PERIOD_S = 0.08


def capacity(depth: int, share: float = 0.85 / 1.3) -> int:
    """The plain reckoning: the part of the time a frame of a full call leaves, and of a smaller one below that."""
    rows = PlannerConfig().call_rows
    few = max((n for n in range(rows + 1) if COST.load({depth: n}, PERIOD_S, rows) <= share), default=0)
    return few if few < rows else int(share * PERIOD_S / COST.frame_s(depth, rows))


talkers = st.builds(
    Talker,
    arrives_s=st.floats(0, 20),
    frames=st.integers(1, 150),
    depth=st.sampled_from([8, 16, 32]),
    prompt_rows=st.integers(1, 5),
    frames_per_s=st.sampled_from([math.inf, 15.0, 40.0]),
    leaves_s=st.one_of(st.just(math.inf), st.floats(1, 30)),
)


@given(st.lists(talkers, max_size=40), st.floats(0, 10))
@settings(max_examples=40)
def test_a_round_steps_nobody_twice_and_nobody_who_must_not(crowd: list[Talker], now_s: float) -> None:
    """Whatever state the tracks are in, a plan names each at most once, none that is parked, full or has ended."""
    planner = Planner(lambda: COST, PERIOD_S)
    for key, talker in enumerate(crowd):
        track = Track(key, talker.depth, talker.arrives_s, 0.6, 0.35, rows_left=talker.prompt_rows % 3)
        track.frames = talker.frames % 7
        track.dry_at_s = None if talker.prompt_rows == 1 else talker.arrives_s
        track.parked, track.full = talker.frames % 5 == 0, talker.frames % 7 == 0
        planner.tracks[key] = track
    plan = planner.plan(now_s)
    keys = [track.key for track in plan.step]
    assert len(set(keys)) == len(keys) <= planner.config.batch
    assert not any(track.parked or track.full for track in plan.step)
    if any(t.wants_step(now_s) and not t.rows_left for t in planner.tracks.values()):
        assert plan.step


@given(st.lists(talkers, max_size=60))
@settings(max_examples=60)
def test_whatever_comes_everybody_is_served_refused_or_gone_and_no_track_is_left(crowd: list[Talker]) -> None:
    """Every talker ends in one way, nobody is made deeper than asked, and nobody who stays is cut short."""
    simulation = Simulation(COST)
    outcomes = simulation.run(crowd)
    assert not simulation.planner.tracks
    for talker, outcome in zip(crowd, outcomes, strict=True):
        assert outcome.refused == (outcome.finished_s is None)
        assert all(depth <= talker.depth for depth in outcome.depths)
        if not outcome.refused and math.isinf(talker.leaves_s):
            assert outcome.frames == talker.frames


def test_nobody_runs_dry_while_all_fit_at_full_depth() -> None:
    """As many talkers as admission allows at full depth, all coming within a second, are heard without a gap."""
    count = capacity(32)
    crowd = [Talker(0.9 * place / count, 400, 32) for place in range(count)]
    outcomes = Simulation(COST).run(crowd)
    assert sum(outcome.underruns for outcome in outcomes) == 0
    assert max(outcome.first_sound_s or math.inf for outcome in outcomes) < 0.25


def test_a_thousand_talkers_over_ten_minutes_do_not_run_dry() -> None:
    """Poisson-like arrivals at 80 % of what fits."""
    count, mean_frames = 1000, 125
    between_s = mean_frames * PERIOD_S / (0.8 * capacity(32))
    crowd = [Talker(place * between_s, 50 + 150 * (place * 7919 % 1000) // 1000, 32) for place in range(count)]
    outcomes = Simulation(COST).run(crowd)
    assert not any(outcome.refused or outcome.underruns for outcome in outcomes)
    assert all(set(outcome.depths) == {32} for outcome in outcomes)


def test_a_crowd_is_made_shallower_before_it_runs_dry_and_deeper_again_afterwards() -> None:
    """More talkers than fit at full depth lose layers instead of time, and get them back when the others have gone."""
    settled, burst = capacity(32) - 2, capacity(8) - 4
    crowd = [Talker(0.05 * place, 750, 32) for place in range(settled)]
    crowd += [Talker(10 + 0.02 * place, 100, 32) for place in range(burst - settled)]
    simulation = Simulation(COST)
    outcomes = simulation.run(crowd)
    assert not any(outcome.refused for outcome in outcomes)
    spoken_s = sum(outcome.frames for outcome in outcomes) * PERIOD_S
    assert sum(outcome.underrun_s for outcome in outcomes) < 0.01 * spoken_s
    assert any(min(outcome.depths) < 32 for outcome in outcomes)
    deep = [outcome.depths[32] / outcome.frames for outcome in outcomes[:settled]]
    assert min(deep) > 0.6, "depth must come back when the burst is over"


def test_without_shedding_admission_counts_on_full_depth() -> None:
    """What may not be made shallower is refused earlier."""
    shed, rigid = Simulation(COST), Simulation(COST, config=PlannerConfig(shedding=False))
    assert shed.planner.capacity(32) == capacity(8)
    assert rigid.planner.capacity(32) == capacity(32)
    outcomes = rigid.run([Talker(0, 50, 32) for _ in range(100)])
    assert sum(not outcome.refused for outcome in outcomes) == capacity(32)
    assert all(set(outcome.depths) <= {32} for outcome in outcomes)


@pytest.mark.parametrize(
    ("slowness", "count", "frames"), [(1, 1, 1), (1, 4, 1), (1, 7, 2), (6, 1, 2), (6, 4, 2), (6, 7, 2)]
)
def test_a_first_sound_lasts_until_the_next_can_be_made(slowness: int, count: int, frames: int) -> None:
    """One frame where a round is shorter than the least that is heard of it, else two; two in a crowd, anyway."""
    step = {depth: Line(slowness * line.fixed_s, slowness * line.per_row_s) for depth, line in COST.step.items()}
    cost = CostModel(MappingProxyType(step), COST.decode, COST.prefill)
    planner = Planner(lambda: cost, PERIOD_S, first_sound_s=0.03)
    planner.tracks |= {key: Track(key, 32, 0.0, 0.6, 0.35) for key in range(count)}
    assert planner.chunk_frames(planner.tracks[0], 0.0) == frames


def test_equal_talkers_are_served_equally() -> None:
    """Of talkers that come together and speak at one depth none waits much longer for its first sound than its turn."""
    outcomes = Simulation(COST).run([Talker(0, 100, 32) for _ in range(24)])
    waits = sorted(outcome.first_sound_s or math.inf for outcome in outcomes)
    # In a crowd the first sound is two frames long, made in two rounds.
    rounds = 2 * math.ceil(24 / PlannerConfig().batch)
    assert waits[-1] <= rounds * (COST.step[32].seconds(12) + COST.decode.seconds(12) + COST.prefill.seconds(12)) * 1.6


def test_a_new_talker_is_heard_soon_among_many() -> None:
    """First-frame priority: with the machine two thirds busy a newcomer is heard within two rounds."""
    count = int(0.66 * capacity(32))
    crowd = [Talker(0.03 * place, 500, 32) for place in range(count)]
    crowd += [Talker(10 + 0.37 * place, 20, 32) for place in range(20)]
    outcomes = Simulation(COST).run(crowd)
    waits = [outcome.first_sound_s or math.inf for outcome in outcomes[count:]]
    assert max(waits) < 0.1
    assert not any(outcome.underruns for outcome in outcomes)


def test_a_long_prompt_does_not_stall_the_others() -> None:
    """Two thousand rows of prompt are prefilled in pieces while those who speak go on without a gap."""
    cost = CostModel(COST.step, COST.decode, Line(0.5e-3, 0.5e-3))
    crowd = [Talker(0, 300, 32) for _ in range(8)] + [Talker(3, 50, 32, prompt_rows=2000)]
    outcomes = Simulation(cost).run(crowd)
    assert not any(outcome.underruns for outcome in outcomes[:8])
    assert outcomes[8].frames == 50


def test_silence_of_the_writer_is_no_underrun() -> None:
    """Text that comes slower than it is spoken leaves gaps that are not ours."""
    (outcome,) = Simulation(COST).run([Talker(0, 50, 8, frames_per_s=8.0)])
    assert outcome.frames == 50
    assert outcome.underruns == 0


def test_one_stream_alone_does_not_make_the_meter_forget_what_twelve_take() -> None:
    """After thousands of single rows the warm-up still tells that a batch is cheaper for each of its rows."""
    meter, line = CostMeter(), Line(1e-3, 1e-4)
    for count in (1, 2, 6, 12):
        meter.stepped(8, count, line.seconds(count))
        meter.decoded(count, line.seconds(count))
        meter.prefilled(count, line.seconds(count))
    meter.settle()
    for _ in range(5000):
        meter.stepped(8, 1, line.seconds(1))
    assert math.isclose(meter.model().step[8].seconds(12), line.seconds(12), rel_tol=1e-3)


@given(st.floats(0, 5e-3), st.floats(1e-4, 5e-3), st.lists(st.integers(1, 24), min_size=2, max_size=40))
def test_the_cost_meter_finds_the_line_it_was_fed(fixed_s: float, per_row_s: float, rows: list[int]) -> None:
    """Whatever the batch sizes, the fitted model predicts what was measured at them."""
    meter, line = CostMeter(), Line(fixed_s, per_row_s)
    for count in rows:
        meter.stepped(8, count, line.seconds(count))
        meter.decoded(count, line.seconds(count))
        meter.prefilled(count, line.seconds(count))
    fitted = meter.model().step[8]
    if len(set(rows)) > 1:
        for count in rows:
            assert math.isclose(fitted.seconds(count), line.seconds(count), rel_tol=1e-3, abs_tol=1e-6)


def test_held_back_frames_that_nobody_could_hear_do_not_spin() -> None:
    """A parked delay voice gives its last frames out as the lead ends; ones too shallow wait for text, at no cost."""
    track = Track(0, 8, 0.0, 0.6, 0.35, rows_left=0, parked=True)
    track.pending, track.dry_at_s = 3, 10.0
    assert not track.wants_step(9.5)
    assert math.isclose(track.wakes_at_s(), 9.9)
    assert track.wants_step(9.95)
    track.held_until_s = math.inf
    assert not track.wants_step(9.95)
    assert math.isinf(track.wakes_at_s())
    track.resume(11.0)
    assert track.wants_step(11.0)


def test_a_listener_that_takes_nothing_costs_the_others_no_layer() -> None:
    """However long its sound has been waiting, who speaks beside it stays as deep as it was."""
    planner = Planner(lambda: COST, PERIOD_S)
    deep, stalled = (Track(key, 32, 0.0, 0.6, 0.35, rows_left=0) for key in range(2))
    deep.dry_at_s, stalled.dry_at_s, stalled.full = 100.0, 0.1, True
    planner.tracks = {0: deep, 1: stalled}
    for place in range(200):
        planner.worked(0.05, place * 0.05)
        planner.plan(place * 0.05)
    assert deep.depth == 32
