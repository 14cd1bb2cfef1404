"""What a dictionary says of its words, and how it uses them: words that neither assistants nor essays would ever meet.

Source: Debian `wordnet-base` (WordNet 3.0, Princeton University; a licence like BSD's), whose files are told of in its
manual page wndb(5). A voice that has heard the usual words only says others badly: `unusual.txt` is heard of it.
"""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from voicestack.runtime.text.lexicon import Lexicon

from .corpus import clean, unpack_debian

_PACKAGE = "wordnet-base"
_FILES = ("data.noun", "data.verb", "data.adj", "data.adv")
_RUDE = re.compile(r"offens|disparag|obscen|vulgar|slur|derogat|pejorat|sexual|genital|prostitut|excre|coitus|insult")
_MARK_OF_A_WORD = re.compile(r"\((?:a|p|ip)\)$")
"""Where an adjective may stand, behind its spelling."""


def sentences(lexicon: Lexicon) -> list[str]:
    """Clean sentences in the dictionary's order."""
    with tempfile.TemporaryDirectory() as folder:
        unpack_debian(Path(folder), (_PACKAGE,))
        files = (Path(folder) / "usr/share/wordnet" / name for name in _FILES)
        lines = (line for file in files for line in file.read_text("utf-8", "ignore").splitlines())
        return clean((raw for line in lines for raw in said_of(line)), lexicon)


def said_of(line: str) -> Iterator[str]:
    """The sentences of one line of a data file: the first word with its definition, and the examples."""
    fields, bar, gloss = line.partition(" | ")
    if not bar or line.startswith(" ") or _RUDE.search(gloss):
        return
    word = _MARK_OF_A_WORD.sub("", fields.split()[4]).replace("_", " ")
    definition = " ".join(re.sub(r'"[^"]*"?|\([^)]*\)', "", gloss).split(";")[0].split())
    if definition:
        yield _closed(f"{word}, {definition}")
    for example in re.findall(r'"([^"]+)"', gloss):
        if " " in example:
            yield _closed(example)


def _closed(text: str) -> str:
    """A sentence that begins with a capital and has a mark at its end."""
    text = text.strip(" ,;.")
    return text[:1].upper() + text[1:] + ("" if text.endswith(("?", "!")) else ".")
