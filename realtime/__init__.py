"""Real-time edges of voicestack: sessions and their scheduler, the command line, files, and what is measured."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .cost_model import CostMeter, CostModel, Line
    from .embedded_worker import EmbeddedWorker
    from .lifecycle import State
    from .outlet import Ending
    from .planner import PlannerConfig
    from .playout import Heard
    from .published_worker import PublishedMemory, PublishedWorker
    from .scheduler import Limits
    from .session import Session
    from .simulator import Outcome, Simulation, Talker
    from .voice import Voice, VoiceConfig

__all__ = [
    "CostMeter",
    "CostModel",
    "EmbeddedWorker",
    "Ending",
    "Heard",
    "Limits",
    "Line",
    "Outcome",
    "PlannerConfig",
    "PublishedMemory",
    "PublishedWorker",
    "Session",
    "Simulation",
    "State",
    "Talker",
    "Voice",
    "VoiceConfig",
]

_HOMES = {
    "cost_model": ("CostMeter", "CostModel", "Line"),
    "embedded_worker": ("EmbeddedWorker",),
    "lifecycle": ("State",),
    "outlet": ("Ending",),
    "planner": ("PlannerConfig",),
    "playout": ("Heard",),
    "published_worker": ("PublishedMemory", "PublishedWorker"),
    "scheduler": ("Limits",),
    "session": ("Session",),
    "simulator": ("Outcome", "Simulation", "Talker"),
    "voice": ("Voice", "VoiceConfig"),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: the command line, which is in this package, needs few of them."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
