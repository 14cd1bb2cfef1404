from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.onnx_export.training.lines import append_line, read_lines

RECORDS = st.lists(st.dictionaries(st.text(max_size=3), st.integers() | st.text(max_size=5)), min_size=1, max_size=5)


@given(RECORDS, st.data())
def test_what_was_whole_survives_a_line_that_was_broken_off(
    tmp_path_factory: pytest.TempPathFactory, records: list[dict[str, object]], data: st.DataObject
) -> None:
    """Wherever a run is cut off, it goes on with the lines before that, and adds its own behind them."""
    path = tmp_path_factory.mktemp("lines") / "log.jsonl"
    for record in records:
        append_line(path, record)
    assert read_lines(path) == records
    content = path.read_bytes()
    left = data.draw(st.integers(0, len(content)))
    path.write_bytes(content[:left])
    whole = records[: content[:left].count(b"\n")]
    cut_before_newline = left < len(content) and content[left : left + 1] == b"\n"
    if cut_before_newline:  # All of the line but its end is there.
        whole = records[: len(whole) + 1]
    append_line(path, {"and": "on"})
    assert read_lines(path) == [*whole, {"and": "on"}]


def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    """As before the first run."""
    assert read_lines(tmp_path / "log.jsonl") == []
