"""Text that arrives through a pipe."""

import os
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicestack.realtime.text_pipe import TextPipe
from voicestack.runtime import InputError


def test_text_is_there_while_the_pipe_is_open() -> None:
    """A piece is handed on before the writer writes the next one."""
    reader, writer = os.pipe()
    pieces = iter(TextPipe(reader))
    os.write(writer, b"first ")
    assert next(pieces) == "first "
    os.write(writer, b"second")
    assert next(pieces) == "second"
    os.close(writer)
    assert list(pieces) == []
    os.close(reader)


def test_waiting_is_seen_and_counted() -> None:
    """While a read waits, `waiting` is true; afterwards the time is in `waited_s`."""
    reader, writer = os.pipe()
    pipe = TextPipe(reader)
    seen: list[bool] = []

    def write_later() -> None:
        while not pipe.waiting:
            time.sleep(0.001)
        seen.append(pipe.waiting)
        os.write(writer, b"late")
        os.close(writer)

    thread = threading.Thread(target=write_later)
    thread.start()
    assert "".join(pipe) == "late"
    thread.join()
    os.close(reader)
    assert seen == [True]
    assert not pipe.waiting
    assert pipe.waited_s > 0
    assert pipe.first_text_s is not None
    assert pipe.first_text_s <= pipe.waited_until_s <= time.monotonic()


@given(st.text(max_size=40), st.lists(st.integers(0, 120), max_size=8))
def test_letters_survive_any_cut(text: str, cuts: list[int]) -> None:
    """Bytes split inside a character come out as that character."""
    data = text.encode("utf-8", "surrogatepass")
    expected = data.decode("utf-8", "replace")
    bounds = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    parts = [data[a:b] for a, b in zip(bounds, bounds[1:], strict=False) if a < b]
    assert "".join(read_parts(parts)) == expected


def read_parts(parts: list[bytes]) -> list[str]:
    """What a pipe yields when each read returns one of the parts."""
    pipe = TextPipe(-1)
    queue = [*parts, b""]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "read", lambda *_: queue.pop(0))
        return list(pipe)


def test_bytes_that_are_no_text_do_not_stop_it() -> None:
    """Broken UTF-8 becomes a replacement character."""
    assert "".join(read_parts([b"a\xff", b"b\xe2\x82"])) == "a�b�"


def test_a_pipe_that_does_not_block_is_waited_for() -> None:
    """Whoever made standard input non-blocking did not mean that there is no text."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)

    def write_and_close() -> None:
        os.write(writer, b"late")
        os.close(writer)

    threading.Timer(0.05, write_and_close).start()
    pipe = TextPipe(reader)
    assert "".join(pipe) == "late"
    assert pipe.waited_s > 0.03
    os.close(reader)


def test_what_cannot_be_read_is_told_with_its_remedy(tmp_path: Path) -> None:
    """A folder as standard input is one clear line."""
    folder = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(InputError, match="cannot read standard input: Is a directory; pipe the text into it"):
        list(TextPipe(folder))
    os.close(folder)
