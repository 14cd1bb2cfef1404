"""What may be asked of `voicestack serve`, by flags or by the environment, and whether it fits together."""

import argparse
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from voicestack.runtime import InputError, default_voice_path, find_voice

from .guard import Policy, is_loopback
from .mqtt_address import BrokerAddress, Topics

BAD_INPUT = 2
PROG = "voicestack serve"
PORT = 8765
_EVERYWHERE = ("0.0.0.0", "::")
_PLACE = r"[^?:@\s]+(?::(?P<port>[0-9]{1,5}))?"
_STUN = re.compile(rf"stuns?:{_PLACE}")
_TURN = re.compile(rf"turns?:(?:[^:@\s]+:\S*@)?{_PLACE}(?:\?transport=(?:udp|tcp))?")
_PASSWORD = re.compile(r"(?<=[:/])([^:/@]*):.*@", re.DOTALL)
"""A user, and the password behind it, in a URL with or without slashes."""
_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server is to run; InputError when it must not.

    voice: a bundle's folder. wyoming_port, mqtt_url: None for none of these.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    voice: Path = field(default_factory=default_voice_path)
    policy: Policy = Policy()
    mqtt_url: str | None = None
    mqtt_prefix: str = "voicestack"
    wyoming_port: int | None = None
    max_sessions: int | None = None
    ice_servers: tuple[str, ...] = ()
    insecure: bool = False

    def __post_init__(self) -> None:
        if self.wyoming_port == self.port:
            raise InputError(f"--wyoming {self.port} is the port of everything else; choose another")
        if is_loopback(self.host) or self.insecure:
            return
        if self.policy.token is None:
            raise InputError(
                f"--host {self.host} lets other machines in, and no token keeps them out; give --token-file FILE, or "
                "say --insecure if everybody there may speak"
            )
        if self.wyoming_port is not None:
            raise InputError(
                f"--wyoming on --host {self.host} lets everybody in, because that protocol knows no token; say "
                "--insecure if that is meant"
            )

    @property
    def voice_name(self) -> str:
        """As clients may ask for it."""
        return self.voice.resolve().name

    def lines(self, port: int) -> list[str]:
        """The settings of a server that listens on a port, for people to read, without secrets."""
        host = "localhost" if self.host in _EVERYWHERE else f"[{self.host}]" if ":" in self.host else self.host
        told = {
            "page": f"http://{host}:{port}/{' and every other address' if self.host in _EVERYWHERE else ''}",
            "voice": f"{self.voice_name} ({self.voice})",
            "token": "wanted from everybody" if self.policy.token else "none, everybody who can connect may speak",
            "origins": " ".join(sorted(self.policy.origins)) or "this server's own page",
            "sessions": "as many as fit" if self.max_sessions is None else f"at most {self.max_sessions}",
            "ice servers": " ".join(map(without_password, self.ice_servers)) or "none",
            "mqtt": f"{without_password(self.mqtt_url)}, topics {self.mqtt_prefix}/..." if self.mqtt_url else "no",
            "wyoming": f"tcp://{self.host}:{self.wyoming_port}" if self.wyoming_port is not None else "no",
        }
        return [f"  {name:<12}{value}" for name, value in told.items()]


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    return _PASSWORD.sub(r"\1:***@", url)


@dataclass(frozen=True, slots=True)
class _Option:
    """A flag and, by the same name in capitals, a variable. Many values are separated by blanks in the latter."""

    name: str
    read: Callable[[str], object]
    metavar: str | None
    help: str
    many: bool = False

    @property
    def variable(self) -> str:
        return f"VOICESTACK_{self.name.upper()}"

    def from_environment(self, environment: Mapping[str, str]) -> object:
        """Its value; None where there is none. ArgumentTypeError or ValueError for one that cannot be read."""
        text = environment.get(self.variable)
        if text is None or not (text or self.metavar is None):
            return None
        return [self.read(part) for part in text.split()] if self.many else self.read(text)


def parse(arguments: Sequence[str] | None, environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings; flags win over the environment. Leaves with 2 after one line when they cannot be read."""
    parser = _parser()
    given = parser.parse_args(list(arguments or ()))
    values: dict[str, object] = {}
    for option in _OPTIONS:
        value = getattr(given, option.name)
        if value is None:
            try:
                value = option.from_environment(environment)
            except (argparse.ArgumentTypeError, ValueError) as error:
                told = str(error) if isinstance(error, argparse.ArgumentTypeError) else "cannot be read"
                parser.error(f"environment variable {option.variable}: {told}")
        if value is not None:
            values[option.name] = value
    try:
        return _settings(values)
    except InputError as error:
        parser.error(str(error))


class _Parser(argparse.ArgumentParser):
    """Tells a wrong call in one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {' '.join(message.split())} (try {self.prog} --help)\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog=PROG,
        description="Serve a voice: a page to talk to, WebRTC, OpenAI's speech API and WebSockets on one port; MQTT "
        "and Wyoming when asked for.",
        epilog="Each option may be given as an environment variable, too: VOICESTACK_PORT=8000 for --port 8000, "
        "several values separated by blanks; flags win. TERM and INT let what is being spoken end first; a second one "
        "does not.",
        allow_abbrev=False,
    )
    for option in _OPTIONS:
        flag = f"--{option.name.replace('_', '-')}"
        if option.metavar is None:
            parser.add_argument(flag, action="store_const", const=True, help=option.help)
        elif option.many:
            parser.add_argument(flag, action="append", type=option.read, metavar=option.metavar, help=option.help)
        else:
            parser.add_argument(flag, type=option.read, metavar=option.metavar, help=option.help)
    return parser


def _settings(values: dict[str, object]) -> Settings:
    host, token_file = values.get("host", "127.0.0.1"), values.pop("token_file", None)
    token = _token(token_file) if isinstance(token_file, Path) else None
    origins, ice_servers = values.pop("allow_origin", []), values.pop("ice_server", [])
    names = {"mqtt": "mqtt_url", "wyoming": "wyoming_port"}
    plain = {names.get(name, name): value for name, value in values.items()}
    policy = Policy(token, str(host), frozenset(map(str, _many(origins))))
    return Settings(**plain, policy=policy, ice_servers=tuple(map(str, _many(ice_servers))))  # type: ignore[arg-type]


def _many(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _token(path: Path) -> str:
    try:
        token = path.read_text("utf-8").strip()
    except OSError as error:
        raise InputError(f"--token-file {path} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"--token-file {path} is not a text file; write the token into it") from error
    if not token:
        raise InputError(f"--token-file {path} is empty; write a token of at least 16 characters into it")
    return token


def _host(text: str) -> str:
    host = text.strip().strip("[]")
    if not host or any(character in host for character in " /@?#"):
        raise argparse.ArgumentTypeError(f"must be a name or an address, got {text!r}")
    return host


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"must be a port, 0 to 65535, got {text!r}")
    return int(text)


def _wyoming(text: str) -> int:
    port = _port(text)
    if not port:
        raise argparse.ArgumentTypeError("must be a port that Home Assistant can be told, 1 to 65535, got 0")
    return port


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 100_000:
        raise argparse.ArgumentTypeError(f"must be a number from 1 on, got {text!r}")
    return int(text)


def _voice(text: str) -> Path:
    try:
        path = find_voice(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"must be a bundle's folder, and {text!r} is none")
    return path


def _mqtt(text: str) -> str:
    try:
        BrokerAddress.of(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _prefix(text: str) -> str:
    prefix = text.strip("/")
    try:
        Topics(prefix)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return prefix


def _ice(text: str) -> str:
    found = _STUN.fullmatch(text) or _TURN.fullmatch(text)
    if not found or not 0 < int(found["port"] or 1) <= 65535:
        raise argparse.ArgumentTypeError("must look like stun:host:port or turn:user:password@host:port")
    return text


def _origin(text: str) -> str:
    return text.rstrip("/").lower()


def _truth(text: str) -> bool | None:
    if text.lower() not in (*_TRUE, *_FALSE):
        raise argparse.ArgumentTypeError(f"must be one of 1, true, yes, on, 0, false, no, off, got {text!r}")
    return text.lower() in _TRUE


_OPTIONS = (
    _Option("host", _host, "HOST", "the address to listen on (127.0.0.1: this machine only)"),
    _Option("port", _port, "PORT", f"the port of everything but Wyoming ({PORT}); 0 for any that is free"),
    _Option("voice", _voice, "NAME", "the voice to speak with, by its name or its bundle's folder, instead of joe"),
    _Option("token_file", Path, "FILE", "holds the token that everybody must send, at least 16 characters"),
    _Option("mqtt", _mqtt, "URL", "a broker to listen to, mqtt://[user:password@]host[:port] or mqtts://"),
    _Option("mqtt_prefix", _prefix, "P", "how its topics begin (voicestack)"),
    _Option("wyoming", _wyoming, "PORT", "speak Home Assistant's protocol on this port"),
    _Option("max_sessions", _count, "N", "conversations at once, beyond what the machine can do anyway"),
    _Option("ice_server", _ice, "URL", "a STUN or TURN server for WebRTC; may be repeated", many=True),
    _Option("allow_origin", _origin, "ORIGIN", "a page that may use this server; may be repeated", many=True),
    _Option("insecure", _truth, None, "listen on --host for other machines without a token"),
)
