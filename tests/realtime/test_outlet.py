"""The queue between scheduler and listener."""

import numpy as np
import pytest

from voicestack.realtime.outlet import Ending, Outlet
from voicestack.runtime import Chunk, WordTiming

RATE = 1000


@pytest.mark.parametrize("shape", [(800,), (800, 2)])
def test_a_cut_counts_samples_of_a_channel_and_fades_all_of_them(shape: tuple[int, ...]) -> None:
    """Mono and stereo: what lies behind the cut is dropped, and the last 5 ms before it fall to silence."""
    outlet = Outlet(RATE, 2.0)
    for start_s in (0.0, 0.8):
        outlet.put(Chunk(np.ones(shape, np.float32), start_s, (WordTiming("a", start_s),)))
    assert outlet.queued_s == pytest.approx(1.6)
    outlet.cut(0.3)
    assert outlet.queued_s == pytest.approx(0.3)
    (kept,) = outlet._chunks
    assert kept.pcm.shape == (300, *shape[1:])
    assert (kept.pcm[:295] == 1).all()
    assert (np.diff(kept.pcm[295:], axis=0) < 0).all()
    assert not kept.pcm[-1].any()


@pytest.mark.parametrize("ending", [None, Ending.FINISHED])
def test_sound_that_breaks_off_is_faded_and_one_that_ends_is_left_as_it_is(ending: Ending | None) -> None:
    """A cut behind all that was made falls to silence where more would have come."""
    outlet = Outlet(RATE, 2.0)
    outlet.put(Chunk(np.ones(800, np.float32), 0.0, ()))
    outlet.put(Chunk(np.ones(800, np.float32), 0.8, ()))
    if ending is not None:
        outlet.end(ending)
    outlet.cut(1.6)
    first, last = outlet._chunks
    assert (first.pcm == 1).all()
    assert last.pcm[-1] == (0 if ending is None else 1)
