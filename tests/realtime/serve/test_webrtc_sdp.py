import json
import sys
from pathlib import Path

import pytest
from fuzz_sdp import FINGERPRINT, OFFER, mutated, try_offers
from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.serve.sdp import MAX_BYTES, MAX_CANDIDATES, clean_offer, read_offer
from voicestack.runtime import InputError


def body(sdp: object, kind: object = "offer") -> bytes:
    return json.dumps({"type": kind, "sdp": sdp}).encode()


def test_a_browsers_offer_is_let_through() -> None:
    """Everything but addresses that lead nowhere is as it was."""
    kept = read_offer(body(OFFER)).splitlines()
    assert kept == [line for line in OFFER.splitlines() if ".local" not in line]


def test_what_holds_for_the_whole_session_need_not_be_said_for_each_medium() -> None:
    """Firefox gives its fingerprint once, for all."""
    lines = [line for line in OFFER.splitlines() if not line.startswith("a=fingerprint")]
    once = [*lines[:4], FINGERPRINT, *lines[4:]]
    assert clean_offer("\n".join(once)).count("a=fingerprint:") == 1


def test_only_a_few_addresses_are_tried() -> None:
    """An offer cannot make the server knock at a hundred doors."""
    address = "a=candidate:1 1 udp 2122260223 192.0.2.{} 50000 typ host"
    lines = OFFER.splitlines()
    many = "\r\n".join([*lines, *(address.format(host) for host in range(100))])
    assert clean_offer(many).count("a=candidate:") <= MAX_CANDIDATES


@pytest.mark.parametrize(
    ("offer", "said"),
    [
        (b"", "JSON"),
        (b"[]", "JSON"),
        (b"\xff\xfe", "JSON"),
        (b"[" * 50_000, "JSON"),
        (body(OFFER, "answer"), '"type": "offer"'),
        (body(7), '"sdp"'),
        (body(""), "v=0"),
        (body("x" * MAX_BYTES), "bytes"),
        (body(OFFER + "a=x:" + "y" * 5000 + "\r\n"), "4096"),
        (body(OFFER.replace("a=mid:0", "a=mid:\x000")), "printable"),
        (body(OFFER.split("m=application")[0]), "data channel"),
        (body("v=0\r\nm=application" + OFFER.split("m=application")[1]), "audio"),
        (body(OFFER + OFFER.split("\r\n", 4)[4]), "media"),
        (body(OFFER.replace("a=mid:1", "a=mid:0")), "mid"),
        (body(OFFER.replace("BUNDLE 0 1", "BUNDLE 1")), "bundle"),
        (body(OFFER.replace("opus", "speex")), "opus"),
        (body(OFFER.replace("a=recvonly", "a=inactive")), "recvonly"),
        (body(OFFER.replace("a=recvonly", "a=sendonly")), "recvonly"),
        (body(OFFER.replace("a=fingerprint", "a=thumb")), "fingerprint"),
        (body(OFFER.replace("a=ice-ufrag", "a=ice")), "ice-ufrag"),
        (body(OFFER.replace("a=ice-pwd", "a=ice")), "ice-pwd"),
    ],
)
def test_what_an_offer_lacks_is_said(offer: bytes, said: str) -> None:
    """One clear sentence for each kind of offer that cannot become a call."""
    with pytest.raises(InputError, match=said):
        read_offer(offer)


@given(st.binary(max_size=2000) | st.text(max_size=2000).map(str.encode))
def test_no_body_does_harm(offer: bytes) -> None:
    """Whatever comes is refused, or is an offer."""
    try:
        read_offer(offer)
    except InputError:
        pass


@given(st.text(max_size=3000))
def test_no_text_does_harm(sdp: str) -> None:
    """Whatever the description says it is refused, or cleaned; a clean one stays as it is."""
    try:
        clean = clean_offer(sdp)
    except InputError:
        return
    assert clean_offer(clean) == clean


@given(st.integers(0, 2**32))
def test_a_damaged_offer_is_refused_or_still_has_what_a_call_needs(seed: int) -> None:
    """What passes names a fingerprint and credentials for each of at most three media."""
    try:
        clean = clean_offer(mutated(OFFER, seed))
    except InputError:
        return
    assert clean.count("\r\nm=") <= 3
    assert "fingerprint:" in clean
    assert ".local" not in clean.split("a=candidate:")[-1].split("\r\n")[0]


def test_damaged_offers_are_answered_or_refused_and_leave_nothing_behind() -> None:
    """A short run of what `python tests/fuzz_sdp.py --count 10000` does with the library itself."""
    pytest.importorskip("aiortc")
    counts = try_offers(150, seed=1)
    assert counts.refused + counts.answered == 150
    assert counts.answered
    assert counts.left_tasks == counts.left_files == 0


def test_the_fuzzer_runs_as_a_program() -> None:
    """It lies beside the tests, and can be found there."""
    assert Path(sys.modules["fuzz_sdp"].__file__ or "").name == "fuzz_sdp.py"
