"""What may be asked of `voicestack bench`, and whether it fits together."""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from voicestack.runtime import InputError

BAD_INPUT = 2
RUN, CAPACITY, INTERRUPT, THROUGHPUT = "run", "capacity", "interrupt", "throughput"
_PROG = "voicestack bench"
_PICTURES = (".png", ".svg", ".pdf")
INPROC, WS, WEBRTC = "inproc", "ws", "webrtc"


class _Parser(argparse.ArgumentParser):
    """Tells a wrong call in one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {message} (try {self.prog} --help)\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, with `what` as the kind of measurement; leaves with 2 when they cannot be read."""
    words = list(arguments or ())
    what = words.pop(0) if words and words[0] in (CAPACITY, INTERRUPT, THROUGHPUT) else RUN
    options = {RUN: _run_parser, CAPACITY: _capacity_parser, INTERRUPT: _interrupt_parser}.get(
        what, _throughput_parser
    )().parse_args(words)
    options.what = what
    return options


def check(options: argparse.Namespace) -> None:
    """Refuse with InputError what no measurement can be made of, before anything is loaded."""
    for name in ("json", "plot"):
        path: Path | None = getattr(options, name, None)
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise InputError(f"--{name} {path} cannot be written: it must name a file in a folder that exists")
    plot: Path | None = getattr(options, "plot", None)
    if plot is not None and plot.suffix.lower() not in _PICTURES:
        raise InputError(f"--plot {plot} must end with one of {', '.join(_PICTURES)}")
    if getattr(options, "transport", INPROC) == WEBRTC and options.depth is not None:
        raise InputError("--depth is not for calls; leave it out, or measure --transport ws")
    rate = getattr(options, "arrival", None)
    if rate is not None and options.sessions is not None:
        raise InputError("--sessions is how many speak with --arrival closed; with poisson:R leave it out")
    if getattr(options, "url", None) is not None:
        alone = ["voice", "no_shedding", *(["depth"] if options.transport == INPROC else [])]
        given = [f"--{name.replace('_', '-')}" for name in alone if getattr(options, name, None)]
        if given:
            raise InputError(f"{given[0]} is for a voice that is loaded here; a server at --url has its own")
    elif getattr(options, "transport", INPROC) != INPROC and options.no_shedding:
        raise InputError("--no-shedding is for the voice in this process; a server sheds depth when it must")


def _run_parser() -> _Parser:
    parser = _Parser(
        prog=_PROG,
        description="Measure latency, underruns and cost while sessions speak texts that come with this package.",
        epilog=f"`{_PROG} capacity` finds how many sessions hold, `{_PROG} interrupt` measures barge-in and `{_PROG} "
        "throughput` what batching is worth; each has its own --help. TTFB: first text to first sound at the listener. "
        "TTFA: first text to the first audible sample (50 ms louder than -40 dBFS), when playback starts with the "
        "first sound. Leaves with 1 when --max-ttfa-p95 is exceeded.",
    )
    parser.add_argument("--sessions", type=_count, metavar="N", help="how many speak at once (1)")
    parser.add_argument(
        "--arrival",
        type=_arrival,
        default="closed",
        metavar="closed|poisson:R",
        help="closed: N sessions speak reply after reply (the default); poisson:R: R arrivals a second, each one reply",
    )
    parser.add_argument("--max-ttfa-p95", type=_positive, metavar="MS", help="leave with 1 when the p95 TTFA is higher")
    parser.add_argument("--plot", type=Path, metavar="F.png", help="draw it (needs the bench extra)")
    _common(parser, seconds=20)
    _server(parser)
    return parser


def _capacity_parser() -> _Parser:
    parser = _Parser(
        prog=f"{_PROG} {CAPACITY}",
        description="Find the largest number of sessions, speaking without a pause, that holds. Leaves with 1 when not "
        "even one does.",
    )
    parser.add_argument("--sessions", type=_count, default=8, metavar="N", help="the first number to try (8)")
    parser.add_argument("--most", type=_count, default=128, metavar="N", help="the largest to try (128)")
    parser.add_argument(
        "--max-ttfa-p95", type=_positive, default=250.0, metavar="MS", help="the p95 TTFA that still holds (250)"
    )
    parser.add_argument(
        "--underrun-share",
        type=_share,
        default=0.0,
        metavar="SHARE",
        help="the share of the sessions that may run dry, 0 to 1 (0)",
    )
    _common(parser, seconds=20)
    _server(parser)
    return parser


def _interrupt_parser() -> _Parser:
    parser = _Parser(
        prog=f"{_PROG} {INTERRUPT}",
        description="Break replies off while other sessions speak: interrupt() to silence, and to the next reply.",
    )
    parser.add_argument("--sessions", type=_count0, default=0, metavar="N", help="other sessions that speak (0)")
    parser.add_argument("--count", type=_count, default=30, metavar="N", help="how many replies to break off (30)")
    _common(parser)
    return parser


def _throughput_parser() -> _Parser:
    parser = _Parser(
        prog=f"{_PROG} {THROUGHPUT}",
        description="Frames a second of one stream against batches of streams, by the bare engine and codec.",
    )
    parser.add_argument(
        "--batch", type=_count, nargs="+", default=[12, 24], metavar="N", help="the batch sizes beside 1 (12 24)"
    )
    parser.add_argument("--seconds", type=_positive, default=6.0, metavar="S", help="how long each is measured (6)")
    parser.add_argument("--depth", type=_count, metavar="D", help="code layers; the voice's own by default")
    parser.add_argument("--voice", metavar="NAME", help="a voice by name or folder; the one that ships by default")
    parser.add_argument("--json", type=Path, metavar="F", help="write all figures as JSON")
    return parser


def _common(parser: _Parser, seconds: float | None = None) -> None:
    if seconds is not None:
        parser.add_argument(
            "--seconds", type=_positive, default=seconds, metavar="S", help=f"how long it is measured ({seconds:g})"
        )
    parser.add_argument(
        "--spread", type=_not_negative, default=2.0, metavar="S", help="sessions begin within so many seconds (2)"
    )
    parser.add_argument(
        "--text-rate",
        type=_positive,
        metavar="TOK_PER_S",
        help="write each reply at so many tokens (up to 5 characters) a second; at once by default",
    )
    parser.add_argument("--depth", type=_count, metavar="D", help="code layers; the voice's own by default")
    parser.add_argument("--no-shedding", action="store_true", help="never make a late stream shallower")
    parser.add_argument("--voice", metavar="NAME", help="a voice by name or folder; the one that ships by default")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="draws arrivals, replies and voices (0)")
    parser.add_argument("--json", type=Path, metavar="F", help="write all figures as JSON")


def _server(parser: _Parser) -> None:
    parser.add_argument(
        "--transport",
        choices=(INPROC, WS, WEBRTC),
        default=INPROC,
        help="what lies between listener and voice: nothing (the default), or a voicestack server, at --url or begun "
        "for it, by WebSocket or by calls",
    )
    server = parser.add_argument_group("measuring a server (needs the bench extra)")
    server.add_argument(
        "--url",
        metavar="URL",
        help="such as http://localhost:8000; asks OpenAI's /v1/audio/speech of any server, with --transport ws or "
        "webrtc a voicestack server",
    )
    server.add_argument("--model", default="tts-1", metavar="NAME", help="the model to ask for (tts-1)")
    server.add_argument("--server-voice", default="alloy", metavar="NAME", help="the voice to ask for (alloy)")
    server.add_argument("--key-env", metavar="NAME", help="the environment variable that holds the server's API key")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError
    return value


def _positive(text: str) -> float:
    if (value := _number(text)) <= 0:
        raise argparse.ArgumentTypeError(f"must be more than 0, got {text}")
    return value


def _not_negative(text: str) -> float:
    if (value := _number(text)) < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {text}")
    return value


def _share(text: str) -> float:
    if not 0 <= (value := _number(text)) <= 1:
        raise argparse.ArgumentTypeError(f"must be between 0 and 1, got {text}")
    return value


def _count(text: str) -> int:
    if (value := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return value


def _count0(text: str) -> int:
    if (value := int(text)) < 0:
        raise argparse.ArgumentTypeError(f"must be at least 0, got {text}")
    return value


def _arrival(text: str) -> float | None:
    """None for closed, else arrivals a second."""
    if text == "closed":
        return None
    kind, _, rate = text.partition(":")
    if kind == "poisson":
        try:
            return _positive(rate)
        except (ValueError, argparse.ArgumentTypeError):
            pass
    raise argparse.ArgumentTypeError(f"must be closed, or poisson:R with R arrivals a second, got {text!r}")
