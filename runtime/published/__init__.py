"""Published checkpoints: bundles, speaking with them, and the replay of what the published code computed."""

from .bundle import FORMAT, FORMAT_VERSION, PublishedBundle, PublishedManifest
from .conversation import Conversation, UserTurn
from .published_voice import PublishedVoice
from .replay_all import replay
from .replay_checks import Check, Reference
from .replay_graphs import ReplayGraphs
from .sampling_rules import ChannelSampling, PublishedSampling
from .speaker import PublishedSpeaker
from .speech_request import SpeechStyle
from .utterance import PublishedChunk

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "ChannelSampling",
    "Check",
    "Conversation",
    "PublishedBundle",
    "PublishedChunk",
    "PublishedManifest",
    "PublishedSampling",
    "PublishedSpeaker",
    "PublishedVoice",
    "Reference",
    "ReplayGraphs",
    "SpeechStyle",
    "UserTurn",
    "replay",
]
