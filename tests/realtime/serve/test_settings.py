from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.serve.settings import Settings, parse, without_password

TOKEN = "a-token-of-many-letters"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(TOKEN + "\n")
    return path


def test_without_any_wish_it_serves_the_shipped_voice_to_this_machine() -> None:
    """Loopback, no token, nothing but its own port."""
    settings = parse([], {})
    assert settings == Settings()
    assert (settings.host, settings.port, settings.voice_name) == ("127.0.0.1", 8765, "joe")


def test_flags_win_over_the_environment(token_file: Path) -> None:
    """Each option is there in both ways; lists are separated by blanks."""
    environment = {
        "VOICESTACK_HOST": "0.0.0.0",
        "VOICESTACK_PORT": "1000",
        "VOICESTACK_TOKEN_FILE": str(token_file),
        "VOICESTACK_ICE_SERVER": "stun:a.example:1 turn:b.example",
        "VOICESTACK_ALLOW_ORIGIN": "https://One.example/ http://two.example:80",
        "VOICESTACK_MAX_SESSIONS": "5",
        "VOICESTACK_MQTT": "mqtt://me:secret@broker.example:1883",
        "VOICESTACK_MQTT_PREFIX": "home/voice/",
        "VOICESTACK_INSECURE": "no",
        "VOICESTACK_WYOMING": "",
    }
    settings = parse(["--port", "2000", "--ice-server", "stun:c.example:1"], environment)
    assert (settings.host, settings.port, settings.max_sessions) == ("0.0.0.0", 2000, 5)
    assert settings.policy.token == TOKEN
    assert settings.policy.origins == {"https://one.example", "http://two.example:80"}
    assert settings.ice_servers == ("stun:c.example:1",)
    assert settings.mqtt_prefix == "home/voice"
    assert settings.wyoming_port is None
    assert not settings.insecure


def test_what_is_shown_at_the_start_holds_no_secrets(token_file: Path) -> None:
    """Neither the token nor a password; the URL of the page is there."""
    settings = parse(
        ["--token-file", str(token_file), "--mqtt", "mqtt://me:pa%40ss@broker:1883", "--ice-server", "turn:u:word@h:1"],
        {},
    )
    shown = "\n".join(settings.lines(1234))
    assert "http://127.0.0.1:1234/" in shown
    assert "mqtt://me:***@broker:1883" in shown
    assert not any(secret in shown for secret in (TOKEN, "pa%40ss", "word@"))
    assert not any(secret in repr(settings.policy) for secret in (TOKEN,))


def test_an_address_of_ipv6_is_shown_as_a_browser_wants_it() -> None:
    """In brackets, with or without which it may be given."""
    assert "http://[::1]:8765/" in parse(["--host", "[::1]"], {}).lines(8765)[0]


WRONG = [
    (["--port", "70000"], {}, "--port: must be a port, 0 to 65535"),
    (["--port", "-1"], {}, "--port"),
    ([], {"VOICESTACK_PORT": "x"}, "VOICESTACK_PORT: must be a port"),
    ([], {"VOICESTACK_INSECURE": "maybe"}, "VOICESTACK_INSECURE: must be one of"),
    (["--host", "0.0.0.0"], {}, "--token-file FILE, or say --insecure"),
    (["--host", "0.0.0.0", "--insecure", "--token-file", "/no/such"], {}, "cannot be read: No such file"),
    (["--voice", "/no/such"], {}, "must be a bundle's folder"),
    (["--mqtt", "http://broker"], {}, "must look like mqtt://"),
    (["--mqtt", "mqtt://me:secret@:x"], {}, "port of the MQTT URL must be a number"),
    (["--mqtt", "mqtt://broker/topic"], {}, "must look like mqtt://"),
    (["--mqtt", "mqtt://broker:0"], {}, "must look like mqtt://"),
    (["--mqtt-prefix", "a/#"], {}, "must be words of letters"),
    (["--mqtt-prefix", "my home"], {}, "must be words of letters"),
    (["--wyoming", "0"], {}, "1 to 65535"),
    (["--port", "10200", "--wyoming", "10200"], {}, "--wyoming 10200 is the port of everything else"),
    (["--ice-server", "http://x"], {}, "must look like stun:"),
    (["--ice-server", "turn:u:secret@host:x"], {}, "must look like stun:"),
    (["--ice-server", "turn:u:secret@host:70000"], {}, "must look like stun:"),
    (["--ice-server", "turn:u:secret@host:0"], {}, "must look like stun:"),
    (["--ice-server", "turn:u:secret@host?transport=sctp"], {}, "must look like stun:"),
    (["--ice-server", "stun:host?transport=udp"], {}, "must look like stun:"),
    (["--ice-server", "stun:"], {}, "must look like stun:"),
    (["--allow-origin", "example.com"], {}, "an origin must look like"),
    (["--allow-origin", "*"], {}, "an origin must look like"),
    (["--max-sessions", "0"], {}, "--max-sessions: must be a number from 1 on"),
    (["--wyoming", "x"], {}, "--wyoming: must be a port"),
    (["--nonsense"], {}, "unrecognized arguments"),
    (["--po", "1"], {}, "unrecognized arguments"),
]


@pytest.mark.parametrize(("arguments", "environment", "told"), WRONG)
def test_what_cannot_be_is_told_in_one_line(
    arguments: list[str], environment: dict[str, str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2; the line names the flag or the variable, and no password."""
    with pytest.raises(SystemExit) as left:
        parse(arguments, environment)
    assert left.value.code == 2
    line = capsys.readouterr().err
    assert told in line
    assert line.count("\n") == 1
    assert line.startswith("voicestack serve: error: ")
    assert "secret" not in line


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe" * 20, b"two words and more of them"])
def test_a_token_file_must_hold_a_token(content: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line says what is wrong with it, without showing it."""
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(SystemExit):
        parse(["--token-file", str(path)], {})
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert "short" not in told.replace("at least", "")


def test_other_machines_are_let_in_with_a_token_or_by_name(
    token_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wyoming knows no token, so there it must be said in any case."""
    assert parse(["--host", "0.0.0.0", "--token-file", str(token_file)], {}).policy.token == TOKEN
    assert parse(["--host", "0.0.0.0", "--insecure"], {}).insecure
    with pytest.raises(SystemExit):
        parse(["--host", "0.0.0.0", "--token-file", str(token_file), "--wyoming", "10200"], {})
    assert "knows no token" in capsys.readouterr().err
    assert parse(["--wyoming", "10200"], {}).wyoming_port == 10200


@given(st.sampled_from(["mqtt://", "mqtts://", "turn:", "turns:"]), st.text("abc%.-", max_size=5), st.text(min_size=1))
def test_no_password_is_shown(scheme: str, user: str, password: str) -> None:
    """Whatever it is made of; the rest of the URL is."""
    shown = without_password(f"{scheme}{user}:{password}@host:1883/path")
    assert shown == f"{scheme}{user}:***@host:1883/path"


@given(st.text("abc:/.-0123456789[]"))
def test_a_url_without_a_password_is_shown_as_it_is(text: str) -> None:
    """Nothing is hidden where nothing is secret."""
    assert without_password(text) == text
