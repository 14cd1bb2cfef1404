"""Who may import whom: the walls of the house, read from the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("realtime", "runtime", "onnx_export")
SHARED_WITH_EXPORT = (
    *("names", "manifest", "bundle", "errors", "text", "cue_clock", "listener"),
    *("published.generator_info", "published.codec_info"),
)
"""Submodules of the runtime that the exporter may name; all else it takes from voicestack.runtime itself.

Of voicestack.runtime.published it may name the modules that describe a bundle, because what it writes is what they read
(kinds of graphs, names of tensors, the dataclasses of the manifest); how a checkpoint is run is none of its business.
"""
NOT_IN_RUNTIME = ("asyncio", "socket", "ssl", "selectors", "torch", "onnx", "sounddevice")
MEASURES_INSIDES = ("demos/history_depth.py ",)
"""It feeds true codes to the graphs and ages their caches by hand, which no user of the runtime does."""
PUBLIC = ("voicestack.runtime", "voicestack.runtime.published")
"""The packages of the runtime whose names are for everyone."""
HOMES = {
    "sounddevice": ["realtime/player.py"],
    "aiohttp": ["realtime/bench/openai_target.py", "realtime/serve/aiohttp_edge.py"],
    "aiortc": ["realtime/bench/webrtc_target.py", "realtime/serve/webrtc_peer.py"],
    "websockets": ["realtime/client.py"],
    "aiomqtt": ["realtime/serve/mqtt.py"],
    "av": ["realtime/serve/encoders.py"],
}
"""The libraries of the edge: one file for each end of the wire."""


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """Every module that a file imports, as an absolute dotted name, `from m import n` as both m and m.n."""
    package = ("voicestack", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*base, *([node.module] if node.module else [])))
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("importlib.import_module", "__import__"):
            yield from (str(arg.value) for arg in node.args[:1] if isinstance(arg, ast.Constant))


def inside(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def modules_of(folder: str) -> set[str]:
    """Dotted names of the modules and packages in a folder, without the folder's own."""
    names = set()
    for path in sources(folder):
        parts = path.relative_to(ROOT).with_suffix("").parts
        names.add(".".join(("voicestack", *(parts[:-1] if parts[-1] == "__init__" else parts))))
    return names - {f"voicestack.{folder}"}


def offenders(folder: str, forbidden: "list[str] | tuple[str, ...]") -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in sources(folder)
        for name in imported(path)
        if any(inside(name, package) for package in forbidden)
    ]


def test_no_folder_imports_one_it_must_not_know() -> None:
    """Runtime imports nothing else of ours; realtime and onnx_export do not know each other."""
    assert offenders("runtime", ("voicestack.realtime", "voicestack.onnx_export")) == []
    assert offenders("realtime", ("voicestack.onnx_export",)) == []
    assert offenders("onnx_export", ("voicestack.realtime",)) == []


@pytest.mark.parametrize("folder", [*FOLDERS, "tests", "demos"])
def test_our_packages_are_never_imported_by_bare_names(folder: str) -> None:
    """A bare `import runtime` from the root would load a second copy."""
    assert offenders(folder, FOLDERS) == []


def test_the_runtime_is_synchronous_and_knows_no_sockets_and_no_torch() -> None:
    """No asyncio, socket, torch, onnx or sound card in runtime/."""
    assert offenders("runtime", NOT_IN_RUNTIME) == []


def test_torch_and_onnx_are_imported_by_the_exporter_only() -> None:
    """Realtime runs where neither is installed."""
    assert offenders("realtime", ("torch", "onnx")) == []


@pytest.mark.parametrize("folder", ["realtime", "demos"])
def test_public_names_of_the_runtime_are_enough(folder: str) -> None:
    """Realtime and the demos import from PUBLIC, not from the modules inside; but for MEASURES_INSIDES."""
    found = offenders(folder, sorted(modules_of("runtime") - set(PUBLIC)))
    assert [offender for offender in found if not offender.startswith(MEASURES_INSIDES)] == []


def test_the_exporter_names_few_submodules_of_the_runtime() -> None:
    """What both sides share is in few modules (SHARED_WITH_EXPORT); the rest is free to change."""
    shared = tuple(f"voicestack.runtime.{name}" for name in SHARED_WITH_EXPORT)
    # A package on the way to a shared module (published) is named by importing that; its other modules stay private.
    private = [
        module
        for module in modules_of("runtime")
        if not any(inside(module, name) or inside(name, module) for name in shared)
    ]
    assert offenders("onnx_export", sorted(private)) == []


@pytest.mark.parametrize(("package", "homes"), HOMES.items())
def test_a_transport_library_is_imported_in_one_file(package: str, homes: list[str]) -> None:
    """A library of the edge can be replaced by rewriting one file for each end of the wire that we are."""
    users = [path for folder in FOLDERS for path in sources(folder) if any(inside(n, package) for n in imported(path))]
    assert [path.relative_to(ROOT).as_posix() for path in users] == homes


def test_relative_imports_are_resolved() -> None:
    """The walk sees `from .cli import main` as what it is."""
    assert "voicestack.realtime.cli.main" in list(imported(ROOT / "realtime" / "__main__.py"))
