"""Published checkpoints: their bundles, generators and codecs, and the replay of what the published code computed."""

from .bundle import FORMAT, FORMAT_VERSION, PublishedBundle, PublishedManifest
from .replay_all import replay
from .replay_checks import Check, Reference
from .replay_graphs import ReplayGraphs

__all__ = [
    "FORMAT",
    "FORMAT_VERSION",
    "Check",
    "PublishedBundle",
    "PublishedManifest",
    "Reference",
    "ReplayGraphs",
    "replay",
]
