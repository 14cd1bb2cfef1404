import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from voicestack.onnx_export.training.batches import collate_delay, collate_local, delayed  # noqa: E402
from voicestack.onnx_export.training.examples import Example  # noqa: E402

pytestmark = pytest.mark.torch

N_VQ = 4


def examples(*frames: int) -> list[Example]:
    """One word each, of so many frames, whose codes all differ."""
    words: list[tuple[str, tuple[str, ...], str]] = [("hello", ("HH", "AH0", "L", "OW1"), ".")]
    return [
        Example(words, [0.05, 0.1, 0.2, 0.3, 0.4], 1.0, np.arange(count * N_VQ).reshape(count, N_VQ).astype(np.int16))
        for count in frames
    ]


@given(st.integers(1, 40), st.integers(1, 8))
def test_layer_j_of_a_frame_is_delayed_by_j_rows(rows: int, n_vq: int) -> None:
    """Every code that has room is found j rows on, and nothing else is there."""
    stacks = np.arange(rows * n_vq).reshape(1, rows, n_vq)
    moved = delayed(stacks)
    for row in range(rows):
        for layer in range(n_vq):
            expected = stacks[0, row - layer, layer] if row >= layer else 1024
            assert moved[0, row, layer] == expected


def test_a_delay_batch_makes_every_code_of_every_frame_once() -> None:
    """The flush behind the end makes room for the last layer of the last frame, whatever else is in the batch."""
    batch = collate_delay(examples(12, 7), np.random.default_rng(0))
    for place, frames in enumerate((12, 7)):
        made = batch.codes[place][batch.codes[place] != 1024]
        assert sorted(made.tolist()) == list(range(frames * N_VQ))


def test_the_history_of_a_batch_is_what_was_made_a_row_before() -> None:
    """For both heads the row behind sees the codes that this one makes, and nothing is scored in the padding."""
    for collate in (collate_local, collate_delay):
        batch = collate(examples(12, 7), np.random.default_rng(0))
        assert (batch.history[:, 1:] == batch.codes[:, :-1]).all()
        assert (batch.channel >= 0).sum() == 12 + 1 + 7 + 1
