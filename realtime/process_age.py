"""How old this process is: what a cold start is measured from."""

import os
import time

_IMPORTED_S = time.monotonic()


def process_age_s() -> float:
    """Seconds since the kernel started this process (to 10 ms); since this import where the kernel does not tell."""
    try:
        with open("/proc/self/stat", "rb") as file:
            # The second field is the program's name in parentheses and may hold anything, even blanks.
            fields = file.read().rpartition(b")")[2].split()
        started_s = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        return time.clock_gettime(time.CLOCK_BOOTTIME) - started_s
    except (OSError, AttributeError, ValueError, IndexError):
        return time.monotonic() - _IMPORTED_S
