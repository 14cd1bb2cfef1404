import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from codec_cases import load_case

from voicestack.runtime.errors import BundleError
from voicestack.runtime.published.codec_decoder import CodecDecoder
from voicestack.runtime.published.codec_encoder import CodecEncoder
from voicestack.runtime.published.codec_info import CodecInfo

Json = dict[str, Any]
MANIFEST = Path("voice/bundle.json")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[CodecInfo, Path]:
    case = load_case("codec_nano", tmp_path_factory.mktemp("codec"))
    return case.info, case.folder


def test_the_plain_form_is_json_and_comes_back(exported: tuple[CodecInfo, Path]) -> None:
    """What is written to a manifest and read again is the same codec."""
    info, _ = exported
    assert CodecInfo.from_json(json.loads(json.dumps(info.to_json())), MANIFEST) == info


def test_what_follows_from_the_fields(exported: tuple[CodecInfo, Path]) -> None:
    """Frame rate, null code, states and the ring's longest call are derived from the sizes."""
    info, _ = exported
    assert (info.frame_rate_hz, info.null_code) == (12.5, 64)
    assert len(info.decoder.states) == 2 * (2 + 1 + 1 + 2)
    assert info.decoder.states[0].shape == (2, 11, 8)
    assert info.decoder.ring_frames == 1


def put(*path: str | int, to: object) -> Callable[[Json], None]:
    def apply(data: Json) -> None:
        holder: Any = data
        for key in path[:-1]:
            holder = holder[key]
        holder[path[-1]] = to

    return apply


def take(*path: str | int) -> Callable[[Json], None]:
    def apply(data: Json) -> None:
        holder: Any = data
        for key in path[:-1]:
            holder = holder[key]
        del holder[path[-1]]

    return apply


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (take("hop"), r"codec\.hop is missing"),
        (put("hop", to="1920"), r"codec\.hop"),
        (put("n_vq", to=True), r"codec\.n_vq"),
        (put("channels", to=0), r"codec\.channels"),
        (put("flavour", to=1), r"codec\.flavour"),
        (put("decoder", to=[]), r"codec\.decoder"),
        (put("decoder", "file", to="../decoder.onnx"), r"codec\.decoder\.file"),
        (put("encoder", "weights_file", to=3), r"codec\.encoder\.weights_file"),
        (put("encoder", "stages", to=[]), r"codec\.encoder\.stages"),
        (put("encoder", "stages", 1, "context", to=-1), r"codec\.encoder\.stages\[1\]\.context"),
        (put("encoder", "stages", 1, "colour", to=1), r"codec\.encoder\.stages\[1\]\.colour"),
        (take("decoder", "stages", 0, "heads"), r"codec\.decoder\.stages\[0\]\.heads"),
    ],
)
def test_a_wrong_field_is_named(exported: tuple[CodecInfo, Path], damage: Callable[[Json], None], named: str) -> None:
    """A field that is missing, unknown or wrong is one error with the manifest's path and the field."""
    data = json.loads(json.dumps(exported[0].to_json()))
    damage(data)
    with pytest.raises(BundleError, match=named) as error:
        CodecInfo.from_json(data, MANIFEST)
    assert str(MANIFEST) in str(error.value)


def test_what_is_no_object_is_refused() -> None:
    """A codec entry that is no object is named as such."""
    with pytest.raises(BundleError, match="must be an object"):
        CodecInfo.from_json(None, MANIFEST)


def test_a_graph_that_is_not_what_the_manifest_says_is_refused(exported: tuple[CodecInfo, Path]) -> None:
    """A window of another length than the graph's is told when the codec is loaded, not when it runs."""
    info, folder = exported
    data = info.to_json()
    data["decoder"]["stages"][0]["context"] += 1
    with pytest.raises(BundleError, match=r"codec_decoder\.onnx: input past_key_values\.0\.key"):
        CodecDecoder.load(folder, CodecInfo.from_json(json.loads(json.dumps(data)), MANIFEST))


def test_a_missing_graph_or_weight_file_is_named(exported: tuple[CodecInfo, Path], tmp_path: Path) -> None:
    """Loading from a folder that lacks a file names it."""
    info, folder = exported
    with pytest.raises(BundleError, match=r"codec_encoder\.onnx"):
        CodecEncoder.load(tmp_path, info)
    (tmp_path / info.encoder.file).write_bytes((folder / info.encoder.file).read_bytes())
    with pytest.raises(BundleError, match=r"codec_encoder\.bin"):
        CodecEncoder.load(tmp_path, info)
