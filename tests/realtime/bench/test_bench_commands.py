"""`voicestack bench` with an engine without models; nothing here depends on how fast the machine is."""

import json
import threading
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest
from scripted_worker import ScriptedWorker
from tiny_bundle import write_tiny_bundle

from voicestack.realtime.bench.cli import Setup, bench
from voicestack.realtime.bench.options import parse
from voicestack.realtime.cli import COMMANDS

REPLIES = ("hi you.", "oh yes.", "so, no?")
SUMMARY = {"p50", "p90", "p95", "p99", "max"}


def setup(**config: object) -> Setup:
    return Setup(lambda: ScriptedWorker(), REPLIES, config)


def run(tmp_path: Path, *arguments: str, **config: object) -> tuple[int, dict[str, Any]]:
    out = tmp_path / "out.json"
    code = bench([*arguments, "--json", str(out)], setup(**config))
    return code, json.loads(out.read_text("utf-8"))


def test_a_run_tells_all_that_it_must(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The JSON has each figure under its name, and the terminal a table of them."""
    code, told = run(tmp_path, "--sessions", "3", "--seconds", "1.5", "--spread", "0.1")
    assert code == 0
    for name in ("ttfb_ms", "ttfa_ms"):
        assert set(told[name]) == SUMMARY
        assert all(value >= 0 for value in told[name].values())
    assert told["sessions"] == 3
    assert told["sessions_with_underrun"] <= 3
    assert told["underrun_s"] >= 0
    assert told["cpu_s"] > 0
    assert set(told["rss_mb"]) == {"start", "peak"}
    assert {"cpu", "cores", "system"} <= set(told["machine"])
    assert {"python", "voicestack", "onnxruntime", "numpy", "commit"} <= set(told["versions"])
    assert told["target"] == {"name": "voicestack", "transport": "inproc", "voice": None, "depth": 32}
    assert set(told["cold"]) == {"load_s", "warm_up_s", "ttfb_ms", "ttfa_ms"}
    assert "rtf" in told
    assert set(told["depth_histogram"]) == {"generated", "played"}
    assert set(told["depth_histogram"]["played"]) <= {"8", "32"}
    assert sum(told["depth_histogram"]["played"].values()) > 0
    assert set(told["waterfall_ms"]) == {"queue", "text", "generate", "codec", "handover", "silence"}
    assert told["batch"]["rounds"] == sum(told["batch"]["histogram"].values()) > 0
    assert {"ort_s", "worker_s", "loop_s", "percent_of_ort"} <= set(told["overhead"])
    assert told["ttfb_after_word_ms"] is None
    printed = capsys.readouterr().out
    for word in ("machine", "cold", "TTFB ms", "TTFA (audible) ms", "first sound, ms", "underruns", "overhead"):
        assert word in printed


def test_a_closed_run_ends_when_its_time_is_over(tmp_path: Path) -> None:
    """Whoever still speaks is cut off, and every thread is gone."""
    long = Setup(lambda: ScriptedWorker(), ("hi. ", "a word that is very long " * 40))
    out = tmp_path / "out.json"
    assert bench(["--sessions", "2", "--seconds", "0.5", "--spread", "0", "--json", str(out)], long) == 0
    told = json.loads(out.read_text("utf-8"))
    assert told["replies"]["cut"] == 2
    # The long one alone would take more than a minute.
    assert told["wall_s"] < 30
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("voicestack")]


def test_text_at_a_rate_is_measured_from_its_first_word_too(tmp_path: Path) -> None:
    """Each delay after the first word is no longer than the one after the first text."""
    _, told = run(tmp_path, "--seconds", "1", "--spread", "0", "--text-rate", "50")
    for name in ("ttfb", "ttfa"):
        assert told[f"{name}_after_word_ms"]["max"] <= told[f"{name}_ms"]["max"]


def test_arrivals_speak_once_each_and_the_refused_are_counted(tmp_path: Path) -> None:
    """With their hint when to come again."""
    code, told = run(tmp_path, "--arrival", "poisson:20", "--seconds", "1", max_sessions=1)
    assert code == 0
    served, refused = told["sessions"], told["refused"]["count"]
    assert served == told["replies"]["finished"] > 0
    assert refused > 0
    assert told["refused"]["retry_after_s"]["p50"] > 0
    assert told["load"]["arrival"] == "poisson:20"
    _, again = run(tmp_path, "--arrival", "poisson:20", "--seconds", "1", max_sessions=1)
    assert again["sessions"] + again["refused"]["count"] == served + refused


def test_a_run_over_its_limit_leaves_with_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Its report is printed and written as ever; under its limit it leaves with 0."""
    code, told = run(tmp_path, "--seconds", "0.6", "--spread", "0", "--max-ttfa-p95", "0.000001")
    assert code == 1
    assert told["ttfa_ms"]["p95"] > 0
    assert "the limit is 1e-06 ms" in capsys.readouterr().err
    assert run(tmp_path, "--seconds", "0.6", "--spread", "0", "--max-ttfa-p95", "1e9")[0] == 0


def test_replies_that_fail_are_counted_with_their_reason(tmp_path: Path) -> None:
    """The run goes on."""

    def fault(key: int, frame: int) -> None:
        if key == 1 and frame == 1:
            raise RuntimeError("the graph broke off")

    out = tmp_path / "out.json"
    failing = Setup(lambda: ScriptedWorker(fault=fault), REPLIES)
    assert bench(["--seconds", "1.5", "--spread", "0", "--json", str(out)], failing) == 0
    told = json.loads(out.read_text("utf-8"))
    assert told["replies"]["failed"] == 1
    assert told["first_error"] == "RuntimeError: the graph broke off"
    assert told["replies"]["finished"] + told["replies"]["cut"] > 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--transport", "ws", "--no-shedding"], "--no-shedding"),
        (["--transport", "webrtc", "--depth", "8"], "--depth"),
        (["--arrival", "poisson:2", "--sessions", "3"], "--sessions"),
        (["--depth", "5"], "depth must be one of"),
        (["--json", "no/such/folder/out.json"], "--json"),
        (["--plot", "."], "--plot"),
        (["--url", "localhost:1"], "http://"),
        (["--url", "http://localhost:1", "--depth", "8"], "--depth"),
        (["--url", "http://localhost:1", "--key-env", "NO_SUCH_VARIABLE_HERE"], "NO_SUCH_VARIABLE_HERE"),
        (["capacity", "--transport", "ws", "--url", "ftp://localhost"], "ftp"),
    ],
)
def test_bad_input_is_one_line_and_2(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Before anything is measured."""
    if "--url" in arguments:
        pytest.importorskip("aiohttp")
    assert bench(arguments, setup()) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("voicestack: error: ")
    assert told in line


@pytest.mark.parametrize(
    "arguments",
    [
        ["--sessions", "0"],
        ["--seconds", "-1"],
        ["--seconds", "nan"],
        ["--arrival", "poisson"],
        ["--arrival", "poisson:0"],
        ["--text-rate", "0"],
        ["--transport", "pigeon"],
        ["capacity", "--underrun-share", "2"],
        ["throughput", "--batch", "0"],
        ["dance"],
    ],
)
def test_what_cannot_be_read_is_one_line_and_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """As for every command."""
    with pytest.raises(SystemExit) as leaving:
        bench(arguments, setup())
    assert leaving.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("voicestack bench")


def test_a_missing_extra_is_named(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """By the package that is missing, before anything is measured."""
    monkeypatch.setattr("voicestack.realtime.bench.cli.find_spec", lambda name: None)
    assert bench(["--plot", "a.png"], setup()) == 2
    assert capsys.readouterr().err == (
        "voicestack: error: the package matplotlib is missing; install voicestack with its `bench` extra\n"
    )


def test_a_plot_is_written(tmp_path: Path) -> None:
    """In the format of its name."""
    pytest.importorskip("matplotlib")
    path = tmp_path / "out.png"
    assert bench(["--sessions", "2", "--seconds", "1", "--plot", str(path)], setup()) == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_capacity_prints_its_demand_and_every_probe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What does not fit through the door does not hold; the JSON has all probes."""
    arguments = ["capacity", "--sessions", "1", "--most", "2", "--seconds", "0.8", "--underrun-share", "1"]
    code, told = run(tmp_path, *arguments, "--max-ttfa-p95", "1e6", max_sessions=1)
    assert code == 0
    assert told["capacity"] == 1
    assert [(probe["sessions"], probe["holds"]) for probe in told["probes"]] == [(1, True), (2, False)]
    printed = capsys.readouterr().out
    assert "demand    at most 100 % of the sessions with an underrun, p95 TTFA at most 1e+06 ms" in printed
    assert "2 sessions" in printed
    assert "refusals" in printed
    assert "capacity  1 sessions (admission would let 1 in)" in printed


def test_a_capacity_of_nothing_leaves_with_1(tmp_path: Path) -> None:
    """Not even one session met the demand."""
    arguments = ["capacity", "--sessions", "1", "--most", "1", "--seconds", "0.5", "--max-ttfa-p95", "0.000001"]
    code, told = run(tmp_path, *arguments)
    assert (code, told["capacity"]) == (1, 0)


def test_barge_in_is_measured_beside_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing comes after interrupt(), and the next reply is timed from it."""
    long = Setup(lambda: ScriptedWorker(), ("so many words that nobody would wait until they are all said",))
    out = tmp_path / "out.json"
    arguments = ["interrupt", "--sessions", "1", "--count", "3", "--spread", "0", "--json", str(out)]
    assert bench(arguments, long) == 0
    told = json.loads(out.read_text("utf-8"))
    assert (told["interrupted"], told["missed"], told["stale_chunks"]) == (3, 0, 0)
    assert set(told["silence_ms"]) == set(told["next_ttfa_ms"]) == SUMMARY
    assert told["next_ttfb_ms"]["p50"] > 0
    assert "interrupt to silence" in capsys.readouterr().out


def test_throughput_states_the_ratio(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of batches to one stream, with the bare engine and codec of a bundle."""
    out, voice = tmp_path / "out.json", tmp_path / "voice"
    write_tiny_bundle(voice)
    arguments = ["throughput", "--voice", str(voice), "--batch", "3", "--seconds", "0.3"]
    assert bench([*arguments, "--json", str(out)], Setup(replies=REPLIES)) == 0
    told = json.loads(out.read_text("utf-8"))
    assert set(told["frames_per_s"]) == set(told["ratio"]) == {"1", "3"}
    assert told["ratio"]["1"] == 1
    assert "times one by one" in capsys.readouterr().out


def test_a_bundle_tells_what_onnx_runtime_took_of_its_rounds(tmp_path: Path) -> None:
    """The rest is what the code around it costs; the voice is named."""
    out, voice = tmp_path / "out.json", tmp_path / "voice"
    name = write_tiny_bundle(voice).name
    arguments = ["--voice", str(voice), "--seconds", "1", "--spread", "0", "--json", str(out)]
    assert bench(arguments, Setup(replies=REPLIES)) == 0
    told = json.loads(out.read_text("utf-8"))
    assert told["target"]["voice"] == name
    assert told["overhead"]["ort_s"] > 0
    assert told["overhead"]["worker_s"] > 0
    assert told["overhead"]["percent_of_ort"] > 0
    assert told["rtf"] > 0


def test_control_c_leaves_with_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """And one line."""

    def pressed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("voicestack.realtime.bench.cli.measure", pressed)
    assert bench([], setup()) == 130
    assert capsys.readouterr().err == "voicestack: interrupted\n"


def test_the_default_is_the_plain_run() -> None:
    """Words behind `bench` that begin with a dash are its options."""
    assert parse([]).what == "run"
    assert parse(["capacity"]).what == "capacity"


def test_bench_is_registered() -> None:
    """By the distribution itself, with a line for the list of commands."""
    entries = {entry.name: entry for entry in entry_points(group=COMMANDS)}
    assert entries["bench"].load() is bench
    assert (bench.__doc__ or "").startswith("Measure latency, underruns, capacity and cost.\n")
