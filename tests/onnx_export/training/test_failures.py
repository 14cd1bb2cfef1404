import json
from pathlib import Path

import pytest

from voicestack.onnx_export.training.failures import KINDS, Failures, failures_of, summarise, table
from voicestack.onnx_export.training.hearing import hearing, places_of
from voicestack.onnx_export.training.speech import SpokenWord

TEXT = "Please put the cat on the mat now."


def record(text: str, heard: str, **more: object) -> dict[str, object]:
    return {
        "text": text,
        "heard": heard,
        "words": 8,
        "edits": 1,
        "seconds": 3.0,
        "runaway": False,
        "capped": False,
        "said": [],
        "doubts": [],
        **more,
    }


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
    assert failures_of(record(TEXT, heard), record(TEXT, TEXT)) == expected


@pytest.mark.parametrize(
    "heard",
    ["Please put the cat on the", "Peas put the cut on the mat now", "Please put the cat on the mat mat mat now"],
)
def test_what_the_teacher_shows_too_is_no_failure(heard: str) -> None:
    """The same thing heard of both is the recogniser's affair."""
    assert failures_of(record(TEXT, heard), record(TEXT, TEXT)) != Failures()
    assert failures_of(record(TEXT, heard), record(TEXT, heard)) == Failures()


def test_a_skip_counts_where_the_teacher_was_only_misheard() -> None:
    """A word that is not there at all is worse than one that was heard as another."""
    ours, theirs = (record(TEXT, f"Please put the cat on the {word} now") for word in ("", "map"))
    assert failures_of(ours, theirs).skips == (1,)


def test_a_word_that_the_second_recogniser_hears_was_not_skipped() -> None:
    """It was said badly; of two words of which one was said, the other is still skipped."""
    ours, theirs = record(TEXT, "Please put on the mat now", said=[3]), record(TEXT, TEXT)
    assert failures_of(ours, theirs) == Failures(skips=(1,), wrong=1)
    assert failures_of(theirs, ours) == Failures()
    assert failures_of({**ours, "said": [2, 3]}, theirs) == Failures(wrong=2)
    assert failures_of(record(TEXT, "Please put on the mat now"), ours).skips == (1,)


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
    ours, theirs = record(text, heard), record(text, text)
    assert failures_of(ours, theirs) == failures_of(theirs, ours) == Failures()


def test_words_run_together_are_wrong_and_not_missing() -> None:
    """Two words heard as a longer one are both wrong: their sound was there."""
    text = "We have that jacket in blue"
    assert failures_of(record(text, "We have tecrican blue"), record(text, text)) == Failures(wrong=3)


def test_spoken_words_have_the_places_of_what_they_say() -> None:
    """A contraction is one word to a recogniser that knows words, and two where fates are told."""
    words = [SpokenWord(word, ()) for word in ("they", "can't", "pay", "five")]
    assert places_of("They can't pay 5.", words) == [range(1), range(1, 3), range(3, 4), range(4, 5)]
    assert places_of("They can't pay 6.", words) is None


def test_words_are_added_only_where_much_more_is_heard() -> None:
    """One word heard as two is wrong; one heard as a whole phrase has words added to it."""
    assert hearing("a manila envelope", "a manila enbull open").added == {}
    assert hearing("a manila envelope", "a manila envelope of the greatest beauty").added == {3: 4}


def test_summary_counts_sentences_and_names_the_worst() -> None:
    """Voice and, exchanged, teacher are counted kind by kind; a runaway is worse than any words."""
    pairs = [
        (record(TEXT, "Please put on the mat", doubts=[["cat", "unclear"]]), record(TEXT, TEXT)),
        (record(TEXT, "Please the cat on the mat now", said=[1]), record(TEXT, TEXT)),
        (record(TEXT, TEXT, runaway=True), record(TEXT, "Please put the cut on the mat now")),
        (record(TEXT, TEXT), record(TEXT, TEXT)),
    ]
    summary = summarise(pairs)
    assert {kind: n for kind, n in summary["voice"].items() if n} == {
        "skip of a word or more": 1,
        "skip of two words or more": 1,
        "truncated ending": 1,
        "wrong words": 1,
        "runaway": 1,
        "any failure": 3,
    }
    assert {kind: n for kind, n in summary["teacher_exchanged"].items() if n} == {"wrong words": 1, "any failure": 1}
    assert [item["failures"][-1] for item in summary["worst"]] == ["runaway", "truncated ending", "wrong words"]
    assert summary["skips_of_the_first_recogniser"] == {"voice": 2, "teacher_exchanged": 0}
    assert summary["doubts"] == {"failed": 3, "failed_doubted": 1, "others": 1, "others_doubted": 0}
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
    before = unseen(folder, 360)
    trained = {sentence.text for sentence in before if sentence.group == "made"}
    assert len(trained) == 60
    lines = [json.dumps({"text": text.rstrip(".?!") + "!"}) + "\n" for text in trained]
    shard.write_text("".join(lines[:40]), "utf-8")
    shard.with_name("marked_0000.jsonl").write_text("".join(lines[40:]), "utf-8")
    after = unseen(folder, 360)
    assert after[:300] == before[:300]
    assert not trained & {sentence.text for sentence in after}
