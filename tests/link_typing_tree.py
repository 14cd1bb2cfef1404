"""Lay out build/typing/, where mypy and pyright find the packages and the tests' helpers by their import names."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("realtime", "runtime", "onnx_export")


def main() -> None:
    """Make the links that are missing."""
    tree = ROOT / "build" / "typing"
    (tree / "voicestack").mkdir(parents=True, exist_ok=True)
    targets = {tree / "voicestack" / folder: ROOT / folder for folder in FOLDERS}
    # Not tests/ itself: next to it in the search path, tests/runtime would pass for a package named `runtime`.
    helpers = (path for path in (ROOT / "tests").glob("*.py") if not path.name.startswith("test_"))
    targets |= {tree / path.name: path for path in helpers}
    for link, target in targets.items():
        if not link.is_symlink():
            link.symlink_to(target, target_is_directory=target.is_dir())


if __name__ == "__main__":
    main()
