import pytest

from voicestack.onnx_export.training.summary import summarise, word_error_rate
from voicestack.onnx_export.training.word_errors import align, word_errors


@pytest.mark.parametrize(
    ("heard", "edits", "deleted", "inserted"),
    [
        ("The cat sat on the mat.", 0, 0, 0),
        ("the CAT sat on a mat", 1, 0, 0),
        ("the cat mat", 3, 3, 0),
        ("the cat sat sat on on the mat", 2, 0, 1),
        ("", 6, 6, 0),
    ],
)
def test_errors_are_counted(heard: str, edits: int, deleted: int, inserted: int) -> None:
    """Substitutions, left-out and added words are counted, and the longest runs of the last two."""
    errors = word_errors("The cat sat on the mat", heard)
    assert (errors.edits, errors.longest_deletion, errors.longest_insertion) == (edits, deleted, inserted)


def test_alignment_keeps_the_order_of_both() -> None:
    """Every word of either side is in one pair, words that agree stand together, and None stands for the other side."""
    pairs = align("the cat sat on".split(), "a the cat on".split())
    assert pairs == [(None, "a"), ("the", "the"), ("cat", "cat"), ("sat", None), ("on", "on")]


def test_numbers_are_compared_as_spoken() -> None:
    """Digits and words for the same number are no error."""
    assert word_errors("It costs $23.50.", "it costs twenty three dollars and fifty cents").edits == 0


@pytest.mark.parametrize("heard", ["4829-17", "482917.", "4-8-2-9-1-7", "four eight two nine 1 7", "4829 1 7"])
def test_digits_written_together_are_digits(heard: str) -> None:
    """A recogniser may write spelled digits as one number or as a phone number."""
    assert word_errors("Your code is 4 8 2 9 1 7.", f"Your code is {heard}").edits == 0


@pytest.mark.parametrize("heard", ["It's 707 now.", "It's 7.07 now.", "It's 7:07 now.", "it's seven oh seven now"])
def test_a_time_written_as_a_number_is_a_time(heard: str) -> None:
    """A recogniser may leave out the colon of a time, or write a point."""
    assert word_errors("It's 7:07 now.", heard).edits == 0


@pytest.mark.parametrize("meant", ["All right, we leave at 8:45pm.", "Alright, we leave at eight forty five P M."])
@pytest.mark.parametrize("heard", ["Alright, we leave at 8.45pm.", "All right we leave at 8:45 PM"])
def test_one_word_or_two_is_no_error(meant: str, heard: str) -> None:
    """All right sounds as alright does."""
    assert word_errors(meant, heard).edits == 0


@pytest.mark.parametrize(
    ("meant", "heard", "edits"),
    [
        ("Your code is 4 8 2 9.", "Your code is 4,829.", 4),
        ("Your code is 4 8 2 9.", "Your code is 4828.", 1),
        ("Your code is 4 8 2 9.", "Your code is 429.", 1),
        ("It was in 2024.", "It was in 2024.", 0),
        ("It was in 2024.", "It was in 2034.", 1),
        ("It costs $482.", "It costs 4 8 2.", 4),
        ("It costs $4.82.", "It costs $4.82.", 0),
        ("It costs $4.82.", "It costs 4.82.", 3),
        ("It is 4.82 miles.", "It is 4.82 miles.", 0),
        ("It is 4.82 miles.", "It is 4.81 miles.", 1),
    ],
)
def test_other_numbers_are_no_digits(meant: str, heard: str, edits: int) -> None:
    """Thousands are no digits, a wrong or missing digit is one error, and digits are not said for a number."""
    assert word_errors(meant, heard).edits == edits


def test_summary_counts_skips_beyond_the_teachers() -> None:
    """A run of missing words is a skip unless the recogniser missed as many of the teacher's."""
    base = {"group": "everyday", "words": 10, "edits": 2, "longest_insertion": 0, "seconds": 1.0}
    teacher = [{**base, "system": "teacher", "index": index, "longest_deletion": 2 * index} for index in range(2)]
    voice = [
        {
            **base,
            "system": "voice",
            "index": i,
            "longest_deletion": 2,
            "similarity": 0.9,
            "runaway": False,
            "capped": False,
        }
        for i in range(2)
    ]
    summary = summarise([*teacher, *voice], {})
    assert summary["failures"]["skips"] == 1
    assert summary["wer_percent"]["voice_everyday"] == word_error_rate(voice) == 20.0


def test_a_summary_is_of_all_sayings() -> None:
    """Rates and counts are of each saying, however it is named; of a sentence's similarities the mean counts."""
    same = {"group": "corpus", "words": 10, "longest_insertion": 0, "longest_deletion": 0, "seconds": 1.0}
    said = [("teacher", 0, 1), ("teacher_2", 0, 2), ("voice", 0, 2), ("voice_2", 0, 5), ("codec_2", 0, 9)]
    records = [
        {**same, "system": system, "index": index, "edits": edits, "similarity": 0.7 + edits / 50, "runaway": edits > 4}
        | {"capped": False}
        for system, index, edits in said
    ]
    summary = summarise(records, {})
    assert (summary["sentences"], summary["sayings"]) == (1, 2)
    assert summary["wer_percent"]["teacher_corpus"] == 15.0
    assert summary["wer_percent"]["voice_corpus"] == 35.0
    assert summary["similarity"] == {"mean": 0.77, "minimum": 0.77}
    assert summary["failures"]["runaways"] == 1
