import random
from itertools import islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("tqdm", reason="the `export` extra is not installed")
pytest.importorskip("soxr", reason="the `export` extra is not installed")

from voicestack.onnx_export.specs import GeneratorConfig  # noqa: E402
from voicestack.onnx_export.training import data, marked_speech, marks  # noqa: E402
from voicestack.onnx_export.training.examples import Example  # noqa: E402
from voicestack.onnx_export.training.generator_model import LocalGenerator  # noqa: E402
from voicestack.onnx_export.training.paths import LEXICON, WorkFolder  # noqa: E402
from voicestack.onnx_export.training.progress import Checkpoint  # noqa: E402
from voicestack.onnx_export.training.prosody_text import lines  # noqa: E402
from voicestack.runtime.cue_clock import COLUMN_STARTS  # noqa: E402
from voicestack.runtime.text import Lexicon  # noqa: E402
from voicestack.runtime.text.phones import UNIT_IDS  # noqa: E402

pytestmark = pytest.mark.torch

CONFIG = GeneratorConfig(d_model=32, layers=1, heads=2, kv_heads=1, head_dim=16, ffn=32, local_d=32, local_heads=2)
ROWS = [COLUMN_STARTS[1] + UNIT_IDS[unit] for unit in ("<none>", "?", "!")]


def hello(mark: str) -> Example:
    codes = np.random.default_rng(UNIT_IDS[mark]).integers(0, CONFIG.codebook, (40, CONFIG.n_vq)).astype(np.int16)
    return Example([("hello", ("HH", "AH0", "L", "OW1"), mark)], [0.05, 0.1, 0.2, 0.3, 0.4], 1.0, codes)


@pytest.fixture
def learned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[LocalGenerator, dict[str, Any], str]:
    """A generator as it was, what the stage made of its checkpoint in three steps, and the log of the stage."""
    torch.manual_seed(0)
    books = torch.randn(CONFIG.n_vq, CONFIG.codebook, CONFIG.latent)
    before, trained = (LocalGenerator(CONFIG, books) for _ in "ab")
    with torch.no_grad():
        for parameter in before.parameters():
            parameter.normal_(std=0.1)
    trained.load_state_dict(before.state_dict())
    questions = [hello("?"), hello("!")]
    examples = SimpleNamespace(refresh=lambda: None, validation=lambda: questions, batch=lambda *_: questions)
    checkpoint = Checkpoint(tmp_path / "generator.pt")
    state = {"step": 7, "data": {"hours": 1.0}, "model": before.state_dict()}
    monkeypatch.setattr(marks, "_STEPS", 3)
    monkeypatch.setattr(marks, "STRENGTHS", {"?": 1.0, "!": 2.0})
    monkeypatch.setattr(marks, "fuse", lambda _: None)
    monkeypatch.setattr(marks, "speak", lambda *_: None)
    monkeypatch.setattr(marks, "Examples", lambda *_: examples)
    monkeypatch.setattr(marks, "load_generator", lambda _: (trained.eval(), state))
    monkeypatch.setattr(marks, "checkpoint_of", lambda *_: checkpoint)
    marks.learn(WorkFolder(tmp_path))
    kept = checkpoint.load()
    assert kept is not None
    return before, kept, (tmp_path / "marks" / "log.jsonl").read_text("utf-8")


def test_nothing_but_what_tells_a_mark_is_learned(learned: tuple[LocalGenerator, dict[str, Any], str]) -> None:
    """Two rows of one table are new, each another; all else is as it was, and the checkpoint says what can be told."""
    before, kept, log = learned
    was, now = before.state_dict(), kept["model"]
    assert [name for name in was if not torch.equal(was[name], now[name])] == ["text_table.weight"]
    changed = (was["text_table.weight"] != now["text_table.weight"]).any(1).nonzero().flatten().tolist()
    assert changed == ROWS[1:]
    none, question, exclamation = now["text_table.weight"][ROWS]
    assert not torch.equal(question, exclamation)
    assert (question - none).norm() < 1 > (exclamation - none).norm()  # They begin as the row of no mark.
    assert kept["step"] == 7
    assert kept["data"] == {"hours": 1.0, "foretold_marks": ["?", "!"]}
    assert log.count("\n") == 4
    assert '"untold"' in log


def test_a_mark_that_costs_more_than_it_gives_is_not_told(
    learned: tuple[LocalGenerator, dict[str, Any], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its row is that of no mark again; and a generator that has its vectors does not learn them again."""
    before, kept, _ = learned
    monkeypatch.setattr(marks, "load_generator", lambda _: (before, {"data": {"foretold_marks": []}}))
    monkeypatch.setattr(marks, "STRENGTHS", {"?": 0.5, "!": 0.0})
    marks.learn(WorkFolder(tmp_path))
    before.load_state_dict(kept["model"])
    none, question, _ = kept["model"]["text_table.weight"][ROWS]
    marks._follow(before)
    rows = before.state_dict()["text_table.weight"][ROWS]
    torch.testing.assert_close(rows, torch.stack([none, (none + question) / 2, none]))


@pytest.fixture(scope="module")
def sources() -> data.Sources:
    held_out = [line.text for line in lines() if line.kind == "statement"]
    own = [
        "Is it open?",
        "It is open. Is it open?",
        "It is so green, and it is very good.",
        "Stop!",
        "It is " * 9 + "so.",
    ]
    return data.Sources(Lexicon.load(LEXICON), [*own, *held_out])


def test_all_kinds_of_sentences_are_marked(sources: data.Sources) -> None:
    """One short sentence each, closed with either mark, whatever its own is; what is measured is left out."""
    texts = [text for text, _ in islice(marked_speech.sentences(sources, random.Random(1)), 400)]
    assert {text[-1] for text in texts} == {"?", "!"}
    assert not any(mark in text[:-1] for text in texts for mark in ".?!")
    assert max(len(text.split()) for text in texts) <= 14
    assert {"Is it open?", "Is it open!", "It is so green, and it is very good!"} < set(texts)
    measured = {data.letters_of(line.text) for line in lines()}
    assert not measured & {data.letters_of(text) for text in texts}


def test_marked_sentences_depend_on_the_seed_alone(sources: data.Sources) -> None:
    """The same seed gives the same, another gives others."""
    texts = [list(islice(marked_speech.sentences(sources, random.Random(seed)), 20)) for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_a_shard_is_spoken_once(sources: data.Sources, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is there is left as it is, and it is not among the shards of other stages."""
    said: list[str] = []

    class Brief:
        def speak(self, words: list[Any], *, length_scale: float = 1.0) -> Any:
            said.append(words[-1].mark)
            return SimpleNamespace(pcm=np.zeros(10, np.int16), onsets_s=[0.0])

    monkeypatch.setattr(data.Sources, "of", lambda _: sources)
    monkeypatch.setattr(marked_speech, "recipe_of", lambda _: SimpleNamespace(speak=Brief))
    monkeypatch.setattr(marked_speech, "UTTERANCES_PER_SHARD", 5)
    folder = WorkFolder(tmp_path)
    for shards in (1, 2):
        marked_speech.speak(folder, shards)
    assert len(said) == 10
    assert [path.name for path in folder.shard_files("marked")] == ["marked_0000.jsonl", "marked_0001.jsonl"]
    assert folder.shard_files() == []
