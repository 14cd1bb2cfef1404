"""A published checkpoint's bundle as a voice of the command line, and the `.voice` files it speaks with."""

from collections.abc import Iterator
from pathlib import Path

from voicestack.runtime import InputError
from voicestack.runtime.published import PublishedBundle, PublishedSpeaker, PublishedStudio, PublishedVoice, SpeechStyle

from .say_voice import Manner, SayVoice, Spoken
from .text_pipe import TextPipe

VOICE_SUFFIX = ".voice"
_MAX_SECONDS = 3600


class _PublishedVoice:
    """A speaker, and the voice that it was last asked to speak with."""

    def __init__(self, speaker: PublishedSpeaker) -> None:
        self.speaker = speaker
        self._voice: PublishedVoice | None = None

    def prepare(self, manner: Manner) -> None:
        """Read the prompt, and encode and prefill it where it is a recording."""
        manner.refuse("rate")
        if not self.speaker.takes_style:
            manner.refuse("language", "instruction", "seconds")
        self.speaker.prepare(manner.depth)
        self._voice = None if manner.prompt is None else read_prompt(self.speaker, manner.prompt, manner.prompt_text)

    def speak(self, text: str | TextPipe, manner: Manner) -> Iterator[Spoken]:
        """Speak as it was prepared."""
        tokens = None if manner.seconds is None else self._frames(manner.seconds)
        style = SpeechStyle(instruction=manner.instruction, tokens=tokens, language=manner.language)
        return self.speaker.speak(text, voice=self._voice, style=style, seed=manner.seed, depth=manner.depth)

    def _frames(self, seconds: float) -> int:
        frame_s = self.speaker.frame_samples / self.speaker.sample_rate_hz
        if not frame_s <= seconds <= _MAX_SECONDS:  # not-a-number is not, either
            raise InputError(f"seconds must be from {frame_s:g} to {_MAX_SECONDS}, got {seconds!r}")
        return round(seconds / frame_s)


def load_published(path: Path) -> SayVoice:
    """The voice in the bundle of a published checkpoint. Raises BundleError."""
    speaker = PublishedSpeaker(PublishedBundle.load(path))
    voice = _PublishedVoice(speaker)
    sizes = (speaker.sample_rate_hz, speaker.frame_samples, speaker.info.n_vq, speaker.channels)
    return SayVoice(voice.speak, voice.prepare, *sizes)


def make_voice(bundle: Path, recording: Path, out: Path, transcript: str | None) -> str:
    """Write a `.voice` file; returns what to tell of it. Raises VoicestackError."""
    if out.suffix != VOICE_SUFFIX:
        raise InputError(f"{out}: a voice's file must end in {VOICE_SUFFIX}, by which it is told from a recording")
    speaker = PublishedSpeaker(PublishedBundle.load(bundle))
    voice = speaker.voice(recording, transcript=transcript)
    speaker.save_voice(voice, out)
    seconds = len(voice.recording.codes) * speaker.frame_samples / speaker.sample_rate_hz
    size = out.stat().st_size / 1e6
    return f"wrote {out}: {seconds:.2f} s of voice, {len(voice.memory.rows)} rows prefilled, {size:.1f} MB"


def read_prompt(studio: PublishedStudio, prompt: Path, transcript: str | None) -> PublishedVoice:
    """The voice in a `.voice` file, or one made from a recording. Raises BundleError, InputError."""
    if prompt.suffix != VOICE_SUFFIX:
        return studio.voice(prompt, transcript=transcript)
    if transcript is not None:
        raise InputError(f"--prompt-text goes with a recording; what {prompt} says was given when it was made")
    return studio.load_voice(prompt)
