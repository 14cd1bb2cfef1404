import socket
import string
from collections.abc import Mapping
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.serve.edge import Request
from voicestack.realtime.serve.failures import RefusedError
from voicestack.realtime.serve.guard import TICKET_S, Guard, Policy, is_loopback, offered_protocols
from voicestack.runtime import InputError

TOKEN = "a-token-of-many-letters"
HOST = {"host": "127.0.0.1:8765"}
EMPTY: Mapping[str, str] = MappingProxyType({})


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def status(guard: Guard, remote: str = "192.0.2.1", query: Mapping[str, str] = EMPTY, /, **headers: str) -> int:
    """200, or that of the refusal."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        guard.check(Request("GET", "/", query, {**HOST, **named}, remote=remote), open_to_all=False)
    except RefusedError as refused:
        return refused.status
    return 200


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"TOKEN {TOKEN}"},
        {"x_api_key": TOKEN},
        {"xi_api_key": TOKEN},
        {"sec_websocket_protocol": f"voicestack.v1, voicestack.token.{TOKEN}"},
        {"sec_websocket_protocol": f"token,{TOKEN}"},
    ],
)
def test_the_token_lets_in_wherever_a_dialect_puts_it(headers: dict[str, str]) -> None:
    """And one that differs in a letter, is longer or is shorter does not."""
    guard = Guard(Policy(TOKEN), Clock())
    assert status(guard, **headers) == 200
    for wrong in (TOKEN[:-1], TOKEN + "x", TOKEN.swapcase(), "", "é" * 20, "\udcff" * 20):
        assert status(guard, **{name: value.replace(TOKEN, wrong) for name, value in headers.items()}) == 401


@given(st.text(), st.text(), st.text(max_size=40))
def test_no_other_text_is_the_token(authorization: str, key: str, query: str) -> None:
    """Whatever is sent, it is refused and never fails."""
    guard = Guard(Policy(TOKEN), Clock())
    given_ = {"authorization": authorization, "x_api_key": key, "sec_websocket_protocol": query}
    assert status(guard, "", {"api_key": query, "ticket": key}, **given_) == 401


@given(st.text(), st.text())
def test_no_other_host_or_origin_gets_in(host: str, origin: str) -> None:
    """Only this machine's names, addresses and listed ones; an origin is listed or the host itself."""
    guard = Guard(Policy(), Clock())
    got = status(guard, host=host, origin=origin)
    assert got in (200, 403, 421)
    if got == 200:
        assert origin.lower() in (f"http://{host.lower()}", f"https://{host.lower()}")


def test_too_many_wrong_tokens_of_one_address_are_not_looked_at_any_more() -> None:
    """Nobody else is kept out; after a while the address may try again."""
    clock = Clock()
    guard = Guard(Policy(TOKEN), clock)
    seen = [status(guard, x_api_key="x" * 20) for _ in range(30)]
    assert seen == [401] * 20 + [429] * 10
    assert status(guard) == 429
    assert status(guard, x_api_key=TOKEN) == 429
    assert status(guard, "192.0.2.2", x_api_key=TOKEN) == 200
    clock.now_s += 3
    assert status(guard, x_api_key=TOKEN) == 200
    # Another address of the same network of IPv6 is the same sender.
    for number in range(20):
        status(guard, f"2001:db8::{number}", x_api_key="x" * 20)
    assert status(guard, "2001:db8::ffff", x_api_key=TOKEN) == 429
    assert status(guard, "2001:db8:1::1", x_api_key=TOKEN) == 200


def test_every_guess_counts_however_many_come_in_one_request() -> None:
    """Subprotocols may be many; a request with twenty of them is as good as twenty."""
    guard = Guard(Policy(TOKEN), Clock())
    guesses = ", ".join(f"voicestack.token.{number:016}" for number in range(20))
    assert [status(guard, sec_websocket_protocol=guesses) for _ in range(2)] == [401, 429]


def test_behind_a_proxy_of_this_machine_nobody_is_locked_out_for_another() -> None:
    """Who guesses is whom the proxy names last; what a client claims before that, or without a proxy, is nothing."""
    guard = Guard(Policy(TOKEN), Clock())
    forged = [f"192.0.2.{number}, 198.51.100.7" for number in range(21)]
    proxied = [status(guard, "127.0.0.1", x_api_key="x" * 20, x_forwarded_for=each) for each in forged]
    assert proxied == [401] * 20 + [429]
    assert status(guard, "127.0.0.1", x_api_key=TOKEN, x_forwarded_for="198.51.100.8") == 200
    direct = [status(guard, "192.0.2.1", x_api_key="x" * 20, x_forwarded_for=f"10.0.0.{n}") for n in range(21)]
    assert direct == [401] * 20 + [429]


def test_a_request_without_any_token_is_no_guess() -> None:
    """A browser that has not been told the token yet does not lock itself out."""
    guard = Guard(Policy(TOKEN), Clock())
    assert [status(guard) for _ in range(100)] == [401] * 100
    assert status(guard, x_api_key=TOKEN) == 200


def test_failures_of_very_many_addresses_do_not_fill_the_memory() -> None:
    """The oldest are forgotten."""
    guard = Guard(Policy(TOKEN), Clock())
    for number in range(6000):
        status(guard, f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", x_api_key="x" * 20)
    assert len(guard._failures._counts) <= 4096


def test_a_ticket_lets_in_once_and_for_a_minute() -> None:
    """And only so many are kept."""
    clock = Clock()
    guard = Guard(Policy(TOKEN), clock)
    first, second = guard.ticket(), guard.ticket()
    assert first != second
    assert status(guard, "192.0.2.1", {"ticket": first}) == 200
    assert status(guard, "192.0.2.1", {"ticket": first}) == 401
    clock.now_s += TICKET_S
    assert status(guard, "192.0.2.1", {"ticket": second}) == 401
    oldest = guard.ticket()
    for _ in range(1100):
        guard.ticket()
    assert status(guard, "192.0.2.1", {"ticket": oldest}) == 401
    assert len(guard._tickets) <= 1024


def test_without_a_token_everybody_comes_in_who_calls_it_by_a_right_name() -> None:
    """The checks of Host and Origin stay."""
    guard = Guard(Policy(host="voice.lan"), Clock())
    assert status(guard) == 200
    assert status(guard, host="voice.lan:8765") == 200
    assert status(guard, host="VOICE.lan.") == 200
    assert status(guard, host=f"{socket.gethostname()}.local:8765") == 200
    assert status(guard, host="evil.example") == 421
    assert status(guard, origin="http://127.0.0.1:8765") == 200
    assert status(guard, origin="http://127.0.0.1:1") == 403


@pytest.mark.parametrize("token", ["short", "with blanks in it, many", "é" * 20, "x" * 513])
def test_a_token_that_cannot_be_sent_everywhere_is_refused(token: str) -> None:
    """Too short, or with letters that no header carries."""
    with pytest.raises(InputError, match="16 to 512"):
        Policy(token)


def test_a_policy_does_not_show_its_token() -> None:
    """Not even in a traceback."""
    assert TOKEN not in repr(Policy(TOKEN))


@pytest.mark.parametrize(
    "origin", ["example.com", "ftp://example.com", "https://", "https://example.com/path", "*", "http://["]
)
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    """It would never match, and whoever gave it would wonder."""
    with pytest.raises(InputError, match="origin"):
        Policy(origins=frozenset({origin}))


@given(st.text(string.printable))
def test_subprotocols_are_read_whatever_is_offered(offered: str) -> None:
    """Without blanks and without empty ones."""
    assert all(each and each == each.strip() for each in offered_protocols({"sec-websocket-protocol": offered}))


def test_loopback_is_known_by_address_and_by_name() -> None:
    """And nothing else is taken for it."""
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "[::1]", "localhost")))
    assert not any(map(is_loopback, ("0.0.0.0", "::", "192.168.1.1", "localhost.example", "")))


def test_a_ticket_buys_no_other_ticket() -> None:
    """It is for one request of a browser that cannot set headers; what it could prolong would be a token."""
    guard = Guard(Policy(TOKEN), Clock())
    ticket = guard.ticket()
    with pytest.raises(RefusedError):
        guard.check(Request("POST", "/ticket", {"ticket": ticket}, HOST, remote="192.0.2.1"), open_to_all=False)


def test_a_page_elsewhere_cannot_lock_anybody_out() -> None:
    """Its pictures need no Origin to call us, but the browser says whence they are asked for; no wrong token counts."""
    guard = Guard(Policy(TOKEN), Clock())
    for _ in range(100):
        assert status(guard, "127.0.0.1", {"token": "x"}, sec_fetch_site="cross-site") == 403
    assert status(guard, "127.0.0.1", x_api_key=TOKEN, sec_fetch_site="same-origin") == 200
    assert status(guard, "127.0.0.1", x_api_key=TOKEN) == 200
    allowing = Guard(Policy(TOKEN, origins=frozenset({"https://example.com"})), Clock())
    asked = {"origin": "https://example.com", "sec_fetch_site": "cross-site"}
    assert status(allowing, "127.0.0.1", x_api_key=TOKEN, **asked) == 200
