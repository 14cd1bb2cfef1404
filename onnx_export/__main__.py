"""`python -m voicestack.onnx_export export|verify`."""

import sys

from .cli import BAD_INPUT, export, verify

_COMMANDS = {"export": export, "verify": verify}


def main() -> int:
    """Run the command that is named first."""
    command = _COMMANDS.get(sys.argv[1] if len(sys.argv) > 1 else "")
    if command is None:
        print(f"usage: python -m voicestack.onnx_export {'|'.join(_COMMANDS)} ...", file=sys.stderr)
        return BAD_INPUT
    return command(sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
