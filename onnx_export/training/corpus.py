"""Plain English sentences from packages that install by name.

Sources: Debian `anarchism` (GFDL/CC prose), Debian `fortunes` (BSD-style compilation), PyPI `chatterbot-corpus` (BSD).
A sentence is kept when every word is in the lexicon, so that its pronunciation is known without a phonemizer.
"""

import html
import re
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from voicestack.runtime.errors import InputError
from voicestack.runtime.text.lexicon import Lexicon

_DEBIAN_PACKAGES = ("anarchism", "fortunes")
_SENTENCE_END = re.compile(r"(?<=[.?!])\s+")
_CLEAN = re.compile(r"[A-Z][A-Za-z' ,;:-]+[.?!]")
_TAG = re.compile(r"<[^>]+>")
_SKIPPED_FORTUNES = frozenset(
    "art ascii-art disclaimer translate-me debian-hints songs-poems startrek zippy "
    "ethnic men-women love pets sports".split()
)
MIN_CHARACTERS, MAX_CHARACTERS = 12, 150


def sentences(lexicon: Lexicon) -> list[str]:
    """Clean sentences in source order; offensive fortunes are left out."""
    return clean((raw for paragraph in _paragraphs() for raw in _SENTENCE_END.split(paragraph)), lexicon)


def clean(raws: Iterable[str], lexicon: Lexicon) -> list[str]:
    """The distinct sentences of 12..150 characters with plain marks and no word that the lexicon lacks."""
    found: dict[str, None] = {}
    for raw in raws:
        sentence = _tidy(raw)
        if sentence is not None and all(word in lexicon for word in words_of(sentence)):
            found[sentence] = None
    return list(found)


def words_of(sentence: str) -> list[str]:
    """Lower-case words of a clean sentence, without its marks."""
    return re.findall(r"[a-z][a-z']*", sentence.lower())


def _tidy(raw: str) -> str | None:
    text = re.sub(r"\s+", " ", raw).strip()
    text = re.sub(r"\s+-+\s+|--+|;|:", ", ", text).replace("-", " ")
    text = re.sub(r"\s+", " ", re.sub(r"\s*,[\s,]*", ", ", text)).strip()
    if not MIN_CHARACTERS <= len(text) <= MAX_CHARACTERS or not _CLEAN.fullmatch(text):
        return None
    return None if re.search(r"\b[A-Z]{2,}\b|(^| )'|'( |[.?!]$)", text) else text


def _paragraphs() -> Iterator[str]:
    yield from _chatterbot()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        unpack_debian(root, _DEBIAN_PACKAGES)
        for file in sorted((root / "usr/share/games/fortunes").rglob("*")):
            if file.is_file() and not file.suffix and file.name not in _SKIPPED_FORTUNES:
                for fortune in file.read_text("utf-8", "ignore").split("\n%\n"):
                    yield re.split(r"\n\s+--", fortune)[0].replace("\n", " ")
        for file in sorted((root / "usr/share/doc/anarchism").rglob("*.html")):
            for block in re.split(r"</?p[^>]*>", file.read_text("utf-8", "ignore"), flags=re.I):
                yield html.unescape(_TAG.sub(" ", block))


def _chatterbot() -> Iterator[str]:
    import chatterbot_corpus
    import yaml

    folder = Path(chatterbot_corpus.__file__).parent / "data" / "english"
    for file in sorted(folder.glob("*.yml")):
        for conversation in yaml.safe_load(file.read_text("utf-8"))["conversations"]:
            for line in conversation:
                text = str(line).strip()
                yield text if text[-1:] in ".?!" else text + "."


def unpack_debian(root: Path, packages: tuple[str, ...]) -> None:
    """Unpack packages into a folder without installing them; InputError where that cannot be done."""
    with tempfile.TemporaryDirectory() as downloads:
        _run(["apt-get", "download", *packages], downloads)
        for package in Path(downloads).glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(root)], downloads)


def _run(command: list[str], folder: str) -> None:
    """Run a command in a folder; InputError with its own reason when it cannot do what it should."""
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = getattr(error, "stderr", "") or str(error)
        raise InputError(
            f"texts are made of Debian packages, and `{' '.join(command)}` failed: {reason.strip()}; stand on a Debian "
            "with package lists (`apt-get update`)"
        ) from error
