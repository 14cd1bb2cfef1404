"""Deepgram's own SDK: text piece by piece, a flush, a clear, and another utterance on the same connection."""

from common import HTTP, KEY, LONG, RATE_HZ, SENTENCES, WS, Ear, demand
from deepgram import DeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from deepgram.speak.v1.types import SpeakV1Clear, SpeakV1Close, SpeakV1Flush, SpeakV1Text


def main() -> None:
    here = DeepgramClientEnvironment(base=HTTP, production=WS, agent=WS, agent_rest=HTTP)
    client = DeepgramClient(api_key=KEY, environment=here)
    with client.speak.v1.connect(model="aura-2-thalia-en", encoding="linear16", sample_rate=RATE_HZ) as connection:
        demand(connection.recv().type == "Metadata", "Metadata first")
        ear = Ear("deepgram")
        ear.begin()
        for sentence in SENTENCES:
            connection.send_text(SpeakV1Text(text=f"{sentence} "))
        connection.send_flush(SpeakV1Flush(type="Flush"))
        while isinstance(message := connection.recv(), bytes):
            ear.hear(message)
        demand(message.type == "Flushed", f"Flushed behind the sound, {message}")

        connection.send_text(SpeakV1Text(text=LONG))
        connection.recv()
        connection.send_clear(SpeakV1Clear(type="Clear"))
        while isinstance(message := connection.recv(), bytes):
            pass
        demand(message.type == "Cleared", f"Cleared, {message}")
        connection.send_text(SpeakV1Text(text="And on."))
        connection.send_flush(SpeakV1Flush(type="Flush"))
        count = 0
        while isinstance(message := connection.recv(), bytes):
            count += len(message)
        demand(message.type == "Flushed" and 0.3 < count / 2 / RATE_HZ < 3, f"only what is new, {count} bytes")
        connection.send_close(SpeakV1Close(type="Close"))
    ear.report()


main()
