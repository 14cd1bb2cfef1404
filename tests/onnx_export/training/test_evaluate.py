from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="the `export` extra is not installed")
pytest.importorskip("tqdm", reason="the `export` extra is not installed")
pytest.importorskip("soxr", reason="the `train` extra is not installed")

from voicestack.onnx_export.training.evaluate import Job, Results, Sentence, _jobs

HELLO, GOODBYE = Sentence("everyday", 0, "Hello."), Sentence("everyday", 1, "Goodbye.")


def jobs(done: list[str], *sentences: Sentence) -> list[Job]:
    def measure(sentence: Sentence) -> Callable[[], dict[str, Any]]:
        def note() -> dict[str, Any]:
            done.append(sentence.text)
            return {"edits": len(done)}

        return note

    return [("voice", sentence, measure(sentence)) for sentence in sentences]


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """What an earlier run has measured is read, and only the rest is measured."""
    done: list[str] = []
    Results(tmp_path / "results.jsonl", lambda _: "a").measure(jobs(done, HELLO), "first")
    results = Results(tmp_path / "results.jsonl", lambda _: "a")
    records = results.measure(jobs(done, HELLO, GOODBYE), "second")
    assert done == ["Hello.", "Goodbye."]
    assert [record["edits"] for record in records] == [1, 2]
    assert results.measure(jobs(done, GOODBYE), "fewer") == records[1:]


@pytest.mark.parametrize(("key", "sentence"), [("b", HELLO), ("a", Sentence("everyday", 0, "Hello there."))])
def test_other_weights_or_another_text_are_measured_anew(tmp_path: Path, key: str, sentence: Sentence) -> None:
    """A line holds for the weights it was measured with, and for the text that had its place then."""
    done: list[str] = []
    Results(tmp_path / "results.jsonl", lambda _: "a").measure(jobs(done, HELLO), "first")
    results = Results(tmp_path / "results.jsonl", lambda _: key)
    assert results.find("voice", sentence) is None
    results.measure(jobs(done, sentence), "second")
    assert len(done) == 2
    found = results.find("voice", sentence)
    assert found is not None
    assert (found["text"], found["weights"]) == (sentence.text, key)


def test_each_sentence_is_said_three_times_by_voice_and_teacher() -> None:
    """Each saying has a name of its own; the codec and lengths that are asked for are judged once."""

    def say(_: Sentence, saying: int = 0) -> dict[str, Any]:
        return {"saying": saying}

    bench: Any = SimpleNamespace(judge_teacher=say, judge_voice=say, judge_duration=say, judge_codec=say)
    made = [(name, sentence.text, measure()["saying"]) for name, sentence, measure in _jobs(bench, [HELLO, GOODBYE])]
    assert len({(name, text) for name, text, _ in made}) == len(made)
    said = [(name, saying) for name, text, saying in made if text == "Hello." and name[0] in "tv"]
    assert said == [(f"{who}{n}", i) for i, n in enumerate(("", "_2", "_3")) for who in ("teacher", "voice")]
    assert [name for name, text, _ in made if text == "Hello." and name == "duration"] == ["duration"]
