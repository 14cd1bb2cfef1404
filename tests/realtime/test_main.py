"""The console script."""

import signal
import sys
from collections.abc import Callable

import pytest

from voicestack.realtime.__main__ import main


class FakeCli:
    """Takes the place of the module `cli` and notes who handles Control-C at which time."""

    def __init__(self) -> None:
        self.handlers: list[object] = []

    @property
    def main(self) -> Callable[[], int]:
        self.handlers.append(signal.getsignal(signal.SIGINT))
        return self._run

    def _run(self) -> int:
        self.handlers.append(signal.getsignal(signal.SIGINT))
        return 7


@pytest.mark.parametrize(
    ("before", "importing"), [(signal.default_int_handler, signal.SIG_DFL), (signal.SIG_IGN, signal.SIG_IGN)]
)
def test_an_interrupt_while_importing_ends_the_process_quietly(
    before: signal.Handlers, importing: signal.Handlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No handler of Python's prints a traceback then; one who ignores Control-C, as nohup does, goes on doing so."""
    cli = FakeCli()
    monkeypatch.setitem(sys.modules, "voicestack.realtime.cli", cli)
    previous = signal.signal(signal.SIGINT, before)
    try:
        with pytest.raises(SystemExit) as leaving:
            main()
    finally:
        signal.signal(signal.SIGINT, previous)
    assert leaving.value.code == 7
    assert cli.handlers == [importing, before]
