"""How old this process is."""

import time

from voicestack.realtime import process_age
from voicestack.realtime.process_age import process_age_s


def test_age_grows_like_the_clock() -> None:
    """Two calls differ by the time between them, and the process is older than this test."""
    started_s = time.monotonic()
    before = process_age_s()
    time.sleep(0.05)
    assert before > 0
    assert abs((process_age_s() - before) - (time.monotonic() - started_s)) < 0.03


def test_where_the_kernel_does_not_tell_the_import_counts(monkeypatch) -> None:  # type: ignore[no-untyped-def]
    """Without /proc the age is that of the module."""

    def no_proc(*_: object) -> None:
        raise FileNotFoundError

    monkeypatch.setattr(process_age, "open", no_proc, raising=False)
    assert 0 < process_age_s() <= time.monotonic() - process_age._IMPORTED_S + 1e-6
