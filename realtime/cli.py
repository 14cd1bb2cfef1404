"""The command line: what may be asked, and how a failure is told."""

import argparse
import contextlib
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from voicestack.runtime import InputError, VoicestackError, find_voice

from .desk import Desk
from .say import SayRequest, say
from .say_voice import Manner
from .text_pipe import TextPipe

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

BAD_INPUT = 2
INTERRUPTED = 130
SAY, VOICE, VOICES = "say", "voice", "voices"
COMMANDS = "voicestack.commands"
"""The group of entry points that are commands: functions of the remaining arguments that return an exit code."""


class _Parser(argparse.ArgumentParser):
    """Tells a wrong call in one line, like every other error."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"{self.prog}: error: {message} (try {self.prog} --help)\n")


class _Version(argparse.Action):
    """Looks the version up only when it is asked for, because that costs 30 ms of every start."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import version

        print("voicestack", version("voicestack"))
        parser.exit()


def build_parser(others: Mapping[str, "EntryPoint"] | None = None) -> argparse.ArgumentParser:
    """The parser of `voicestack`; `others` are commands to list beside its own."""
    parser = _Parser(prog="voicestack", description="Streaming text-to-speech.")
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    commands = parser.add_subparsers(dest="command", required=True, parser_class=_Parser)
    _add_say(commands)
    _add_voice(commands)
    commands.add_parser(
        VOICES, help="list the voices", description="List the voices that --voice finds by their names."
    )
    for name, entry in (others or {}).items():
        commands.add_parser(name, help=_described(entry), add_help=False)
    return parser


def _add_say(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = commands.add_parser(
        SAY,
        help="speak a text",
        description="Speak a text while it is still being written, and report how fast the answer was.",
        epilog="TTFB: request to first chunk. TTFA: request to the first audible sample, if playback starts at the "
        "first chunk. RTF: seconds of work per second of audio. An underrun: playback ran dry while there was text.",
    )
    command.add_argument(
        "text",
        help="what to say (after -- if it begins with a dash), or - to speak standard input as it arrives; a published "
        "checkpoint other than Realtime reads all of that first",
    )
    command.add_argument("--out", type=Path, metavar="FILE.wav", help="write a WAV file (and play only with --play)")
    command.add_argument("--play", action="store_true", help="play it; the default where no --out is given")
    command.add_argument("--seed", type=int, metavar="N", help="speak the same way every time")
    command.add_argument(
        "--seconds",
        type=float,
        metavar="S",
        help="how long the speech should become; with a pipe it waits for the pipe's end",
    )
    command.add_argument(
        "--rate",
        type=float,
        metavar="R",
        help="how fast to speak, 0.5 to 2; the voice's own is 1, and far from it words are lost. Any other "
        "waits for the end of each sentence",
    )
    command.add_argument(
        "--depth",
        type=int,
        metavar="K",
        help="code layers to make: 8 (the default), 16 or 32; a published checkpoint makes all",
    )
    command.add_argument("--words", action="store_true", help="print each word with the second at which it begins")
    command.add_argument("--json", action="store_true", dest="as_json", help="print the figures as one line of JSON")
    command.add_argument(
        "--voice", metavar="NAME", help="the voice to speak with, as `voicestack voices` lists it, or a bundle's folder"
    )
    remote = command.add_argument_group("through a running voicestack serve")
    remote.add_argument("--url", metavar="URL", help="its address, as http://127.0.0.1:8765; --depth and --seed apply")
    remote.add_argument("--token-file", type=Path, metavar="FILE", help="holds the token that it wants")
    published = command.add_argument_group("with the bundle of a published checkpoint")
    published.add_argument(
        "--prompt", type=Path, metavar="FILE", help="sound like a recording (WAV, FLAC, OGG), or a .voice file"
    )
    published.add_argument("--prompt-text", metavar="TEXT", help="what the recording says, to go on from it")
    published.add_argument("--language", metavar="NAME", help="the language's English name (not Nano, Realtime)")
    published.add_argument("--instruction", metavar="TEXT", help="how to say it, in words (not Nano, Realtime)")


def _add_voice(commands: "argparse._SubParsersAction[_Parser]") -> None:
    command = commands.add_parser(
        VOICE,
        help="make a .voice file of a recording",
        description="Make a recording ready for say --prompt: encoded, and prefilled as far as no text matters to it.",
    )
    command.add_argument("bundle", metavar="BUNDLE", help="a folder that voicestack export wrote, or its name")
    command.add_argument("recording", type=Path, metavar="RECORDING", help="a WAV, FLAC or OGG file")
    command.add_argument("out", type=Path, metavar="OUT.voice", help="the file to write")
    command.add_argument(
        "--text", metavar="TRANSCRIPT", help="what it says, to go on from it instead of sounding like it"
    )


def _other_commands() -> "dict[str, EntryPoint]":
    """Commands that other packages of the distribution have registered, by name; looking them up takes 30 ms."""
    from importlib.metadata import entry_points

    return {entry.name: entry for entry in sorted(entry_points(group=COMMANDS), key=lambda entry: entry.name)}


def _run_other(entry: "EntryPoint", arguments: Sequence[str]) -> int:
    try:
        command: Callable[[Sequence[str]], int] = entry.load()
    except ImportError as error:
        print(f"voicestack: error: {entry.name} cannot be loaded ({error}); install voicestack again", file=sys.stderr)
        return BAD_INPUT
    return command(arguments)


def _described(entry: "EntryPoint") -> str:
    """The first line of a command's docstring, for the list of commands."""
    with contextlib.suppress(ImportError):
        return (entry.load().__doc__ or "").partition("\n")[0].rstrip(".").lower()
    return "not installed"


def main(arguments: Sequence[str] | None = None, desk: Desk | None = None) -> int:
    """Run `voicestack` and return its exit code: 0, 2 after one line about what was wrong, 130 when interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal that lacks a letter of a word is no reason to stop speaking.
        sys.stdout.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    others: Mapping[str, EntryPoint] = {}
    # Whoever wants to speak does not wait until all installed distributions have been asked for commands.
    named = arguments and (arguments[0] in ("-h", "--help") or not arguments[0].startswith("-"))
    if named and arguments[0] not in (SAY, VOICE, VOICES):
        others = _other_commands()
        if arguments[0] in others:
            return _run_other(others[arguments[0]], arguments[1:])
    options = build_parser(others).parse_args(arguments)
    desk = desk or Desk()
    console = desk.console
    try:
        if options.command == VOICE:
            from .published_voice import make_voice

            bundle = find_voice(options.bundle)
            console.tell(make_voice(bundle, options.recording, options.out, options.text))
        elif options.command == VOICES:
            from .voice_list import voice_lines

            for line in voice_lines():
                console.print(line)
        else:
            say(_request(options, desk), desk)
    except (VoicestackError, OSError) as error:
        console.tell(f"voicestack: error: {' '.join(str(error).split())}")
        return BAD_INPUT
    except KeyboardInterrupt as interrupt:
        console.tell("; ".join(["voicestack: interrupted", *map(str, interrupt.args)]))
        return INTERRUPTED
    # A reader who left has what it wanted; a full disk has not.
    return 0 if console.lost is None or isinstance(console.lost, BrokenPipeError) else BAD_INPUT


def _request(options: argparse.Namespace, desk: Desk) -> SayRequest:
    text: str | TextPipe = options.text
    if text == "-":
        if desk.stdin_descriptor is None:
            raise InputError("the text - stands for standard input, which is closed; pipe text into it")
        text = TextPipe(desk.stdin_descriptor)
    return SayRequest(
        text=text,
        out=options.out,
        play=options.play,
        voice=options.voice,
        manner=Manner(
            seed=options.seed,
            depth=options.depth,
            seconds=options.seconds,
            rate=options.rate,
            prompt=options.prompt,
            prompt_text=options.prompt_text,
            language=options.language,
            instruction=options.instruction,
        ),
        words=options.words,
        as_json=options.as_json,
        url=options.url,
        token=_token(options.token_file, options.url),
    )


def _token(path: Path | None, url: str | None) -> str | None:
    """What a token file holds, without the blanks around it."""
    if path is None:
        return None
    if url is None:
        raise InputError("--token-file is for a server; give its --url, too")
    try:
        token = path.read_text("utf-8", errors="replace").strip()
    except OSError as error:
        raise InputError(f"--token-file {path} cannot be read: {error.strerror}") from error
    if not token.isascii() or not token.isprintable() or not token:
        raise InputError(f"--token-file {path} holds no token; it must be one line of letters, digits and signs")
    return token
