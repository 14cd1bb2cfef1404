"""Published checkpoints: bundles, speaking with them, and the replay of what the published code computed."""

from .bundle import FORMAT, FORMAT_VERSION, PublishedBundle, PublishedManifest
from .conversation import Conversation, UserTurn
from .published_ensemble import PublishedAdvanced, PublishedEnsemble, Rehearsal
from .published_voice import PublishedVoice
from .replay_all import replay
from .replay_checks import Check, Reference
from .replay_graphs import ReplayGraphs
from .sampling_rules import ChannelSampling, PublishedSampling
from .speaker import PublishedSpeaker
from .speech import Speech
from .speech_request import PublishedManner, SpeechStyle
from .studio import PublishedStudio
from .utterance import PublishedChunk

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "ChannelSampling",
    "Check",
    "Conversation",
    "PublishedAdvanced",
    "PublishedBundle",
    "PublishedChunk",
    "PublishedEnsemble",
    "PublishedManifest",
    "PublishedManner",
    "PublishedSampling",
    "PublishedSpeaker",
    "PublishedStudio",
    "PublishedVoice",
    "Reference",
    "Rehearsal",
    "ReplayGraphs",
    "Speech",
    "SpeechStyle",
    "UserTurn",
    "replay",
]
