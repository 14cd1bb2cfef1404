import json
from pathlib import Path

import pytest

from voicestack.onnx_export.training.failures import KINDS, Failures, failures_of, hearing, summarise, table

TEXT = "Please put the cat on the mat now."


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        (TEXT, Failures()),
        ("Please put the cat the mat now", Failures(skips=(1,))),
        ("Please put on the mat now", Failures(skips=(2,))),
        ("Please the cat on the mat", Failures(skips=(1, 1), truncated=True)),
        ("Please put the cat on the", Failures(skips=(2,), truncated=True)),
        ("put the cat on the mat now", Failures(skips=(1,), clipped=True)),
        ("Peas put the cat on the mat now", Failures(wrong=1, clipped=True)),
        ("Please put the cut on the map now", Failures(wrong=2)),
        ("Please put the cat on the mat mat now", Failures(repeated=1)),
        ("Please put the cat put the cat on the mat now", Failures(repeated=3)),
        ("Please put the cat on the mat now and then", Failures(added=2)),
        ("", Failures(skips=(8,), truncated=True, clipped=True)),
    ],
)
def test_each_failure_is_found(heard: str, expected: Failures) -> None:
    """Every way to go wrong is told from the others, by its words."""
    assert failures_of(TEXT, heard, TEXT) == expected


@pytest.mark.parametrize(
    "heard",
    ["Please put the cat on the", "Peas put the cut on the mat now", "Please put the cat on the mat mat mat now"],
)
def test_what_the_teacher_shows_too_is_no_failure(heard: str) -> None:
    """The same thing heard of both is the recogniser's affair."""
    assert failures_of(TEXT, heard, TEXT) != Failures()
    assert failures_of(TEXT, heard, heard) == Failures()


def test_a_skip_counts_where_the_teacher_was_only_misheard() -> None:
    """A word that is not there at all is worse than one that was heard as another."""
    assert failures_of(TEXT, "Please put the cat on the now", "Please put the cat on the map now").skips == (1,)


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("Fasten the seat belts.", "fasten the seatbelts"),
        ("The airport is near.", "the air port is near"),
        ("There is a bus, and we are late.", "There's a bus and we're late"),
        ("It costs $23.50.", "it costs twenty three dollars and fifty cents"),
        ("Spell it A B C.", "Spell it ABC."),
    ],
)
def test_another_spelling_is_no_failure(text: str, heard: str) -> None:
    """Compounds, contractions, figures and letters are right however the recogniser writes them."""
    assert failures_of(text, heard, text) == failures_of(text, text, heard) == Failures()


def test_words_run_together_are_wrong_and_not_missing() -> None:
    """Two words heard as a longer one are both wrong: their sound was there."""
    found = failures_of("We have that jacket in blue", "We have tecrican blue", "We have that jacket in blue")
    assert found == Failures(wrong=3)


def test_words_are_added_only_where_much_more_is_heard() -> None:
    """One word heard as two is wrong; one heard as a whole phrase has words added to it."""
    assert hearing("a manila envelope", "a manila enbull open").added == {}
    assert hearing("a manila envelope", "a manila envelope of the greatest beauty").added == {3: 4}


def record(text: str, heard: str, **more: object) -> dict[str, object]:
    return {
        "text": text,
        "heard": heard,
        "words": 8,
        "edits": 1,
        "seconds": 3.0,
        "runaway": False,
        "capped": False,
        **more,
    }


def test_summary_counts_sentences_and_names_the_worst() -> None:
    """Voice and, exchanged, teacher are counted kind by kind; a runaway is worse than any words."""
    pairs = [
        (record(TEXT, "Please put on the mat"), record(TEXT, TEXT)),
        (record(TEXT, TEXT, runaway=True), record(TEXT, "Please put the cut on the mat now")),
        (record(TEXT, TEXT), record(TEXT, TEXT)),
    ]
    summary = summarise(pairs)
    assert {kind: n for kind, n in summary["voice"].items() if n} == {
        "skip of a word or more": 1,
        "skip of two words or more": 1,
        "truncated ending": 1,
        "runaway": 1,
        "any failure": 2,
    }
    assert {kind: n for kind, n in summary["teacher_exchanged"].items() if n} == {"wrong words": 1, "any failure": 1}
    assert [item["failures"][-1] for item in summary["worst"]] == ["runaway", "truncated ending"]
    assert all(kind in table(summary) for kind in KINDS)


def test_no_sentence_was_trained_on(tmp_path: Path) -> None:
    """Texts of the shards are left out whatever marks they end with, and the same seed gives the same sentences."""
    pytest.importorskip("torch", reason="the `export` extra is not installed")
    pytest.importorskip("tqdm", reason="the `export` extra is not installed")
    pytest.importorskip("faster_whisper", reason="the `train` extra is not installed")
    pytest.importorskip("soxr", reason="the `train` extra is not installed")
    from voicestack.onnx_export.training.failures import unseen
    from voicestack.onnx_export.training.paths import WorkFolder

    folder = WorkFolder(tmp_path)
    folder.shards.mkdir()
    corpus = ["The garden is open."] * 100 + ["The window is green."] * 5
    folder.sentences.write_text("\n".join(corpus) + "\n", "utf-8")
    shard = folder.shards / "shard_0000.jsonl"
    shard.write_text(json.dumps({"text": "Nothing like it."}) + "\n", "utf-8")
    before = unseen(folder, 260)
    trained = {sentence.text for sentence in before if sentence.group == "made"}
    assert len(trained) == 60
    shard.write_text("".join(json.dumps({"text": text.rstrip(".?!") + "!"}) + "\n" for text in trained), "utf-8")
    after = unseen(folder, 260)
    assert after[:200] == before[:200]
    assert not trained & {sentence.text for sentence in after}
