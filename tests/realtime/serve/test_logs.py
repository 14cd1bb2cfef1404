import io
import logging
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.serve.logs import KeyValueFormatter, configure, log

PAIR = re.compile(r'(\w+)=([\w.:/{}@+-]+|"(?:[^"\\]|\\.)*")(?: |$)', re.ASCII)


def line_of(**fields: object) -> str:
    record = logging.LogRecord("voicestack.serve", logging.INFO, "", 0, "event", (), None)
    record.voicestack_fields = fields
    return KeyValueFormatter().format(record)


@given(st.text(), st.text(), st.floats(), st.integers())
def test_a_line_is_one_line_that_can_be_read_back(first: str, second: str, third: float, fourth: int) -> None:
    """Whatever is in its values, none of them can begin another line or another pair."""
    line = line_of(first=first, second=second, third=third, fourth=fourth)
    assert len(line.splitlines()) == 1
    assert line.isascii()
    assert PAIR.sub("", line) == ""
    assert [name for name, _ in PAIR.findall(line)] == ["time", "level", "event", "first", "second", "third", "fourth"]


def test_what_is_none_is_left_out_and_what_is_long_is_cut() -> None:
    """A line stays readable."""
    line = line_of(nothing=None, much="x" * 100_000)
    assert "nothing" not in line
    assert len(line) < 2200


def test_a_fault_is_told_with_where_it_came_from() -> None:
    """The traceback is one value."""
    stream = io.StringIO()
    logger = logging.getLogger("voicestack")
    handlers, level, propagate = logger.handlers, logger.level, logger.propagate
    try:
        configure(stream)
        with pytest.raises(KeyError) as raised:
            raise KeyError("inside")
        log("fault", level=logging.ERROR, error=raised.value, id="req_1")
        logging.getLogger("voicestack.realtime.other").warning("words of %s", "another file")
    finally:
        logger.handlers, logger.level, logger.propagate = handlers, level, propagate
    first, second = stream.getvalue().splitlines()
    assert "level=error event=fault id=req_1 traceback=" in first
    assert "KeyError" in first
    assert second.endswith('level=warning event="words of another file"')
