import numpy as np
import pytest

pytest.importorskip("torch")

from voicestack.onnx_export.training.examples import Example, Examples  # noqa: E402

pytestmark = pytest.mark.torch


def utterance(mark: str, frames: int) -> Example:
    return Example([("so", ("S", "OW1"), mark)], [0.0, 0.1, 0.2], 1.0, np.zeros((frames, 32), np.int16))


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
    """It is for validation."""
    examples = object.__new__(Examples)
    examples._shards = {"0": [utterance(".", 10)] * 100, "1": [utterance(".", 20)] * 100}
    assert {len(example.codes) for example in examples.batch(np.random.default_rng(0), 500)} == {20}
