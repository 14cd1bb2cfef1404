import math

import pytest

from voicestack.runtime.errors import InputError
from voicestack.runtime.history import HistoryPolicy

AGEING = HistoryPolicy(((10, 32), (50, 8), (240, 3)))


def test_a_policy_is_read_as_people_write_it() -> None:
    """Bands are seconds and depth; `full` and `inf` stand for no end."""
    assert HistoryPolicy.parse("10:32,50:8,240:3") == AGEING
    assert HistoryPolicy.parse("10:32, inf:8").bands == ((10.0, 32), (math.inf, 8))
    assert HistoryPolicy.parse("full") == HistoryPolicy.parse("inf:32") == HistoryPolicy.full()


def test_only_the_full_policy_is_full() -> None:
    """A policy that drops or thins anything is not full."""
    assert HistoryPolicy.full().is_full
    assert not any(HistoryPolicy.parse(text).is_full for text in ("10:32", "10:32,inf:8", "inf:8"))


def test_edges_are_ages_in_frames() -> None:
    """Bands add up, a band is at least one frame long, and one without end has no edge."""
    assert AGEING.edges(12.5) == (125, 750, 3750)
    assert HistoryPolicy(((0.001, 32), (math.inf, 8))).edges(12.5) == (1, math.inf)
    assert HistoryPolicy(((1e308, 32), (1e308, 8))).edges(12.5) == (math.inf, math.inf)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a history is 'full', or bands such as"),
        ("10", "a history is 'full', or bands such as"),
        ("10:32,", "a history is 'full', or bands such as"),
        ("ten:32", "a history is 'full', or bands such as"),
        ("10:8.5", "a history is 'full', or bands such as"),
        ("0:32", "band 0: seconds must be a number above 0"),
        ("-1:32", "band 0: seconds must be a number above 0"),
        ("nan:32", "band 0: seconds must be a number above 0"),
        ("10:0", "band 0: depth must be a whole number from 1 to 32, got 0"),
        ("10:33", "band 0: depth must be a whole number from 1 to 32, got 33"),
        ("10:32,10:32", "band 1: depth must be a whole number from 1 to 31, got 32"),
        ("10:8,10:16", "band 1: depth must be a whole number from 1 to 7, got 16"),
        ("10:1,10:1", "band 1: nothing is shallower than depth 1"),
        ("inf:32,10:8", "band 0: only the last band may be without end"),
    ],
)
def test_a_bad_policy_is_one_clear_error(text: str, message: str) -> None:
    """What cannot be a policy says which band is wrong and what would do."""
    with pytest.raises(InputError, match=message):
        HistoryPolicy.parse(text)


@pytest.mark.parametrize("bands", [(), 5, ((1, 2, 3),), (7,), (("10", 32),), ((10, True),), ((10, 8.0),)])
def test_bands_of_a_wrong_kind_are_refused(bands: tuple[tuple[float, int], ...]) -> None:
    """Bands that are no pairs of numbers are an InputError, as those of wrong values are."""
    with pytest.raises(InputError, match="history"):
        HistoryPolicy(bands)
