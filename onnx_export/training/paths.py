"""Where the recipe keeps its work and finds its sources."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

VOICE = Path(str(files("voicestack.runtime"))) / "voices" / "joe"
LEXICON = VOICE / "text.lexicon.xz"
EVERYDAY = Path(__file__).with_name("everyday.txt")


@dataclass(frozen=True, slots=True)
class WorkFolder:
    """The folder that holds everything a training run makes (`--work`)."""

    root: Path

    @property
    def sentences(self) -> Path:
        """The corpus sentences, shuffled; the first hundred are held out."""
        return self.root / "sentences.txt"

    @property
    def shards(self) -> Path:
        """The folder of spoken shards."""
        return self.root / "shards"

    def shard_files(self) -> list[Path]:
        """The finished shards' `.jsonl` files, in order."""
        return sorted(self.shards.glob("shard_*.jsonl"))

    def stage(self, name: str) -> Path:
        """The folder of one stage's checkpoints, logs and plots; made when missing."""
        path = self.root / name
        path.mkdir(parents=True, exist_ok=True)
        return path
