import asyncio
import json
import re
from importlib.resources import files
from typing import Any

import pytest

pytest.importorskip("soxr", reason="sound on the wire needs the `serve` extra")

from async_tests import run
from ws_fakes import connected, served

from voicestack.realtime.serve.limits import ServeLimits

PAGE = files("voicestack.realtime.serve").joinpath("PROTOCOL.md").read_text("utf-8")
TRANSCRIPT = re.findall(r"```transcript\n(.*?)```", PAGE, re.DOTALL)[0].splitlines()
VARIES = {"server", "ttfb_ms", "ttfa_ms", "played_ms"}


def merged(lines: list[str | bytes]) -> list[Any]:
    """What a server said, with sound of one utterance as one piece, because how it is cut depends on the moment."""
    told: list[Any] = []
    sound, begun_s = 0, 0.0
    for line in lines:
        message = json.loads(line) if isinstance(line, str) else None
        if message is None:
            sound += len(line)
            continue
        if message["type"] == "audio":
            begun_s = begun_s if sound else message["start_s"]
            continue
        told += [(begun_s, sound)] * bool(sound)
        sound = 0
        told.append({name: value for name, value in message.items() if name not in VARIES})
    return told


@run
async def test_the_example_of_the_page_is_what_comes_to_pass() -> None:
    """Every message of the transcript, in its order, but for the times that were measured."""
    said = [json.loads(line[2:]) for line in TRANSCRIPT if line.startswith("<")]
    shown: list[str | bytes] = []
    for line in TRANSCRIPT:
        if line.startswith("> ("):
            shown.append(bytes(int(line[3:].split()[0])))
        elif line.startswith("> "):
            shown.append(line[2:])
    async with served() as service, connected(service, "native") as wire:
        wire.say(*said[:-2])
        await wire.told_of(type="speech.ended")
        # The sound was played by then, since nobody says otherwise.
        await asyncio.sleep(0.5)
        wire.say(*said[-2:])
        await wire.told_of(type="interrupted")
        assert merged(wire.sent) == merged(shown)
        assert wire.told[-1]["played_ms"] == 400.0


def test_the_limits_of_the_page_are_those_of_the_server() -> None:
    """By name and number."""
    limits = ServeLimits()
    table = PAGE.partition("## Limits")[2].partition("## An example")[0]
    for line in table.splitlines():
        names, numbers = re.findall(r"`(\w+)`", line.partition("|")[2].partition("|")[0]), re.findall(r"[\d.]+", line)
        for name, number in zip(names, numbers, strict=False):
            assert getattr(limits, name) == float(number)
    assert f"within {limits.first_s:g} seconds" in PAGE
    assert f"for {limits.send_s:g} seconds is cut off" in PAGE
