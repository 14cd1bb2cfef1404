import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime.delay_line import KEPT_FRAMES, DelayLine

NULL = 1024
Ints = NDArray[np.int64]
STACKS = st.tuples(st.integers(1, 60), st.integers(1, 32), st.integers(0, 5), st.integers(0, 2**32 - 1))


def random_stacks(frames: int, depth: int, seed: int) -> Ints:
    return np.random.default_rng(seed).integers(0, NULL, (frames, depth))


def delayed(stacks: Ints, n_vq: int) -> Ints:
    """The columns [T + depth - 1, n_vq] of the staircase: layer j of frame t stands in column t + j."""
    frames, depth = stacks.shape
    columns = np.full((max(frames + depth - 1, frames + 1), n_vq), NULL)
    for layer in range(depth):
        columns[layer : layer + frames, layer] = stacks[:, layer]
    return columns


def drawn(column: Ints, depth: int, seed: int) -> Ints:
    """What a head draws in a step: a code of every layer, also where there is no frame."""
    noise = np.random.default_rng(seed).integers(0, NULL, depth)
    return np.where(column[:depth] == NULL, noise, column[:depth])


@settings(max_examples=60)
@given(STACKS)
def test_what_is_delayed_comes_back(case: tuple[int, int, int, int]) -> None:
    """Columns fed step by step are told as they are, live codes only, and end up as the stacks they came from."""
    frames, depth, above, seed = case
    stacks, line = random_stacks(frames, depth, seed), DelayLine(depth, depth + above, NULL)
    columns = delayed(stacks, depth + above)
    for step, column in enumerate(columns):
        assert not line.complete
        if step == frames:
            line.end()
        line.take(drawn(column, depth, step))
        np.testing.assert_array_equal(line.row, column)
        assert line.frames == min(step + 1, frames)
        for frame in range(-1, frames + 1):
            made = min(depth, step + 1 - frame) if 0 <= frame <= min(step, frames - 1) else 0
            assert line.depth_of(frame) == made
            if made:
                want = np.full(depth + above, NULL)
                want[:made] = stacks[frame, :made]
                np.testing.assert_array_equal(line.stacks(frame, frame + 1)[0], want)
    assert line.complete
    assert line.total == frames
    np.testing.assert_array_equal(line.stacks(0, frames)[:, :depth], stacks)


@settings(max_examples=30)
@given(STACKS)
def test_windows_hold_the_last_live_codes_of_each_layer(case: tuple[int, int, int, int]) -> None:
    """A window of four has, after every step, the last four codes that a layer's frames got, and nothing else."""
    frames, depth, above, seed = case
    stacks, line = random_stacks(frames, depth, seed), DelayLine(depth, depth + above, NULL)
    recent = np.full((depth + above, 4), NULL)
    for step, column in enumerate(delayed(stacks, depth + above)):
        if step == frames:
            line.end()
        line.take(drawn(column, depth, step))
        line.remember(recent)
        for layer in range(depth):
            come = stacks[: max(step + 1 - layer, 0), layer]
            assert sorted(recent[layer][recent[layer] != NULL]) == sorted(come[-4:])
    assert (recent[depth:] == NULL).all()


def test_a_line_that_ends_at_once_has_nothing() -> None:
    """A stream whose first step is the end has no frame and nothing to finish."""
    line = DelayLine(8, 32, NULL)
    line.end()
    assert line.live.start == line.live.stop
    assert line.complete
    assert line.stacks(0, 0).shape == (0, 32)


def test_old_frames_cannot_be_read() -> None:
    """Of a long stream the last frames are kept, and asking for others is a ValueError with what there is."""
    line = DelayLine(2, 3, NULL)
    for step in range(KEPT_FRAMES + 9):
        line.take(np.array([step % 1000, (step + 999) % 1000]))
    assert line.stacks(9, KEPT_FRAMES + 8)[:, :2].tolist() == [[f % 1000, f % 1000] for f in range(9, KEPT_FRAMES + 8)]
    for start, stop in ((8, 9), (KEPT_FRAMES, KEPT_FRAMES + 10), (20, 19)):
        with pytest.raises(ValueError, match=rf"frames 9 to {KEPT_FRAMES + 9} can be read"):
            line.stacks(start, stop)
