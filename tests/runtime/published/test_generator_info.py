"""What a generator says of itself, as JSON and back."""

import json
from pathlib import Path
from typing import Any

import pytest
from generator_cases import CASES, exported

from voicestack.runtime.errors import BundleError
from voicestack.runtime.published.generator_info import GeneratorInfo, read_generator_info

HERE = Path("bundle.json")


def fields(case: str = "nano") -> dict[str, Any]:
    """A case's info as a JSON reader gives it."""
    data: dict[str, Any] = json.loads(json.dumps(exported(case)[1].to_json()))
    return data


@pytest.mark.parametrize("case", CASES)
def test_info_survives_json(case: str, tmp_path: Path) -> None:
    """Every field of every family."""
    assert GeneratorInfo.from_json(fields(case), HERE) == exported(case)[1]
    (tmp_path / "info.json").write_text(json.dumps(fields(case)))
    assert read_generator_info(tmp_path / "info.json") == exported(case)[1]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("family", "moss", r"field generator\.family must be one of delay, local, .*got 'moss'"),
        ("n_vq", None, r"field generator\.n_vq must be a whole number, got None"),
        ("n_vq", True, r"field generator\.n_vq must be a whole number, got True"),
        ("n_vq", 0, r"field generator\.n_vq must be positive, got 0"),
        ("head_depths", 6, r"field generator\.head_depths must be a list"),
        ("head_depths", ["6"], r"field generator\.head_depths\[0\] must be a whole number"),
        ("head_depths", [4, 2], r"field generator\.head_depths must be rising depths up to 6"),
        ("head_depths", [], r"field generator\.head_depths must be rising"),
        ("backbone", [], r"field generator\.backbone must be an object"),
        ("ids", {}, r"field generator\.ids\.pad is missing"),
        ("takes_query_lengths", 1, r"field generator\.takes_query_lengths must be true or false, got 1"),
        ("computes_in", "int8", r"field generator\.computes_in must be one of float32, float16, got 'int8'"),
        ("extra", 1, r"field generator\.extra is not known"),
    ],
)
def test_a_wrong_field_is_named(place: str, value: Any, message: str) -> None:
    """One BundleError with the file and the field."""
    with pytest.raises(BundleError, match=rf"bundle\.json: {message}"):
        GeneratorInfo.from_json({**fields(), place: value}, HERE)


def test_fields_that_older_files_lack_have_their_old_meaning() -> None:
    """The number of new rows is taken, and float32 computed in."""
    data = fields()
    del data["takes_query_lengths"], data["computes_in"]
    assert GeneratorInfo.from_json(data, HERE) == exported("nano")[1]


def test_a_missing_field_and_a_broken_file_are_told(tmp_path: Path) -> None:
    """The field, or that it is no JSON."""
    data = fields()
    del data["ids"]["audio_pad"]
    with pytest.raises(BundleError, match=r"field generator\.ids\.audio_pad is missing"):
        GeneratorInfo.from_json(data, HERE)
    (tmp_path / "info.json").write_text("{")
    with pytest.raises(BundleError, match="not readable as JSON"):
        read_generator_info(tmp_path / "info.json")
    with pytest.raises(BundleError, match="must be an object, got 3"):
        GeneratorInfo.from_json(3, HERE)
