"""Devices over a real broker, mosquitto."""

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from async_tests import run
from scripted_worker import FRAME, ScriptedWorker

pytest.importorskip("aiomqtt")

import aiomqtt
from mosquitto import BROKER, OPEN, Mosquitto, kept, listening
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.reasoncodes import ReasonCode

from voicestack.realtime.serve.limits import ServeLimits
from voicestack.realtime.serve.mqtt import MqttEdge, cancellable, subscribe
from voicestack.realtime.serve.mqtt_address import Topics
from voicestack.realtime.serve.mqtt_uplink import LinkLostError
from voicestack.realtime.serve.service import Service
from voicestack.realtime.voice import Voice, VoiceConfig

pytestmark = [pytest.mark.broker, pytest.mark.skipif(BROKER is None, reason="mosquitto is not installed")]

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
PATIENT = ServeLimits(send_s=10.0)
"""For a machine that is busy with other tests."""
VANISHING = """
import asyncio, sys
from scripted_worker import ScriptedWorker
from voicestack.realtime import Voice
from voicestack.realtime.serve.mqtt import MqttEdge
from voicestack.realtime.serve.service import Service

async def main():
    async with Voice.load(open_worker=ScriptedWorker) as voice:
        await MqttEdge(Service(voice, "scripted"), sys.argv[1]).run()

asyncio.run(main())
"""


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(tmp_path, *OPEN)
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def keeping_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """One that remembers who has subscribed to what."""
    broker = Mosquitto(tmp_path, *OPEN, *kept(tmp_path))
    broker.start()
    yield broker
    broker.stop()


@asynccontextmanager
async def serving(
    broker: Mosquitto, limits: ServeLimits | None = None, voice: Voice | None = None
) -> AsyncIterator[None]:
    worker = ScriptedWorker()
    voice = voice or Voice.load(open_worker=lambda: worker, config=VoiceConfig(lead_s=(0.2, 0.4), queue_s=1.0))
    async with voice:
        edge = MqttEdge(Service(voice, "some voice", limits or PATIENT), f"mqtt://127.0.0.1:{broker.port}")
        task = asyncio.create_task(edge.run())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


@run
async def test_a_device_hears_what_it_says(broker: Mosquitto) -> None:
    """All of it, in order; it knows that the server is there, and that it leaves."""
    async with listening_beside(broker, "kitchen") as (kitchen,):
        await kitchen.say("hello there")
        ended = await kitchen.until("ended")
        assert len(b"".join(kitchen.audio(0))) == 2 * len("hello there") * FRAME
        assert kitchen.sequences() == list(range(ended["messages"]))
        assert [word["text"] for event in kitchen.of("words") for word in event["words"]] == ["hello", "there"]


@asynccontextmanager
async def listening_beside(broker: Mosquitto, *sessions: str) -> AsyncIterator[list]:  # type: ignore[type-arg]
    async with serving(broker), listening(broker.port, *sessions) as devices:
        yield devices


@run
async def test_devices_are_told_that_the_server_leaves(broker: Mosquitto) -> None:
    """By the last event of their session, and by the status."""
    async with serving(broker):
        waiting = listening(broker.port, "kitchen")
        (kitchen,) = await waiting.__aenter__()
        await kitchen.say(LONG)
        await kitchen.until("audio")
    await kitchen.until("offline")
    assert [event["type"] for event in kitchen.of("ended", "closed")] == ["ended", "closed"]
    await waiting.__aexit__(None, None, None)


def test_a_cancellation_that_the_library_forgets_is_remembered() -> None:
    """It may come at the moment at which a message has been confirmed."""

    async def forgetful() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def body() -> None:
        call = asyncio.create_task(cancellable(forgetful()))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(body())


@run
async def test_an_interruption_is_heard_at_once(broker: Mosquitto) -> None:
    """Nothing of the utterance is heard behind the answer, and the next one is."""
    async with listening_beside(broker, "kitchen") as (kitchen,):
        await kitchen.say(LONG)
        await kitchen.until("audio", 3)
        await kitchen.publish("control", '{"type": "interrupt"}')
        told = await kitchen.until("interrupted")
        heard = len(kitchen.audio(0))
        assert 0 < told["played_ms"] < len(LONG) * 80
        await kitchen.say("hello")
        await kitchen.until("ended", 2)
        assert len(kitchen.audio(0)) == heard
        assert len(b"".join(kitchen.audio(1))) == 2 * 5 * FRAME


@run
async def test_two_devices_speak_at_once(broker: Mosquitto) -> None:
    """Each hears its own, whole."""
    async with listening_beside(broker, "kitchen", "hall") as (kitchen, hall):
        await asyncio.gather(kitchen.say("apples and pears"), hall.say("hello there"))
        await asyncio.gather(kitchen.until("ended"), hall.until("ended"))
        assert len(b"".join(kitchen.audio())) == 2 * len("apples and pears") * FRAME
        assert len(b"".join(hall.audio())) == 2 * len("hello there") * FRAME


def test_a_broker_that_is_killed_costs_one_utterance_and_no_event(keeping_broker: Mosquitto) -> None:
    """After it is back each utterance has one end, no event comes twice, and the session goes on."""

    @run
    async def kill(broker: Mosquitto) -> None:
        async with listening_beside(broker, "kitchen") as (kitchen,):
            await kitchen.say(LONG)
            await kitchen.say("this waits")
            await kitchen.until("audio", 3)
            # It writes down once a second who has subscribed to what.
            await asyncio.sleep(1.2)
            broker.send_signal(signal.SIGKILL)
            await asyncio.sleep(0.3)
            assert not kitchen.of("ended")
            broker.start()
            assert (await kitchen.until("interrupted"))["by"] == "broker"
            await kitchen.until("online", 2)
            await kitchen.say("hello")
            await kitchen.until("ended", 3)
            assert [event["utterance"] for event in kitchen.of("ended")] == [0, 1, 2]
            numbers = [event["n"] for event in kitchen.of("opened", "words", "ended", "interrupted", "error")]
            assert len(set(numbers)) == len(numbers)
            assert len(b"".join(kitchen.audio(2))) == 2 * 5 * FRAME

    kill(keeping_broker)


@run
async def test_a_broker_that_freezes_is_left_and_found_again(broker: Mosquitto) -> None:
    """It is given up after the time a reader has, and each utterance has one end all the same."""
    async with serving(broker, ServeLimits(send_s=0.5)), listening(broker.port, "kitchen") as (kitchen,):
        await kitchen.say(LONG)
        await kitchen.until("audio", 3)
        broker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(1.5)
        broker.send_signal(signal.SIGCONT)
        await kitchen.until("ended")
        await kitchen.until("online", 2)
        await kitchen.say("hello")
        await kitchen.until("ended", 2)
        ended = {event["n"]: event["utterance"] for event in kitchen.of("ended")}
        assert sorted(ended.values()) == [0, 1]


def test_the_last_will_tells_of_a_server_that_vanished(broker: Mosquitto) -> None:
    """Killed, it cannot say so itself."""

    async def body() -> None:
        path = os.pathsep.join([str(Path(__file__).parents[2]), *filter(None, [os.environ.get("PYTHONPATH")])])
        server = await asyncio.create_subprocess_exec(
            sys.executable, "-c", VANISHING, f"mqtt://127.0.0.1:{broker.port}", env=os.environ | {"PYTHONPATH": path}
        )
        try:
            async with asyncio.timeout(60), listening(broker.port, "kitchen") as (kitchen,):
                server.kill()
                await kitchen.until("offline")
        finally:
            with suppress(ProcessLookupError):
                server.kill()
            await server.wait()

    asyncio.run(body())


@run
async def test_who_does_not_read_holds_nobody_up(broker: Mosquitto) -> None:
    """A listener that stands still costs the others nothing: the broker drops what it does not take."""
    stuck = await asyncio.create_subprocess_exec(
        *("mosquitto_sub", "-p", str(broker.port), "-t", "voicestack/#"), stdout=subprocess.DEVNULL
    )
    try:
        async with listening_beside(broker, "kitchen") as (kitchen,):
            stuck.send_signal(signal.SIGSTOP)
            for number in range(3):
                await kitchen.say("hello there")
                ended = await kitchen.until("ended", number + 1)
                assert ended["ending"] == "finished"
                assert len(kitchen.audio(number)) == ended["messages"]
    finally:
        stuck.kill()
        await stuck.wait()


@run
async def test_two_lines_of_a_shell_are_enough(broker: Mosquitto) -> None:
    """What mosquitto_sub writes is sound and nothing else."""
    port, place = str(broker.port), "voicestack/shell"
    async with listening_beside(broker, "kitchen"):
        listener = await asyncio.create_subprocess_exec(
            *("mosquitto_sub", "-p", port, "-N", "-W", "3", "-t", f"{place}/audio"), stdout=subprocess.PIPE
        )
        await asyncio.sleep(0.3)
        for kind, payload in (("text", "hello"), ("control", '{"type": "flush"}')):
            say = await asyncio.create_subprocess_exec(
                *("mosquitto_pub", "-p", port, "-t", f"{place}/{kind}", "-m", payload)
            )
            assert await say.wait() == 0
        sound, _ = await listener.communicate()
        assert len(sound) == 2 * 5 * FRAME


def test_a_broker_that_does_not_let_the_server_listen_is_told_of() -> None:
    """Connected and deaf it would be of no use to anybody."""

    class Refusing:
        """As other brokers do; mosquitto lets everybody subscribe, and sends nothing."""

        async def subscribe(self, topic: str, **_: object) -> list[ReasonCode]:
            return [ReasonCode(PacketTypes.SUBACK, "Not authorized")]

    with pytest.raises(LinkLostError, match=r"refuses voicestack/\+/text: Not authorized"):
        asyncio.run(subscribe(cast(aiomqtt.Client, Refusing()), Topics("voicestack")))


@run
async def test_the_demo_writes_what_it_hears(broker: Mosquitto) -> None:
    """One command says a text and leaves when all of it has come."""
    folder = broker.folder
    demo = Path(__file__).parents[3] / "demos" / "mqtt_speaker.py"
    async with listening_beside(broker, "kitchen"):
        speaker = await asyncio.create_subprocess_exec(
            *(sys.executable, str(demo), "hello there", "--port", str(broker.port), "--out", str(folder / "said.wav")),
            stdout=subprocess.PIPE,
        )
        told, _ = await speaker.communicate()
    assert speaker.returncode == 0
    assert b"'closed'" in told
    with wave.open(str(folder / "said.wav")) as file:
        assert file.getnframes() == pytest.approx(len("hello there") * FRAME * 3, abs=50)


def test_a_broker_may_want_a_password_and_tls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """With the right one the server is there; with a wrong one it says so without telling it, and goes on trying."""
    if not (shutil.which("openssl") and shutil.which("mosquitto_passwd")):
        pytest.skip("openssl or mosquitto_passwd is not installed")
    key, cert, passwords = tmp_path / "key.pem", tmp_path / "cert.pem", tmp_path / "passwords"
    names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
    make = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=localhost")
    subprocess.run([*make, "-addext", names, "-keyout", key, "-out", cert], check=True, capture_output=True)
    subprocess.run(["mosquitto_passwd", "-b", "-c", passwords, "me", "a/secret"], check=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    broker = Mosquitto(tmp_path, f"certfile {cert}", f"keyfile {key}", f"password_file {passwords}")
    broker.start()

    async def body(password: str, seconds: int) -> bytes:
        async with Voice.load(open_worker=ScriptedWorker) as voice:
            edge = MqttEdge(Service(voice, "some voice"), f"mqtts://me:{password}@localhost:{broker.port}")
            serving = asyncio.create_task(edge.run())
            listener = await asyncio.create_subprocess_exec(
                *("mosquitto_sub", "-h", "localhost", "-p", str(broker.port), "--cafile", str(cert)),
                *("-u", "me", "-P", "a/secret", "-W", str(seconds), "-C", "1", "-t", "voicestack/status"),
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
            status, _ = await listener.communicate()
            serving.cancel()
            with suppress(asyncio.CancelledError):
                await serving
        return status

    try:
        assert asyncio.run(body("wrong", 1)) == b""
        assert "Not authorized" in caplog.text
        assert "wrong" not in caplog.text
        assert asyncio.run(body("a%2Fsecret", 10)) == b"online\n"
    finally:
        broker.stop()


@pytest.mark.asr
@pytest.mark.slow
@pytest.mark.parametrize("form", ["pcm_s16le", "opus"])
def test_what_arrives_is_understood(broker: Mosquitto, form: str) -> None:
    """The voice that ships speaks over the broker, and a recogniser writes it down."""
    from hearing import TEXT, understood

    if form == "opus":
        pytest.importorskip("av")

    async def body() -> list[bytes]:
        async with serving(broker, voice=Voice.load()), listening(broker.port, "kitchen") as (kitchen,):
            await kitchen.publish("control", f'{{"type": "open", "format": "{form}"}}')
            await kitchen.say(TEXT)
            ended = await kitchen.until("ended")
            assert len(kitchen.audio(0)) == ended["messages"]
            return kitchen.audio(0)

    pieces = asyncio.run(body())
    pcm = (
        decoded(pieces)
        if form == "opus"
        else np.frombuffer(b"".join(pieces), "<i2").astype(np.float32) / np.float32(32768)
    )
    assert understood(pcm) > 0.7


def decoded(packets: list[bytes]) -> np.ndarray:
    """Opus packets as samples at 24 kHz."""
    import av
    import soxr

    decoder = av.CodecContext.create("libopus", "r")
    frames = [frame for packet in packets for frame in decoder.decode(av.Packet(packet))]
    assert {(frame.sample_rate, frame.layout.nb_channels, frame.format.name) for frame in frames} == {
        (48_000, 2, "s16")
    }
    stereo = np.concatenate([frame.to_ndarray().reshape(-1, 2) for frame in frames])
    left = stereo[:, 0].astype(np.float32) / np.float32(32768)
    return np.asarray(soxr.resample(left, 48_000, 24_000), np.float32)
