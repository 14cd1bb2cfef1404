"""Prompts fed in pieces: what the caches hold, and what is generated behind them, is that of one go."""

import numpy as np
import pytest
from generator_cases import CASES, backbone, greedy, opened, prompts, reference

from voicestack.runtime.published.realtime_generator import RealtimeGenerator


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [1, 3, 7])
def test_pieces_of_any_size_leave_the_same_keys_values_and_hidden_state(case: str, size: int) -> None:
    """To 1e-5, for every family's backbone."""
    rows = reference(case)["prefill_ids"]
    whole, pieced = backbone(case), backbone(case)
    expected = whole.append(whole.cache.join(), rows)
    slot = pieced.cache.join()
    hidden = [pieced.append(slot, rows[start : start + size]) for start in range(0, len(rows), size)]
    np.testing.assert_allclose(hidden[-1], expected, rtol=0, atol=1e-5)
    for kind in ("keys", "values"):
        for one, other in zip(getattr(whole.cache, kind), getattr(pieced.cache, kind), strict=True):
            np.testing.assert_allclose(one[0, :, : len(rows)], other[0, :, : len(rows)], rtol=0, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_others_are_stepped_between_the_pieces_and_nobody_minds(case: str) -> None:
    """Both streams give the rows they would give if each had been prefilled in one go."""
    rows = reference(case)["prefill_ids"] if case == "realtime" else prompts(case, "clone")[0]

    def rows_of(size: int) -> list[np.ndarray]:
        generator = opened(case)
        (first,) = generator.prefill([rows[:-1]], greedy(), seed=1)
        (second,) = generator.open([rows], greedy(), seed=2)
        if isinstance(generator, RealtimeGenerator):
            generator.push_text(first, list(range(20)))
            generator.push_text(second, list(range(30, 50)))
        given, pieces = [], 1
        while generator.table.feed_part(second, size):
            given += generator.step([first])
            pieces += 1
        given += [row for _ in range(8 - pieces) for row in generator.step([first])]
        given += [row for _ in range(4) for row in generator.step([second])]
        return [row for row in given if row is not None]

    in_pieces, in_one_go = rows_of(-(-len(rows) // 4)), rows_of(len(rows))
    assert in_pieces
    np.testing.assert_array_equal(in_pieces, in_one_go)


def test_a_turn_given_up_before_its_prompt_was_fed_leaves_the_rest_of_the_prompt() -> None:
    """The next turn feeds what is left of it, and goes on as if there had been no other."""
    arrays, codes = reference("realtime"), []
    for given_up in (False, True):
        generator = opened("realtime")
        assert isinstance(generator, RealtimeGenerator)
        (stream,) = generator.open([arrays["turn1_ids"]], greedy())
        if given_up:
            generator.begin_turn(stream, arrays["turn2_ids"])
            generator.table.feed_part(stream, 5)
            generator.roll_back(stream)
            assert generator.table.fed(stream) == 5
        generator.begin_turn(stream, arrays["turn2_ids"])
        while generator.table.feed_part(stream, 6):
            pass
        generator.push_text(stream, arrays["text2"].tolist())
        generator.end_text(stream)
        codes.append(np.array([row for _ in range(5) for row in generator.step([stream]) if row is not None]))
    np.testing.assert_array_equal(codes[0], codes[1])
    assert len(codes[0])


def test_a_feed_that_breaks_off_feeds_nothing_of_anybody() -> None:
    """The step can be made again without the one it failed for."""
    (prompt,) = prompts("local", "clone")
    alone, shared = opened("local"), opened("local")
    (expected,) = alone.prefill([prompt], greedy(), seed=1)
    wanted = [alone.step([expected])[0] for _ in range(2)]
    one, bad = (shared.prefill([prompt], greedy(), seed=1)[0] for _ in range(2))
    first = shared.step([one])[0]
    bad.unfed = np.zeros((1, prompt.shape[1] + 1), np.int64)
    with pytest.raises(ValueError, match="broadcast"):
        shared.step([one, bad])
    for given, row in zip((first, shared.step([one])[0]), wanted, strict=True):
        assert given is not None
        assert row is not None
        np.testing.assert_array_equal(given, row)
