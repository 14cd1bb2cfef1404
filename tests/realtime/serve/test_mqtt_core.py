"""What is said over MQTT and how it is cut, without any broker."""

import json
from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip("soxr", reason="sound on the wire needs the `serve` extra")

import fuzz_mqtt
from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.mqtt_address import Kind
from voicestack.realtime.serve.mqtt_core import Open, Say, read_command
from voicestack.realtime.serve.mqtt_pieces import PcmPieces
from voicestack.realtime.serve.mqtt_uplink import Backoff
from voicestack.runtime import InputError


@pytest.mark.parametrize(
    ("payload", "match"),
    [
        ("", "not JSON"),
        ("[" * 60_000, "not JSON"),
        ("[]", "JSON object"),
        ("{}", "type must be"),
        ('{"type": ["flush"]}', "type must be"),
        ('{"type": "flush", "now": 1}', "no 'now'"),
        ('{"type": "open", "format": "mp3"}', "format must be"),
        ('{"type": "open", "chunk_ms": true}', "chunk_ms"),
        ('{"type": "open", "chunk_ms": 20.0}', "chunk_ms"),
        ('{"type": "open", "format": "opus", "chunk_ms": 80}', "chunk_ms"),
        ('{"type": "open", "sample_rate": 7999}', "sample_rate"),
        ('{"type": "open", "depth": "8"}', "depth"),
    ],
)
def test_a_control_message_that_is_wrong_is_refused(payload: str, match: str) -> None:
    """The message says which field, and what would do."""
    with pytest.raises(InputError, match=match):
        read_command("control", payload.encode(), ServeLimits())


@given(kind=st.sampled_from(["text", "control"]), payload=st.binary(max_size=200))
def test_bytes_that_are_no_command_are_refused_and_nothing_else(kind: Kind, payload: bytes) -> None:
    """Whatever they are."""
    with suppress(InputError):
        read_command(kind, payload, ServeLimits(message_bytes=100))


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: (
            st.lists(inner) | st.dictionaries(st.sampled_from(["type", "format", "sample_rate", "depth", ""]), inner)
        ),
        max_leaves=8,
    )
)
def test_json_that_is_no_command_is_refused_and_nothing_else(value: object) -> None:
    """Whatever it is."""
    for fields in (value, {"type": "open", "format": value}, {"type": value}, {"type": "open", "depth": value}):
        with suppress(InputError):
            read_command("control", json.dumps(fields).encode(), ServeLimits())


def test_a_control_message_may_leave_things_open() -> None:
    """Null is as good as nothing."""
    payload = b'{"type": "open", "format": null, "sample_rate": 16000}'
    assert read_command("control", payload, ServeLimits()) == Open(sample_rate_hz=16_000)
    assert read_command("text", "Grüße".encode(), ServeLimits()) == Say("Grüße")


@given(
    cuts=st.lists(st.integers(0, 3000), max_size=8),
    rate=st.sampled_from([8000, 16_000, 24_000]),
    chunk_ms=st.sampled_from([20, 40, 80]),
)
def test_pieces_are_the_sound_however_it_comes(cuts: list[int], rate: int, chunk_ms: int) -> None:
    """Joined again they are the same samples; all but the last have the length that was asked for."""
    pcm = (np.sin(np.arange(3000) / 20) / 2).astype(np.float32)
    uncut = PcmPieces(24_000, rate, 80)
    whole = b"".join([*uncut.feed(pcm), *uncut.finish()])
    pieces = PcmPieces(24_000, rate, chunk_ms)
    found = [piece for part in np.split(pcm, sorted(cuts)) for piece in pieces.feed(part)]
    found += pieces.finish()
    assert all(len(piece) == rate * chunk_ms // 500 for piece in found[:-1])
    assert abs(len(b"".join(found)) - len(whole)) <= 2
    np.testing.assert_allclose(np.frombuffer(b"".join(found), "<i2")[:1000], np.frombuffer(whole, "<i2")[:1000], atol=1)


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=20))
def test_attempts_become_rarer_and_stay_bounded(draws: list[float]) -> None:
    """Each wait is between half of its ceiling and the ceiling, which doubles up to the last."""
    left = iter(draws)
    backoff = Backoff(0.5, 30.0, lambda: next(left))
    for attempt in range(len(draws)):
        ceiling_s = min(0.5 * 2**attempt, 30.0)
        assert ceiling_s / 2 <= backoff.next_s() <= ceiling_s


def test_no_message_is_an_error_of_ours() -> None:
    """A short run of the fuzzer."""
    assert fuzz_mqtt.fuzz(400, seed=1).tried == 400
