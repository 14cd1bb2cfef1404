"""A device on MQTT that says what it is told: `python demos/mqtt_speaker.py --out said.wav "Dinner is ready."`.

It needs a broker, and `voicestack serve --mqtt mqtt://localhost`. Without words it says what is typed, line by line; a
line interrupts the one before. The sound goes to the sound card, or with --out to a file.
"""

import argparse
import asyncio
import json
import sys
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import aiomqtt
import numpy as np

from voicestack.realtime.player import open_player

RATE_HZ = 24_000


class Output:
    """Where the samples of 16 bits go."""

    def __init__(self, play: Callable[[bytes], object], stop: Callable[[], object]) -> None:
        self.play, self.stop = play, stop


@contextmanager
def opened(out: Path | None) -> Iterator[Output]:
    """A WAV file, in which all is kept, or the sound card, which is left when all was heard."""
    if out:
        with wave.open(str(out), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            yield Output(file.writeframes, lambda: None)
    else:
        player = open_player(RATE_HZ, lambda: True)
        yield Output(
            lambda pcm: player.write(np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)), player.flush
        )
        player.finish()


async def listen(client: aiomqtt.Client, output: Output) -> None:
    """Play the sound, and print what else the server says, until the session is closed."""
    async for message in client.messages:
        payload = message.payload
        if not isinstance(payload, bytes):
            continue
        if message.topic.value.endswith("/audio"):
            output.play(payload)
            continue
        event = json.loads(payload)
        print(event)
        if event["type"] == "interrupted":
            output.stop()
        elif event["type"] == "closed":
            return


async def say(client: aiomqtt.Client, place: str, words: str) -> None:
    """The words, or each line that is typed; `close` lets the last be said to its end."""
    control = f"{place}/control"
    await client.publish(control, json.dumps({"type": "open", "sample_rate": RATE_HZ}), qos=1)
    while text := words or await asyncio.to_thread(sys.stdin.readline):
        await client.publish(control, json.dumps({"type": "interrupt"}), qos=1)
        await client.publish(f"{place}/text", text, qos=1)
        await client.publish(control, json.dumps({"type": "flush"}), qos=1)
        if words:
            break
    await client.publish(control, json.dumps({"type": "close"}), qos=1)


async def main(options: argparse.Namespace) -> None:
    """One session, from `open` to `closed`."""
    place = f"{options.prefix}/{options.session}"
    with opened(options.out) as output:
        async with aiomqtt.Client(options.broker, options.port) as client:
            await client.subscribe([(f"{place}/audio", 0), (f"{place}/event", 1)])
            async with asyncio.TaskGroup() as group:
                group.create_task(listen(client, output), name="listener")
                await say(client, place, " ".join(options.words))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Speaks over an MQTT broker.")
    parser.add_argument("words", nargs="*", help="what to say; lines of standard input by default")
    parser.add_argument("--broker", default="localhost")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--prefix", default="voicestack")
    parser.add_argument("--session", default="speaker", help="the name of this device")
    parser.add_argument("--out", type=Path, metavar="FILE.wav", help="write the sound instead of playing it")
    asyncio.run(main(parser.parse_args()))
