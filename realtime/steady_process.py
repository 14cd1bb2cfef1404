"""What running voices ask of the whole process, and give back when the last of them is left."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_SWITCH_S = 0.001
"""A worker's Python may hold the event loop up for so long; the interpreter's own 5 ms would be heard of."""

_running = 0
_switch_before_s = 0.0


@contextmanager
def steady_process() -> Iterator[None]:
    """For a voice that has just been loaded, while it runs; to be used by one thread.

    What is there stays: a full collection that looked it through would stall everybody for 20 ms and more. What is
    frozen when the last voice is left, by whomever, is collected like anything else again.
    """
    global _running, _switch_before_s
    gc.collect()
    gc.freeze()
    if not _running:
        _switch_before_s = sys.getswitchinterval()
        sys.setswitchinterval(_SWITCH_S)
    _running += 1
    try:
        yield
    finally:
        _running -= 1
        if not _running:
            sys.setswitchinterval(_switch_before_s)
            gc.unfreeze()
