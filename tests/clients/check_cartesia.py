"""Cartesia's own SDK: a context that is written piece by piece, its words, one beside it, and one that is cancelled."""

import cartesia
from common import HTTP, KEY, LONG, RATE_HZ, SENTENCES, TEXT, WS, Ear, demand

FORM = {"container": "raw", "encoding": "pcm_s16le", "sample_rate": RATE_HZ}
VOICE = {"mode": "id", "id": "6ccbfb76-1fc6-48f7-b71d-91ac6298247b"}


def main() -> None:
    client = cartesia.Cartesia(api_key=KEY, base_url=HTTP, websocket_base_url=WS)
    options = {"model_id": "sonic-3", "voice": VOICE, "output_format": FORM, "add_timestamps": True}
    with client.tts.websocket_connect() as connection:
        context, ear, words = connection.context(**options), Ear("cartesia"), []
        ear.begin()
        for sentence in SENTENCES:
            context.push(f"{sentence} ")
        context.no_more_inputs()
        for event in context.receive():
            demand(event.type != "error", f"no error, {event}")
            if event.type == "chunk":
                ear.hear(event.audio or b"")
            elif event.type == "timestamps" and event.word_timestamps:
                words += zip(event.word_timestamps.words, event.word_timestamps.start, strict=True)
        demand(len(words) == len(TEXT.split()), f"a time for every word, {words}")
        demand([start for _, start in words] == sorted(start for _, start in words), "times that rise")

        context, other = connection.context(**options), connection.context(**options)
        context.push(LONG)
        other.push("Something else.")
        other.no_more_inputs()
        for event in context.receive():
            if event.type == "chunk":
                break
        context.cancel()
        kinds = {event.type for event in other.receive() if event.context_id != context._context_id}
        demand({"chunk", "done"} <= kinds and "error" not in kinds, f"the other context whole, {kinds}")
    ear.report(words=len(words))


main()
