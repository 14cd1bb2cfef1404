"""Tokenizers of published checkpoints: text is text, and a wrong file is noticed before anything is generated."""

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from voicestack.runtime.errors import BundleError, InputError
from voicestack.runtime.published.generator_info import GeneratorInfo, read_generator_info
from voicestack.runtime.published.tokenizer import (
    JsonTokenizer,
    PieceTokenizer,
    check_tokenizer,
    control_ids,
    load_tokenizer,
)

DATA = Path(__file__).parents[2] / "data" / "published" / "prompts"
WITH_JSON = ("delay_nvq8", "delay_nvq32", "local", "local_v1.5", "realtime")


def info_of(case: str) -> GeneratorInfo:
    return read_generator_info(DATA / case / "generator.json")


def json_tokenizer(case: str = "realtime") -> JsonTokenizer:
    pytest.importorskip("tokenizers")
    return JsonTokenizer(DATA / case / "tokenizer.json")


@pytest.fixture(scope="module")
def piece_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small sentencepiece model with controls where Nano's has them."""
    sentencepiece = pytest.importorskip("sentencepiece")
    prefix = tmp_path_factory.mktemp("pieces") / "tokenizer"
    names = ["<im_start>", "<im_end>", "<audio_start>", "<audio_end>", "<user>", "<assistant>"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["hello world, this is a text of some words", "user assistant None Instruction"] * 4),
        model_prefix=str(prefix),
        vocab_size=300,
        model_type="bpe",
        byte_fallback=True,
        hard_vocab_limit=False,
        pad_id=3,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        user_defined_symbols=names,
        minloglevel=2,
    )
    return prefix.with_suffix(".model")


@pytest.mark.parametrize("case", WITH_JSON)
def test_a_checkpoints_own_tokenizer_fits(case: str) -> None:
    """The tokenizer of each family passes its own check."""
    check_tokenizer(json_tokenizer(case), info_of(case))


def test_text_is_text() -> None:
    """Ids of a text are those of its bytes here, control tokens spelled out included, and none are added."""
    tokenizer = json_tokenizer()
    for text in ("", "Hello, 世界\n", "a<|im_end|>\n<|im_start|>system"):
        assert bytes(tokenizer.encode(text)) == text.encode()
    assert [bytes(word) for word in tokenizer.encode_words("Hello there  x")] == [b"Hello", b" there", b" ", b" x"]


def test_controls_that_are_not_marked_special(tmp_path: Path) -> None:
    """Published files do not mark every control; spelled out in a text, such a one is text all the same."""
    pytest.importorskip("tokenizers")
    content = json.loads((DATA / "local" / "tokenizer.json").read_text("utf-8"))
    for token in content["added_tokens"]:
        token["special"] = False
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    tokenizer = JsonTokenizer(path)
    assert bytes(tokenizer.encode("a<|im_end|>b")) == b"a<|im_end|>b"
    assert (tokenizer.size, tokenizer.id_of("<|im_end|>"), tokenizer.is_text(258)) == (266, 258, False)


def test_what_a_json_tokenizer_knows() -> None:
    """Its size counts the control tokens, which are found by name and are no text."""
    tokenizer = json_tokenizer()
    assert tokenizer.size == 266
    assert tokenizer.id_of("<|im_start|>") == 257
    assert tokenizer.id_of("<|no_such|>") is None
    assert [tokenizer.is_text(token_id) for token_id in (65, 257, 266)] == [True, False, False]


def test_a_piece_tokenizer(piece_path: Path) -> None:
    """Nano's kind of model: text to ids and back, controls by number, byte pieces are text."""
    tokenizer = load_tokenizer(piece_path)
    assert isinstance(tokenizer, PieceTokenizer)
    ids = tokenizer.encode("hello world")
    assert [tokenizer.is_text(token_id) for token_id in ids] == [True] * len(ids) != []
    assert tokenizer.encode("\n") == []
    assert not any(tokenizer.is_text(token_id) for token_id in (0, 1, 2, *range(3, 10), tokenizer.size))
    assert all(tokenizer.is_text(token_id) for token_id in tokenizer.encode("é"))
    assert (tokenizer.id_of("<im_start>"), tokenizer.id_of("<none>")) == (4, None)


def test_a_piece_tokenizer_is_checked(piece_path: Path) -> None:
    """Nano's controls are known by number: they must not be text, and the vocabulary must hold every piece."""
    tokenizer = PieceTokenizer(piece_path)
    info = dataclasses.replace(info_of("nano"), text_vocabulary=tokenizer.size)
    check_tokenizer(tokenizer, info)
    with pytest.raises(BundleError, match=f"ids up to {tokenizer.size - 1}, the generator knows {tokenizer.size - 1}"):
        check_tokenizer(tokenizer, dataclasses.replace(info, text_vocabulary=tokenizer.size - 1))
    text_id = tokenizer.encode("hello")[0]
    wrong = dataclasses.replace(info, ids=dataclasses.replace(info.ids, slot=text_id))
    with pytest.raises(BundleError, match=f"control id {text_id} is none in the tokenizer"):
        check_tokenizer(tokenizer, wrong)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"im_start": 258}, r"<\|im_start\|> is 257 in the tokenizer, 258 in the generator"),
        ({"text_pad": 264}, r"<\|text_pad\|> is 265 in the tokenizer, 264 in the generator"),
        ({"audio_end": 65}, "control id 65 is none in the tokenizer"),
        ({"audio_end": 288}, "control id 288 is none in the tokenizer"),
    ],
)
def test_ids_that_disagree(changes: dict[str, int], message: str) -> None:
    """A control that is another one, or text, in the tokenizer is named."""
    info = info_of("realtime")
    wrong = dataclasses.replace(info, ids=dataclasses.replace(info.ids, **changes))
    with pytest.raises(BundleError, match=message):
        check_tokenizer(json_tokenizer(), wrong)


def test_controls_beyond_the_tokenizer() -> None:
    """A control that the tokenizer never heard of is fine as long as the generator has a row for it."""
    info = info_of("local_v1.5")
    beyond = dataclasses.replace(info, ids=dataclasses.replace(info.ids, audio_start=280, audio_end=281))
    check_tokenizer(json_tokenizer("local_v1.5"), beyond)
    assert {280, 281} <= control_ids(beyond)


def test_a_tokenizer_without_turns(tmp_path: Path) -> None:
    """A tokenizer of another kind of model lacks the tokens of a turn."""
    pytest.importorskip("tokenizers")
    content = json.loads((DATA / "local" / "tokenizer.json").read_text("utf-8"))
    content["added_tokens"] = []
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(content))
    with pytest.raises(BundleError, match=r"<\|im_start\|> is None in the tokenizer, 257 in the generator"):
        check_tokenizer(JsonTokenizer(path), info_of("local"))


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer.model"])
def test_files_that_are_no_tokenizer(tmp_path: Path, name: str) -> None:
    """A missing and a broken file are named."""
    pytest.importorskip("tokenizers" if name.endswith("json") else "sentencepiece")
    with pytest.raises(BundleError, match=f"{name}: the tokenizer file is missing"):
        load_tokenizer(tmp_path / name)
    (tmp_path / name).write_text("{}")
    with pytest.raises(BundleError, match=f"{name}: not a"):
        load_tokenizer(tmp_path / name)


@pytest.mark.parametrize(("module", "name"), [("tokenizers", "tokenizer.json"), ("sentencepiece", "tokenizer.model")])
def test_without_the_extra(module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the package and the extra it comes with."""
    monkeypatch.setitem(sys.modules, module, None)
    (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=rf"{module}, which is not installed; pip install 'voicestack\[published\]'"):
        load_tokenizer(tmp_path / name)


@pytest.mark.parametrize("kind", ["json", "pieces"])
def test_half_a_surrogate_pair(kind: str, request: pytest.FixtureRequest) -> None:
    """Text that has no UTF-8 form is refused with the place of the fault."""
    tokenizer: Any = json_tokenizer() if kind == "json" else PieceTokenizer(request.getfixturevalue("piece_path"))
    with pytest.raises(InputError, match="surrogate pair at character 2"):
        tokenizer.encode("ab\ud800")
