"""Where the time of one utterance goes until it is heard: moments on the voice's clock, kept by whoever sees them."""

from dataclasses import dataclass


@dataclass(slots=True)
class Stages:
    """The moments of one utterance, in seconds of the voice's clock; None until they come.

    opened_s: its first text came. first_step_s: the first round that steps it began. first_chunk_s: its first sound was
    handed out; of the time until then its last round spent codec_s decoding, waited_s went by without text to speak,
    and `rounds` rounds stepped it. first_taken_s: its listener took that. audible_s: its first audible sample plays,
    when playback starts with the first sound.

    starved_s counts all seconds without text until now, starved_until_s is when the last such time ended.
    """

    opened_s: float | None = None
    first_step_s: float | None = None
    first_chunk_s: float | None = None
    codec_s: float = 0.0
    waited_s: float = 0.0
    rounds: int = 0
    first_taken_s: float | None = None
    audible_s: float | None = None
    starved_s: float = 0.0
    starved_until_s: float = 0.0
