import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

pytest.importorskip("aiohttp")
pytest.importorskip("soxr")

SERVE = "import sys; from voicestack.realtime.serve.cli import serve; sys.exit(serve(sys.argv[1:]))"


class Process:
    """`voicestack serve` as people start it."""

    def __init__(self, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VOICESTACK_")}
        self.child = subprocess.Popen(
            [sys.executable, "-c", SERVE, *arguments], stderr=subprocess.PIPE, text=True, env=environment
        )
        self.told: list[str] = []

    @property
    def port(self) -> int:
        """Read off what it tells when it listens."""
        assert self.child.stderr is not None
        for line in self.child.stderr:
            self.told.append(line)
            if found := re.search(r"page +http://127\.0\.0\.1:(\d+)/", line):
                return int(found[1])
        raise AssertionError(f"it does not listen: {self.told}")

    def ended(self) -> tuple[int, str]:
        """Exit code, and all it told."""
        assert self.child.stderr is not None
        self.told += self.child.stderr.readlines()
        return self.child.wait(30), "".join(self.told)


@contextmanager
def started(*arguments: str) -> Iterator[Process]:
    process = Process(*arguments)
    try:
        yield process
    finally:
        process.child.kill()
        process.child.wait()
        assert process.child.stderr is not None
        process.child.stderr.close()


def wait_until_ready(port: int) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        connection.close()
        if status == 200:
            return
        time.sleep(0.05)
    raise AssertionError("the voice was never ready")


@contextmanager
def speech(port: int, text: str) -> Iterator[http.client.HTTPResponse]:
    """An answer of which the first byte is there."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/v1/audio/speech", json.dumps({"input": text, "response_format": "pcm"}))
    with closing(connection), closing(connection.getresponse()) as answer:
        assert answer.status == 200
        answer.read(1)
        yield answer


@pytest.mark.slow
def test_a_signal_lets_what_is_being_spoken_end() -> None:
    """Exit code 0, and the speech is whole."""
    with started("--port", "0") as process:
        port = process.port
        wait_until_ready(port)
        text = "Let me finish what I have to say, and then I shall be quiet for good."
        with speech(port, text) as answer:
            process.child.send_signal(signal.SIGTERM)
            # A chunked body without an end raises IncompleteRead.
            assert len(answer.read()) / 48_000 > 2
        code, told = process.ended()
        assert code == 0
        assert "event=draining" in told
        assert told.rstrip().endswith("event=stopped")
        assert "Traceback" not in told
        assert "Let me finish" not in told


@pytest.mark.slow
def test_a_second_signal_ends_it_at_once() -> None:
    """However much there is still to be spoken to a reader that does not read."""
    with started("--port", "0") as process:
        port = process.port
        wait_until_ready(port)
        with speech(port, "This goes on and on. " * 190):
            process.child.send_signal(signal.SIGINT)
            assert process.child.stderr is not None
            for line in process.child.stderr:
                process.told.append(line)
                if "event=draining" in line:
                    break
            process.child.send_signal(signal.SIGINT)
            code, told = process.ended()
        assert code == 130
        assert "ended at once" in told


def test_a_signal_while_the_voice_is_loaded_ends_it() -> None:
    """Exit code 0, and nothing to complain about."""
    with started("--port", "0") as process:
        assert process.port
        process.child.send_signal(signal.SIGTERM)
        code, told = process.ended()
        assert code == 0
        assert "Traceback" not in told


def test_a_port_in_use_is_one_line() -> None:
    """Exit code 2."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with started("--port", str(taken.getsockname()[1])) as process:
            code, told = process.ended()
    assert code == 2
    assert re.fullmatch(r"voicestack: error: port \d+ on 127.0.0.1 is in use.*--port\n", told)


def test_a_bundle_that_cannot_be_loaded_is_one_line(tmp_path: Path) -> None:
    """Exit code 2, behind what it tells when it starts."""
    with started("--port", "0", "--voice", str(tmp_path)) as process:
        code, told = process.ended()
    assert code == 2
    assert "Traceback" not in told
    assert re.search(r"^voicestack: error: .*bundle\.json", told, re.MULTILINE)


@pytest.mark.parametrize("missing", ["aiohttp", "soxr"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(missing: str) -> None:
    """One line, exit code 2."""
    hide = f"import sys; sys.modules[{missing!r}] = None; " + SERVE
    done = subprocess.run([sys.executable, "-c", hide, "--port", "0"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == (
        f"voicestack: error: the package {missing} is missing; install voicestack with its `serve` extra\n"
    )


def test_the_command_line_is_quick_about_help() -> None:
    """Neither the server nor its packages are imported for it."""
    look = (
        "import sys, contextlib\nfrom voicestack.realtime.serve.cli import serve\n"
        "with contextlib.suppress(SystemExit): serve(['--help'])\n"
        "assert not {'aiohttp', 'soxr', 'av', 'aiortc'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "--token-file" in done.stdout
