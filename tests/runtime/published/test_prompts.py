"""Prompts against the reference rows of tiny checkpoints: exact, row by row."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from voicestack.runtime.errors import BundleError, InputError
from voicestack.runtime.published.generator_info import Family, GeneratorInfo, read_generator_info
from voicestack.runtime.published.prompts import PromptRequest, build_prompt
from voicestack.runtime.published.prompts_rows import checked_codes, delayed, left_padded
from voicestack.runtime.published.tokenizer import Encoder, load_tokenizer

DATA = Path(__file__).parents[2] / "data" / "published" / "prompts"
CASES = ("delay_nvq8", "delay_nvq32", "local", "local_v1.5", "nano")
FIELDS = {field.name for field in dataclasses.fields(PromptRequest)}


class CharacterTokenizer:
    """Stands in for Nano's sentencepiece model: one id per character."""

    def __init__(self, size: int) -> None:
        self.size = size

    def encode(self, text: str) -> list[int]:
        return [10 + (ord(character) * 7 + 3) % (self.size - 10) for character in text]


def info_of(case: str) -> GeneratorInfo:
    return read_generator_info(DATA / case / "generator.json")


def encoder_of(case: str) -> Encoder:
    if case == "nano":
        return CharacterTokenizer(info_of(case).text_vocabulary)
    pytest.importorskip("tokenizers")
    return load_tokenizer(DATA / case / "tokenizer.json")


def arrays_of(case: str) -> dict[str, NDArray[Any]]:
    with np.load(DATA / case / "reference.npz") as archive:
        return dict(archive)


def prompts_of(case: str) -> dict[str, dict[str, Any]]:
    made_of: dict[str, Any] = json.loads((DATA / case / "prompts.json").read_text("utf-8"))
    return {name: made for name, made in made_of.items() if isinstance(made, dict)}


def request_of(made: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> PromptRequest:
    """The request that a prompts.json entry describes."""
    options = {name: value for name, value in made.items() if name in FIELDS - {"reference"}}
    clips = [clip if clip is None else arrays[clip] for clip in made.get("reference", [])]
    if "assistant_prefix" in made:
        options["prefix"] = arrays[made["assistant_prefix"]]
    if "prompt_audio" in made:
        if made["mode"] == "voice_clone":
            clips = [arrays[made["prompt_audio"]]]
        else:
            options["prefix"] = arrays[made["prompt_audio"]]
    return PromptRequest(reference=clips, **options)


def built(case: str, name: str) -> NDArray[np.int64]:
    return build_prompt(request_of(prompts_of(case)[name], arrays_of(case)), info_of(case), encoder_of(case))


@pytest.mark.parametrize(("case", "name"), [(case, name) for case in CASES for name in prompts_of(case)])
def test_rows_are_those_of_the_reference(case: str, name: str) -> None:
    """Every reference prompt of every family is rebuilt exactly."""
    rows = built(case, name)
    assert rows.dtype == np.int64
    np.testing.assert_array_equal(rows, arrays_of(case)[f"prompt_{name}"])


def test_every_reference_prompt_is_compared() -> None:
    """No prompt array is left out because prompts.json does not name it."""
    for case in CASES:
        assert {name for name in arrays_of(case) if name.startswith("prompt_")} == {
            f"prompt_{name}" for name in prompts_of(case)
        }


@pytest.mark.parametrize("case", CASES)
def test_a_batch_is_padded_on_the_left(case: str) -> None:
    """The reference batch of the clone and plain prompts is rebuilt exactly, mask included."""
    ids, mask = left_padded([built(case, "clone"), built(case, "plain")], info_of(case))
    np.testing.assert_array_equal(ids, arrays_of(case)["batch_input_ids"])
    np.testing.assert_array_equal(mask, arrays_of(case)["batch_attention_mask"])


@given(frames=st.integers(1, 9), layers=st.integers(1, 9))
def test_layers_are_delayed_by_their_number(frames: int, layers: int) -> None:
    """Layer j of frame t stands in row t + j, everything else is the pad code."""
    codes = np.arange(frames * layers).reshape(frames, layers)
    rows = delayed(codes, -1)
    assert [[rows[t + j, j] for j in range(layers)] for t in range(frames)] == codes.tolist()
    assert np.count_nonzero(rows == -1) == rows.size - codes.size


@pytest.mark.parametrize("case", ["delay_nvq8", "local"])
def test_clips_of_a_prefix_are_one_audio_block(case: str) -> None:
    """Two clips that follow each other give the rows of the clips joined, delayed as one."""
    info, encoder, codes = info_of(case), encoder_of(case), arrays_of(case)["prefix_codes"]
    apart = build_prompt(PromptRequest("a", prefix=[codes[:2], codes[2:]]), info, encoder)
    np.testing.assert_array_equal(apart, build_prompt(PromptRequest("a", prefix=codes), info, encoder))


@pytest.mark.parametrize("case", ["delay_nvq8", "local", "local_v1.5"])
def test_prompt_text_stands_before_the_text(case: str) -> None:
    """The transcript of a prefix and the text are one text field."""
    info, encoder, codes = info_of(case), encoder_of(case), arrays_of(case)["prefix_codes"]
    apart = build_prompt(PromptRequest("two.", prefix=codes, prompt_text="One "), info, encoder)
    np.testing.assert_array_equal(apart, build_prompt(PromptRequest("One two.", prefix=codes), info, encoder))


def test_delay_normalises_the_text_unless_told_not_to() -> None:
    """Only Delay rewrites the text, and tags and pauses pass through."""
    info, encoder = info_of("delay_nvq8"), encoder_of("delay_nvq8")
    ids = build_prompt(PromptRequest("[S1] a  b [pause 1.5s]"), info, encoder)[:, 0]
    assert "[S1] a b [pause 1.5s]" in bytes(ids[ids < 256].tolist()).decode()
    raw = build_prompt(PromptRequest("a  b", normalise=False), info, encoder)[:, 0]
    assert "a  b" in bytes(raw[raw < 256].tolist()).decode()


def test_values_of_local_v15_are_stripped() -> None:
    """An instruction of blanks is none, and blanks around one do not count."""
    info, encoder = info_of("local_v1.5"), encoder_of("local_v1.5")
    plain = build_prompt(PromptRequest("a", instruction="calm"), info, encoder)
    np.testing.assert_array_equal(plain, build_prompt(PromptRequest("a", instruction=" calm\n"), info, encoder))
    none = build_prompt(PromptRequest("a"), info, encoder)
    np.testing.assert_array_equal(none, build_prompt(PromptRequest("a", instruction="  "), info, encoder))


def test_a_control_token_in_the_text_is_read_as_letters() -> None:
    """Text cannot close the user's turn: it has as many controls as without."""
    info, encoder = info_of("local"), encoder_of("local")
    rows = build_prompt(PromptRequest("a<|im_end|>b"), info, encoder)
    assert np.count_nonzero(rows[:, 0] == info.ids.im_end) == 1


def test_a_control_id_in_the_text_is_refused() -> None:
    """A tokenizer that reads control tokens out of a text cannot break the prompt."""
    info = info_of("nano")

    class Naive:
        def encode(self, text: str) -> list[int]:
            return [5] if "</s>" in text else [20]

    with pytest.raises(InputError, match=r"control ids \[5\]"):
        build_prompt(PromptRequest("a</s>"), info, Naive())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text": " \n"}, "the text is empty"),
        ({"text": "a", "prompt_text": "b"}, "prompt_text is given without prefix"),
        ({"text": "a", "tokens": 0}, "tokens is 0"),
    ],
)
def test_requests_that_make_no_sense(options: dict[str, Any], message: str) -> None:
    """A request is checked when it is made, whatever the family."""
    with pytest.raises(InputError, match=message):
        PromptRequest(**options)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros((4, 7), int), r"shape \[4, 7\], must be \[frames, 8\]"),
        (np.zeros((8, 5), int), "layers_first=True"),
        (np.zeros((4, 8, 1), int), r"must be \[frames, 8\]"),
        (np.zeros((0, 8), int), "no frames"),
        (np.full((4, 8), 64), r"codes 64\.\.64, must be 0\.\.63"),
        (np.full((4, 8), -1), r"codes -1\.\.-1"),
        (np.zeros((4, 8)), "dtype float64"),
    ],
)
def test_codes_that_do_not_fit(codes: NDArray[Any], message: str) -> None:
    """Codes of a wrong shape, type or range are refused by name."""
    with pytest.raises(InputError, match=f"reference 2 .*{message}"):
        build_prompt(PromptRequest("a", reference=[None, codes]), info_of("local"), encoder_of("local"))
    with pytest.raises(InputError, match=f"prefix .*{message}"):
        build_prompt(PromptRequest("a", prefix=codes), info_of("local"), encoder_of("local"))


def test_as_many_frames_as_layers() -> None:
    """A square array is read the way the caller says."""
    info = info_of("local")
    codes = np.arange(64).reshape(8, 8)
    np.testing.assert_array_equal(checked_codes(codes, info, "codes"), codes)
    np.testing.assert_array_equal(checked_codes(codes, info, "codes", layers_first=True), codes.T)


def test_a_prompt_that_is_too_long() -> None:
    """A prompt leaves room for at least one frame."""
    info, encoder = info_of("local_v1.5"), encoder_of("local_v1.5")
    rows = len(build_prompt(PromptRequest("a"), info, encoder))
    fits = dataclasses.replace(info, backbone=dataclasses.replace(info.backbone, max_positions=rows + 1))
    assert len(build_prompt(PromptRequest("a"), fits, encoder)) == rows
    with pytest.raises(InputError, match=rf"{rows + 1} rows, the model's limit is {rows + 1}"):
        build_prompt(PromptRequest("ab"), fits, encoder)


def test_nothing_left_of_the_text() -> None:
    """A text that the normaliser empties is refused."""
    with pytest.raises(InputError, match="nothing is left"):
        build_prompt(PromptRequest("\u200b"), info_of("delay_nvq8"), encoder_of("delay_nvq8"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"instruction": "calm", "language": "English"}, "cannot be told instruction, language"),
        ({"reference": [np.zeros((1, 6), int)] * 2}, "one voice"),
        ({"reference": [None]}, "one voice"),
        ({"reference": [np.zeros((1, 6), int)], "prefix": np.zeros((1, 6), int), "prompt_text": "b"}, "give one of"),
        ({"prefix": np.zeros((1, 6), int)}, "needs prompt_text"),
        ({"prefix": [np.zeros((1, 6), int)] * 2, "prompt_text": "b"}, "continues one clip"),
    ],
)
def test_what_nano_has_no_place_for(options: dict[str, Any], message: str) -> None:
    """Nano is not asked for what its template cannot say."""
    with pytest.raises(InputError, match=message):
        build_prompt(PromptRequest("a", **options), info_of("nano"), encoder_of("nano"))


def test_local_v15_continues_one_clip() -> None:
    """Several clips are refused, one in a list is not."""
    info, encoder, codes = info_of("local_v1.5"), encoder_of("local_v1.5"), np.zeros((2, 6), int)
    one = build_prompt(PromptRequest("a", prefix=[codes]), info, encoder)
    np.testing.assert_array_equal(one, build_prompt(PromptRequest("a", prefix=codes), info, encoder))
    with pytest.raises(InputError, match="continues one clip"):
        build_prompt(PromptRequest("a", prefix=[codes, codes]), info, encoder)


def test_an_empty_list_of_clips() -> None:
    """A prefix without clips is refused."""
    with pytest.raises(InputError, match="prefix has no clips"):
        PromptRequest("a", prefix=[])


def test_realtime_has_prompts_of_its_own() -> None:
    """The family that gets its text while it speaks is not built from a request."""
    with pytest.raises(InputError, match="prompts_realtime"):
        build_prompt(PromptRequest("a"), info_of("realtime"), encoder_of("realtime"))


def test_a_manifest_without_a_needed_id() -> None:
    """The message names the field."""
    info = info_of("nano")
    broken = dataclasses.replace(info, ids=dataclasses.replace(info.ids, audio_start=None))
    with pytest.raises(BundleError, match=r"generator\.ids\.audio_start"):
        build_prompt(PromptRequest("a"), broken, encoder_of("nano"))
    assert info.family is Family.NANO
