"""`python -m voicestack.realtime` and the console script `voicestack`."""

import signal
import sys


def main() -> None:
    """Run the command line and leave with its exit code."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is signal.default_int_handler:
        # Importing takes a moment in which nothing can be lost: Control-C then ends the process without a traceback.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from .cli import main as run

    signal.signal(signal.SIGINT, handler)
    sys.exit(run())


if __name__ == "__main__":
    main()
