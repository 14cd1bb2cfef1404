import asyncio

from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.serve.bucket import Bucket


@given(st.lists(st.floats(0, 0.1), min_size=1, max_size=200))
def test_a_bucket_lets_through_what_its_rate_allows(gaps_s: list[float]) -> None:
    """Never more than the burst and what has come in since."""
    now_s, taken = 0.0, 0
    bucket = Bucket(10, 5, lambda: now_s)
    for gap_s in gaps_s:
        now_s += gap_s
        taken += bucket.take()
    assert taken <= 5 + now_s * 10 + 1e-6


def test_waiting_loses_nothing() -> None:
    """All come, the burst at once and the others at their rate."""

    async def body() -> float:
        loop = asyncio.get_running_loop()
        bucket, began_s = Bucket(200, 5, loop.time), loop.time()
        for _ in range(15):
            await bucket.wait()
        return loop.time() - began_s

    assert asyncio.run(body()) >= 0.04
