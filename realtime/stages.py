"""Where the time of one utterance goes until it is heard: moments on the voice's clock, kept by whoever sees them."""

from dataclasses import dataclass


@dataclass(slots=True)
class Stages:
    """The moments of one utterance, in seconds of the voice's clock; None until they come.

    opened_s: its first text came. first_step_s: the first round that steps it began. first_frame_s: the first round
    that found enough text for a frame began. first_chunk_s: its first sound was handed out; the round before that spent
    codec_s decoding. first_taken_s: its listener took that. audible_s: its first audible sample plays, when playback
    starts with the first sound.

    starved_s counts all seconds without text until now, starved_until_s is when the last such time ended.
    """

    opened_s: float | None = None
    first_step_s: float | None = None
    first_frame_s: float | None = None
    first_chunk_s: float | None = None
    codec_s: float = 0.0
    first_taken_s: float | None = None
    audible_s: float | None = None
    starved_s: float = 0.0
    starved_until_s: float = 0.0
    round_s: float = 0.0

    def stepped(self, now_s: float) -> None:
        """A round that steps it begins."""
        self.round_s = now_s
        if self.first_step_s is None:
            self.first_step_s = now_s

    def made_frame(self) -> None:
        """That round made a frame of it."""
        if self.first_frame_s is None:
            self.first_frame_s = self.round_s

    def sounded(self, now_s: float, codec_s: float) -> None:
        """Its first sound is handed out."""
        self.first_chunk_s, self.codec_s = now_s, codec_s

    def taken(self, now_s: float) -> None:
        """Its listener takes sound."""
        if self.first_taken_s is None:
            self.first_taken_s = now_s

    def waited_ms(self, began_s: float | None) -> dict[str, float | None]:
        """From its first text to its sound, which began to reach its listener then, and to the first that is heard."""
        if self.opened_s is None or began_s is None:
            return {"ttfb_ms": None, "ttfa_ms": None}
        ttfb_s = began_s - self.opened_s
        if self.audible_s is None or self.first_chunk_s is None:
            return {"ttfb_ms": round(1000 * ttfb_s, 1), "ttfa_ms": None}
        # Known is where it would be heard if it were taken as soon as it is made.
        silence_s = max(0.0, self.audible_s - self.first_chunk_s)
        return {"ttfb_ms": round(1000 * ttfb_s, 1), "ttfa_ms": round(1000 * (ttfb_s + silence_s), 1)}

    def text_came(self, waited_s: float, now_s: float) -> None:
        """After it had been missing for so long."""
        self.starved_s += waited_s
        self.starved_until_s = now_s
