import asyncio

import numpy as np
import pytest
from soak import Findings, grown_mb, real_worker, scripted_worker, soak, sorted_by_length


def check(quiet: Findings, loud: Findings, tolerance: float) -> None:
    assert not any(loud.left.values()), loud.left
    assert sum(loud.ended.values()) == loud.begun
    assert loud.ended["interrupted"]
    assert loud.ended["abandoned"]
    assert len(loud.witnesses) == 2
    for alone, among in zip(sorted_by_length(quiet), sorted_by_length(loud), strict=True):
        np.testing.assert_allclose(among, alone, rtol=0, atol=tolerance)


def test_bad_company_leaves_nothing_behind_and_changes_nobody_elses_sound() -> None:
    """Barge-ins, leavers, slow listeners, bursts and faults: no slot, task, thread or file is left, every utterance
    ends exactly once, and witnesses sound the same to the bit.
    """  # noqa: D205
    quiet = asyncio.run(soak(scripted_worker(False), seconds=0, talkers=0, seed=0, bad=False))
    loud = asyncio.run(soak(scripted_worker(True), seconds=4, talkers=16, seed=2, bad=True))
    check(quiet, loud, 0.0)


@pytest.mark.slow
def test_the_real_engine_survives_bad_company() -> None:
    """The same with the shipped voice; chunks are cut by time, which moves the last bit of a sample."""
    quiet = asyncio.run(soak(real_worker(False), seconds=0, talkers=0, seed=0, bad=False))
    loud = asyncio.run(soak(real_worker(True), seconds=6, talkers=4, seed=3, bad=True))
    check(quiet, loud, 1e-4)
    assert grown_mb(loud) < 200
