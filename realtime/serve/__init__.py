"""Everything on the wire: one server, the protocols it speaks, and what keeps them safe.

asyncio.run(run_until_signalled(Settings(port=8765), sys.stderr))
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .app import App, run_until_signalled
    from .call import Assistant
    from .guard import Policy
    from .limits import ServeLimits
    from .settings import Settings

__all__ = ["App", "Assistant", "Policy", "ServeLimits", "Settings", "run_until_signalled"]

_HOMES = {
    "app": ("App", "run_until_signalled"),
    "call": ("Assistant",),
    "guard": ("Policy",),
    "limits": ("ServeLimits",),
    "settings": ("Settings",),
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is asked for: not everybody who needs one of the modules has the server's extras."""
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f".{home}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
