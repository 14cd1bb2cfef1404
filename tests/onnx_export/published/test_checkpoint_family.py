"""Which family a checkpoint is, and what is said of one that does not fit."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from generator_cases import (
    CAPACITY,
    CASES,
    changed_checkpoint,
    checkpoint,
    exported,
    local_heads,
    prompts,
    two_choices,
)

from voicestack.onnx_export.published.checkpoint import CheckpointError
from voicestack.onnx_export.published.export import export_generator
from voicestack.onnx_export.published.family import detect_family, read_config
from voicestack.runtime.published.generator import open_generator
from voicestack.runtime.published.generator_info import Family
from voicestack.runtime.published.streams import frame_request

FAMILIES = {case: Family.DELAY if case.startswith("delay") else Family(case) for case in CASES}


@pytest.mark.parametrize("case", CASES)
def test_every_family_is_told_from_the_others(case: str) -> None:
    """Fields and tensors decide; delay and the first MossTTSLocal have the same model_type."""
    assert detect_family(checkpoint(case)) is FAMILIES[case]


@pytest.mark.parametrize("case", CASES)
def test_a_wrong_architecture_string_does_not_matter(case: str, tmp_path: Path) -> None:
    """The family is the same whatever model_type and architectures say."""
    changed = changed_checkpoint(case, tmp_path, {"model_type": "moss_tts", "architectures": ["MossTTS"]})
    assert read_config(changed) == read_config(checkpoint(case))


@pytest.mark.parametrize("case", CASES)
def test_every_tensor_is_used_or_known_not_to_be(case: str) -> None:
    """Each name of the checkpoint is accounted for."""
    config = read_config(checkpoint(case))
    assert checkpoint(case).names == {*config.tensors(), *config.unused}


def test_a_config_that_contradicts_the_tensors_needs_the_family_argument(tmp_path: Path) -> None:
    """Delay tensors with a local config: both families are named; saying which it is settles it."""
    changed = changed_checkpoint("delay_nvq8", tmp_path, {"local_num_layers": 2})
    with pytest.raises(CheckpointError, match=r"family local, the tensors are those of delay; .*family argument"):
        detect_family(changed)
    assert read_config(changed, Family.DELAY).family is Family.DELAY


def test_a_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    """Neither known fields nor known tensors: the families there are, are named."""
    fields: dict[str, Any] = {"language_config": None, "n_vq": None}
    gone = dict.fromkeys(name for name in checkpoint("delay_nvq8").names if name.startswith("emb_ext."))
    with pytest.raises(CheckpointError, match=r"neither .* nor .* tell a known family.*delay, local"):
        detect_family(changed_checkpoint("delay_nvq8", tmp_path, fields, gone))


@pytest.mark.parametrize(
    ("case", "family", "message"),
    [
        ("delay_nvq8", Family.LOCAL, "field local_num_layers is missing"),
        ("delay_nvq8", Family.NANO, "field gpt2_config is missing"),
        ("local", Family.DELAY, r"not those of a delay generator.*32 missing"),
        ("local_v1.5", Family.NANO, r"not those of a nano generator.*missing \(.*transformer"),
        ("nano", Family.LOCAL_V15, "field language_config is missing"),
        ("realtime", Family.DELAY, "field n_vq is missing"),
    ],
)
def test_the_wrong_family_argument_is_one_clear_error(case: str, family: Family, message: str, tmp_path: Path) -> None:
    """What that family would need is named, and nothing is written."""
    with pytest.raises(CheckpointError, match=message):
        export_generator(checkpoint(case), tmp_path, family)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("case", "config", "message"),
    [
        ("delay_nvq8", {"audio_vocab_size": None}, "field audio_vocab_size is missing"),
        ("delay_nvq8", {"language_config": []}, r"field language_config must be an object, got \[\]"),
        ("delay_nvq8", {"n_vq": 8.0}, "field n_vq must be a whole number"),
        ("delay_nvq8", {"n_vq": 0}, "field n_vq must be a whole number of at least 1"),
        ("delay_nvq8", {"audio_pad_code": 3}, "field audio_pad_code must be one of 64"),
        ("delay_nvq8", {"audio_end_token_id": None}, "field audio_end_token_id is missing"),
        ("delay_nvq8", {"audio_end_token_id": 288}, "audio_end the id 288, but the vocabulary has 288 ids"),
        ("delay_nvq8", {"audio_end_token_id": 259}, "same id 259"),
        ("local", {"local_hidden_size": "40"}, "field local_hidden_size must be a whole number"),
        ("local_v1.5", {"audio_codebook_sizes": [64, 32]}, "field audio_codebook_sizes must be one of"),
        ("nano", {"audio_assistant_slot_token_id": None}, "field audio_assistant_slot_token_id is missing"),
        ("realtime", {"text_pad": 9999}, "text_pad the id 9999"),
        ("realtime", {"audio_vocab_size": 66}, "field audio_vocab_size must be one of 67"),
    ],
)
def test_a_wrong_config_field_is_named(case: str, config: dict[str, Any], message: str, tmp_path: Path) -> None:
    """One error, with the file and the field."""
    family = FAMILIES[case]
    with pytest.raises(CheckpointError, match=f"config.json.*{message}"):
        read_config(changed_checkpoint(case, tmp_path, config), family)


@pytest.mark.parametrize(
    ("scaling", "field"),
    [
        ({"rope_type": "yarn", "factor": 4}, "rope_type must be one of 'default', 'linear'"),
        ({"type": "dynamic"}, "type must be one of 'default', 'linear'"),
        ({"rope_type": "linear", "factor": 2.0}, "factor must be one of 1"),
    ],
)
def test_a_stretched_rope_is_refused(scaling: dict[str, Any], field: str, tmp_path: Path) -> None:
    """No published checkpoint has one, so it would be wrong silently."""
    language = checkpoint("delay_nvq8").config["language_config"] | {"rope_scaling": scaling}
    with pytest.raises(CheckpointError, match=rf"language_config\.rope_scaling\.{field}"):
        read_config(changed_checkpoint("delay_nvq8", tmp_path, {"language_config": language}))


def test_the_rope_base_is_found_where_newer_versions_keep_it(tmp_path: Path) -> None:
    """In rope_parameters, when rope_theta is not there."""
    language = checkpoint("delay_nvq8").config["language_config"] | {"rope_theta": None}
    language["rope_parameters"] = {"rope_type": "default", "rope_theta": 5e5}
    stack = read_config(changed_checkpoint("delay_nvq8", tmp_path, {"language_config": language})).backbone
    assert stack.theta == 5e5


@pytest.mark.parametrize("case", CASES)
def test_missing_unknown_and_misshapen_tensors_are_listed(case: str, tmp_path: Path) -> None:
    """All three kinds in one error, by name."""
    used = read_config(checkpoint(case))
    missing, misshapen = used.backbone.tensors().keys() - {used.text_table}, used.text_table
    gone = sorted(missing)[0]
    tensors: dict[str, Any] = {gone: None, misshapen: np.zeros((3, 4)), "adapter.weight": np.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        read_config(changed_checkpoint(case, tmp_path, tensors=tensors), FAMILIES[case])
    message = str(caught.value)
    assert f"1 missing ({gone})" in message
    assert "1 unknown (adapter.weight)" in message
    assert re.search(rf"1 of the wrong shape \({re.escape(misshapen)} \[3, 4\] instead of \[\d+, \d+\]\)", message)


def test_a_tied_head_need_not_be_stored_twice(tmp_path: Path) -> None:
    """Nano's heads are its embeddings: a checkpoint without them gives the same graphs."""
    tied = read_config(checkpoint("nano")).tied
    lean = changed_checkpoint("nano", tmp_path, tensors=dict.fromkeys(tied))
    for name, source in (("whole", checkpoint("nano")), ("lean", lean)):
        export_generator(source, tmp_path / name)
    for file in ("generator.bin", "backbone.onnx", "head_6.onnx"):
        assert (tmp_path / "whole" / file).read_bytes() == (tmp_path / "lean" / file).read_bytes()


def test_the_whole_text_head_of_the_second_local_gives_the_same_two_choices(tmp_path: Path) -> None:
    """Without a binary head, the slot's and the end's rows of the text head decide."""
    slot, end = two_choices(exported("local_v1.5")[1])
    rows = checkpoint("local_v1.5").tensor("text_lm_head.weight")[[slot, end]]
    logits = []
    for mode, head in (("binary", rows), ("full_vocab", None)):
        folder = tmp_path / mode
        folder.mkdir()
        tensors = {"local_text_lm_head.weight": head}
        source = changed_checkpoint("local_v1.5", folder, {"local_text_head_mode": mode}, tensors)
        info = export_generator(source, folder / "out")
        stream = open_generator(folder / "out", info, capacity=CAPACITY).prefill(prompts("local_v1.5", "clone"))[0]
        logits.append(local_heads(folder / "out", info).draw(1, [frame_request(stream, info.n_vq)]).text_logits)
    assert logits[0] is not None
    np.testing.assert_array_equal(logits[0], logits[1])


@pytest.mark.parametrize("depths", [(0,), (7,)])
def test_a_depth_no_head_can_have_is_refused(depths: tuple[int, ...], tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(CheckpointError, match="1 to 6 codebooks"):
        export_generator(checkpoint("nano"), tmp_path, depths=depths)
