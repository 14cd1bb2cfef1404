"""The backbone graphs against the hidden states of the published code."""

import numpy as np
import pytest
from generator_cases import CASES, backbone, exported, prefill_hidden, reference

TOLERANCE = 1e-4


@pytest.mark.parametrize("case", CASES)
def test_the_hidden_state_behind_every_row_is_the_published_one(case: str) -> None:
    """Row after row through the caches, rows of text, of codes and of pads among them."""
    expected = reference(case)["prefill_hidden_layers"][-1]
    np.testing.assert_allclose(prefill_hidden(case), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("case", CASES)
def test_chunks_of_any_length_give_what_single_rows_give(case: str) -> None:
    """A prompt at once, or in uneven pieces."""
    rows, expected = reference(case)["prefill_ids"], prefill_hidden(case)
    for sizes in ([len(rows)], [1, 7, 2, len(rows) - 10]):
        graph = backbone(case)
        slot, end = graph.cache.join(), 0
        for size in sizes:
            hidden = graph.append(slot, rows[end : end + size])
            end += size
            np.testing.assert_allclose(hidden, expected[end - 1], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_streams_of_different_length_share_a_step(case: str) -> None:
    """Three streams, one of them idle; what others left in the caches is never read."""
    rows, expected = reference(case)["prefill_ids"], prefill_hidden(case)
    graph = backbone(case, slots=3)
    for buffer in (*graph.cache.keys, *graph.cache.values):
        buffer[:] = np.nan
    for slot, length in enumerate((5, 9, 2)):
        assert graph.cache.join() == slot
        graph.append(slot, rows[:length])
    hidden = graph.step([0, 2], [rows[5], rows[2]])
    np.testing.assert_allclose(hidden, expected[[5, 2]], rtol=0, atol=1e-5)
    hidden = graph.step([0, 1, 2], [rows[6], rows[9], rows[3]])
    np.testing.assert_allclose(hidden, expected[[6, 9, 3]], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_a_null_code_contributes_nothing(case: str) -> None:
    """Where the pad contributes nothing either they are one code; else they differ."""
    info = exported(case)[1]
    rows = reference(case)["prefill_ids"][:4].copy()
    rows[:, 1:] = info.ids.audio_pad
    nulls = rows.copy()
    nulls[:, 1:] = info.null_code
    hidden = []
    for some in (rows, nulls):
        graph = backbone(case)
        hidden.append(graph.append(graph.cache.join(), some))
    same = np.array_equal(hidden[0], hidden[1])
    assert same == (info.ids.audio_pad == info.null_code)
