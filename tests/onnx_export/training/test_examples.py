from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from voicestack.onnx_export.training.examples import Example, Examples, written  # noqa: E402
from voicestack.onnx_export.training.paths import WorkFolder  # noqa: E402
from voicestack.runtime.errors import InputError  # noqa: E402

pytestmark = pytest.mark.torch


def utterance(mark: str, frames: int, length_scale: float = 1.0) -> Example:
    return Example([("so", ("S", "OW1"), mark)], [0.0, 0.1, 0.2], length_scale, np.zeros((frames, 32), np.int16))


def test_questions_are_drawn_more_often_than_they_are_said() -> None:
    """A fifth of the speech is asked or exclaimed, of a batch more than a third; every batch is of similar lengths."""
    draws = np.random.default_rng(0)
    examples = object.__new__(Examples)
    examples._shards = {
        str(shard): [utterance("?!..,,...."[place % 10], int(draws.integers(10, 100))) for place in range(100)]
        for shard in range(20)
    }
    batches = [examples.batch(draws, 3000) for _ in range(50)]
    raised = np.mean([example.is_raised for batch in batches for example in batch])
    assert 0.35 < raised < 0.5
    lengths = [[len(example.codes) for example in batch] for batch in batches]
    assert np.median([max(batch) - min(batch) for batch in lengths]) < 25
    assert all(3000 <= sum(batch) < 3100 for batch in lengths)


def test_the_first_shard_is_never_trained_on() -> None:
    """It is for validation; beside it stand utterances that are trained on."""
    examples = object.__new__(Examples)
    examples._shards = {"0": [utterance(".", 10)] * 100, "1": [utterance(".", 20)] * 100}
    assert {len(example.codes) for example in examples.batch(np.random.default_rng(0), 500)} == {20}
    assert {len(example.codes) for example in examples.validation()} == {10}
    assert {len(example.codes) for example in examples.known()} == {20}


def test_what_a_bundle_says_of_its_lengths_is_that_of_the_usual_rate() -> None:
    """Hours are those of all speech; how long a token and a tail last is of what was said at the usual rate."""
    examples = object.__new__(Examples)
    examples._shards = {"0": [utterance(".", 10), utterance(".", 14), utterance(".", 450, 1.4)]}
    # One token of phones, a mark, the end; the mark sounds in frame 2, and so all is cued before frame 1.
    assert examples.facts() == {"hours": 0.01, "frames_per_token": 4.0, "tail_frames": 11.0}


def of_codec(folder: Path, codebook: float = 1) -> Any:
    """Examples of a codec whose codebooks are all of one number; nothing is read yet."""
    examples = object.__new__(Examples)
    parts: dict[str, Any] = {
        "_folder": WorkFolder(folder), "_kind": "shard", "_shards": {},
        "_quantiser": SimpleNamespace(codebooks=torch.full((2,), codebook)),
        "_encoder": SimpleNamespace(config=SimpleNamespace(frame_samples=1920)),
    }  # fmt: skip
    examples.__dict__.update(parts)
    return examples


def shard_of(folder: Path, *sizes: int) -> Path:
    """A shard of silence, of so many samples each."""
    path = folder / "shard_0001.jsonl"
    np.savez(path.with_suffix(".npz"), pcm=np.zeros(sum(sizes), np.int16), ends=np.cumsum(sizes))
    return path


def test_codes_are_kept_of_each_codec_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once made they are read; another codec's are made anew, and half a file of a run that broke off is no file."""
    made: list[float] = []

    def shard_by(codebook: float) -> float:
        examples = of_codec(tmp_path, codebook)

        def encode(_: object) -> NDArray[np.int16]:
            made.append(codebook)
            return np.full((3, 2), codebook, np.int16)

        monkeypatch.setattr(examples, "encode", encode)
        codes = np.concatenate(examples._encoded(shard_of(tmp_path, 3 * 1920 - 5, 3 * 1920 - 5)))
        assert codes.shape == (6, 2)
        return float(codes[0, 0])

    assert [shard_by(codebook) for codebook in (1, 2, 1)] == [1, 2, 1]
    assert made == [1, 1, 2, 2]
    (kept,) = (path for path in (tmp_path / "codes").rglob("*.npz") if np.load(path)["codes"][0, 0] == 1)
    kept.rename(kept.with_suffix(".77.npz"))
    assert shard_by(1) == 1
    assert made == [1, 1, 2, 2, 1, 1]


def test_a_shard_that_was_made_anew_is_encoded_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its codes would be those of other sound; those of a shard that stayed as it was are read."""
    examples = of_codec(tmp_path)
    made: list[int] = []

    def encode(pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        made.append(pcm.size)
        return np.zeros((-(-pcm.size // 1920), 2), np.int16)

    monkeypatch.setattr(examples, "encode", encode)
    for sizes in ((5000, 1920), (5000, 1920), (1920, 5000), (1920,)):
        codes = examples._encoded(shard_of(tmp_path, *sizes))
        assert [len(stack) for stack in codes] == [-(-size // 1920) for size in sizes]
    assert made == [5000, 1920, 1920, 5000, 1920]
    np.savez(tmp_path / "shard_0001.npz", ends=[1920])
    assert len(examples._encoded(tmp_path / "shard_0001.jsonl")) == 1, "sound is read only where it is to be encoded"


def test_a_folder_without_shards_is_told(tmp_path: Path) -> None:
    """Before the first step, by what is missing."""
    with pytest.raises(InputError, match="holds too few shards"):
        of_codec(tmp_path).refresh()


def test_what_is_said_at_another_rate_carries_its_length() -> None:
    """All of it, of the rest a third: without a length nothing but the usual rate is ever learned."""
    shares = {}
    for length_scale in (1.0, 0.8, 1.3):
        rows = written([utterance(".", 12, length_scale)] * 400, np.random.default_rng(0))
        shares[length_scale] = np.mean([row.text_ids[0, 2] > 0 for row in rows])
    assert 0.25 < shares.pop(1.0) < 0.45
    assert set(shares.values()) == {1.0}
