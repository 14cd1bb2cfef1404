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
from voicestack.onnx_export.training.progress import Checkpoint, LossLog  # noqa: E402
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


def untrained(count: int) -> list[LocalGenerator]:
    """Small generators of the same random weights."""
    torch.manual_seed(0)
    models = [LocalGenerator(CONFIG, torch.randn(CONFIG.n_vq, CONFIG.codebook, CONFIG.latent)) for _ in range(count)]
    with torch.no_grad():
        for parameter in models[0].parameters():
            parameter.normal_(std=0.1)
    for model in models[1:]:
        model.load_state_dict(models[0].state_dict())
    return [model.eval() for model in models]


def changed(before: LocalGenerator, after: LocalGenerator) -> list[str]:
    """The names of the weights that differ."""
    now = after.state_dict()
    return [name for name, was in before.state_dict().items() if not torch.equal(was, now[name])]


EXAMPLES: Any = SimpleNamespace(
    refresh=lambda: None,
    facts=lambda: {"hours": 0.5},
    validation=lambda: [hello("?"), hello("!")],
    batch=lambda draws, _: [hello(mark) for mark in draws.permutation(["?", "!"])],
)


def test_the_vectors_are_learned_with_all_else_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rows of one table are new, each another, and all is free to learn again behind it."""
    monkeypatch.setattr(marks, "_VECTOR_STEPS", 3)
    before, model = untrained(2)
    marks._learn_vectors(model, EXAMPLES, LossLog(tmp_path))
    assert changed(before, model) == ["text_table.weight"]
    table = model.text_table.weight
    assert (before.text_table.weight != table).any(1).nonzero().flatten().tolist() == ROWS[1:]
    none, question, exclamation = table[ROWS]
    assert not torch.equal(question, exclamation)
    assert max((question - none).norm(), (exclamation - none).norm()) < 1  # They begin as the row of no mark.
    table.sum().backward()  # type: ignore[no-untyped-call]
    assert table.grad is not None
    assert table.grad.all()
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_a_share_of_the_leg_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All weights learn; what is taken lies between where they began and the mean of where they went."""
    monkeypatch.setattr(marks, "_LEG_STEPS", 3)
    before, half, whole = untrained(3)
    marks._learn_all(half, EXAMPLES, EXAMPLES, LossLog(tmp_path))
    monkeypatch.setattr(marks, "_LEG_SHARE", 1.0)
    marks._learn_all(whole, EXAMPLES, EXAMPLES, LossLog(tmp_path))
    assert {"text_table.weight", "code_in.weight"} < set(changed(before, whole))
    for name, was in before.state_dict().items():
        torch.testing.assert_close(half.state_dict()[name], torch.lerp(was, whole.state_dict()[name], 0.5))


def test_a_generator_that_can_be_told_marks_does_not_learn_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The stage follows the vectors as far as it says, puts all into the checkpoint, logs, and has no more to do."""
    before, model = untrained(2)
    state: dict[str, Any] = {"step": 7, "data": {"hours": 1.0}, "model": before.state_dict()}
    checkpoint, spoken = Checkpoint(tmp_path / "generator.pt"), list[int]()
    monkeypatch.setattr(marks, "_VECTOR_STEPS", 2)
    monkeypatch.setattr(marks, "_LEG_STEPS", 2)
    monkeypatch.setattr(marks, "fuse", lambda _: None)
    monkeypatch.setattr(marks, "speak", lambda _, shards: spoken.append(shards))
    monkeypatch.setattr(marks, "Examples", lambda *_: EXAMPLES)
    monkeypatch.setattr(marks, "load_generator", lambda _: (model, state))
    monkeypatch.setattr(marks, "checkpoint_of", lambda *_: checkpoint)
    for _ in "ab":
        marks.learn(WorkFolder(tmp_path))
    kept = checkpoint.load()
    assert kept is not None
    assert (kept["step"], kept["data"]) == (7, {"hours": 1.5, "foretold_marks": ["?", "!"]})
    torch.testing.assert_close(kept["model"], model.state_dict())
    assert len(spoken) == 1
    log = (tmp_path / "marks" / "log.jsonl").read_text("utf-8").splitlines()
    assert len(log) == 5
    assert "untold" in log[-1]


def test_vectors_are_followed_as_far_as_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 is as learned, 2 is twice as far from the row of no mark."""
    before, model = untrained(2)
    monkeypatch.setattr(marks, "STRENGTHS", {"?": 0.5, "!": 2.0})
    marks._follow(model)
    none, question, exclamation = before.text_table.weight[ROWS]
    followed = torch.stack([none, (none + question) / 2, 2 * exclamation - none])
    torch.testing.assert_close(model.text_table.weight[ROWS], followed)


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
