"""Where the recipe keeps its work and finds its sources."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from voicestack.runtime.errors import InputError

VOICE = Path(str(files("voicestack.runtime"))) / "voices" / "joe"
LEXICON = VOICE / "text.lexicon.xz"
KEPT = Path(__file__).with_name("kept")
if not KEPT.exists():
    # They are too heavy for an installed package, so then they are those of the clone that one stands in.
    KEPT = Path("onnx_export") / "training" / "kept"
WRITTEN = ("everyday", "unusual")
"""The held-out sets that were written for nothing else."""
_WEIGHTS = ("codec", "generator", "delay", "listener")
"""The stages whose folders hold weights."""
FIRST_VOICE = "joe"
"""The voice of a work folder that was never told another's name."""


def written_lines(name: str) -> list[str]:
    """The sentences of one of `WRITTEN`."""
    return Path(__file__).with_name(f"{name}.txt").read_text("utf-8").splitlines()


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Where to write what shall be at `path` only once it is whole; two processes that write it do not meet.

    The name's ending stays, because numpy would add one of its own.
    """
    aside = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        yield aside
        aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The folder that holds everything a training run makes (`--work`)."""

    root: Path

    @property
    def voice_name(self) -> str:
        """The name of the voice that is trained here."""
        return self._name_file.read_text("utf-8").strip() if self._name_file.exists() else FIRST_VOICE

    def name_voice(self, name: str) -> None:
        """Make this the work folder of a voice; InputError when it holds the work of another."""
        begun = [self._name_file, self.shards, *(self.root / stage for stage in _WEIGHTS)]
        if name != self.voice_name and any(path.exists() for path in begun):
            raise InputError(
                f"{self.root} is the work folder of {self.voice_name}; give another --work to train {name}"
            )
        self.root.mkdir(parents=True, exist_ok=True)
        self._name_file.write_text(name + "\n", "utf-8")

    @property
    def sentences(self) -> Path:
        """The corpus sentences, shuffled; the first hundred are held out."""
        return self.root / "sentences.txt"

    @property
    def dictionary(self) -> Path:
        """Sentences of a dictionary, shuffled."""
        return self.root / "dictionary.txt"

    @property
    def shards(self) -> Path:
        """The folder of spoken shards."""
        return self.root / "shards"

    def shard_files(self, kind: str = "shard") -> list[Path]:
        """The finished shards' `.jsonl` files of one kind, in order."""
        return sorted(self.shards.glob(f"{kind}_*.jsonl"))

    @property
    def _name_file(self) -> Path:
        return self.root / "voice.txt"

    def evaluation(self, voice: str) -> Path:
        """The file that says how a voice of this name was judged, once it was."""
        return self.root / "evaluate" / f"evaluation_{voice}.json"

    def stage(self, name: str) -> Path:
        """The folder of one stage's checkpoints, logs and plots; made when missing."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path
