"""A language model writes, the voice speaks along: words are printed when they are heard.

Run it with `python demos/assistant.py`. The "model" is a script that writes a token every 60 ms; put a real one in
its place, anything that yields strings will do.
"""

import time
from collections.abc import Iterator

from voicestack.runtime import Bundle, SamplingParams, Speaker, default_voice_path

REPLY = (
    "Sure, I moved your meeting with Doctor Patel to Thursday at 3:30. "
    "It costs $12.50 to park there, so you may want to take the bus."
)
TOKEN_EVERY_S = 0.06


def language_model(reply: str) -> Iterator[str]:
    """The reply, a few letters at a time, as slowly as a language model writes."""
    for start in range(0, len(reply), 4):
        time.sleep(TOKEN_EVERY_S)
        yield reply[start : start + 4]


def main() -> None:
    """Speak the reply while it is written, on a clock that starts with the first chunk."""
    speaker = Speaker(Bundle.load(default_voice_path()))
    asked_s = time.monotonic()
    playback_began_s: float | None = None
    for chunk in speaker.speak(language_model(REPLY), sampling=SamplingParams(seed=1)):
        if playback_began_s is None:
            playback_began_s = time.monotonic()
            print(f"[first audio after {playback_began_s - asked_s:.2f} s; the reply is not written to its end yet]")
        for word in chunk.words:
            # Audio is made faster than it is heard; a player would be here now.
            time.sleep(max(0.0, playback_began_s + word.start_s - time.monotonic()))
            print(word.text, end=" ", flush=True)
    print()


if __name__ == "__main__":
    main()
