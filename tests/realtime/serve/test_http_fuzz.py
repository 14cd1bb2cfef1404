import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("aiohttp")
pytest.importorskip("soxr")

from fuzz_http import attack
from siege_http import besiege

from voicestack.realtime.serve.encoders import FORMATS
from voicestack.realtime.serve.failures import RefusedError, failure_of
from voicestack.realtime.serve.speech_order import SpeechOrder, read_order

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["input", "voice", "model", "response_format", "stream_format", "speed", "instructions", "id", ""]
)


def order_of(body: bytes) -> SpeechOrder | None:
    """What is read; None for what is refused as the client's mistake."""
    try:
        return read_order(body, "joe", 4096)
    except RefusedError as error:
        if failure_of(error, "req").status != 400:
            raise
        return None


@given(st.binary())
def test_any_bytes_are_an_order_or_a_mistake(body: bytes) -> None:
    """Never another exception."""
    order_of(body)


@given(st.dictionaries(FIELDS, JSON), st.text(min_size=1))
def test_any_fields_are_an_order_or_a_mistake(fields: dict[str, object], text: str) -> None:
    """An order that is read can be spoken: text that is text, a format there is."""
    for body in ({**fields}, {**fields, "input": text}):
        if (order := order_of(json.dumps(body).encode())) is not None:
            assert order.text.encode("utf-8")
            assert order.form in FORMATS


def test_malformed_requests_leave_nothing_behind() -> None:
    """Some hundreds over real sockets: no 500, no hang, no task; `python tests/fuzz_http.py` sends more."""
    seen, grown = asyncio.run(attack(400, seed=7))
    assert sum(seen.values()) == 400
    assert seen["400"] > 50
    assert grown["descriptors"] == 0


@pytest.mark.slow
def test_clients_that_behave_badly_leave_nothing_behind() -> None:
    """Silent, half, unread and killed ones: all freed within bounds; `python tests/siege_http.py` sends more."""
    found = asyncio.run(besiege(6))
    assert found["spoken meanwhile"] > 5
    assert found["descriptors"] == 0
