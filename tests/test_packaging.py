"""What an installer gets: the list of packages, and a wheel built from a clean copy."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("realtime", "runtime", "onnx_export")
FILES = ("pyproject.toml", "README.md", "LICENSE", "NOTICE", "MANIFEST.in", "CHANGELOG.md")
MAX_WHEEL_BYTES = 60_000_000
HEAVY = {"torch", "av", "onnx", "sounddevice"}


@pytest.fixture(scope="module")
def pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy without leftovers: an old build/ or egg-info would hide a forgotten package."""
    copy = tmp_path_factory.mktemp("source")
    out = tmp_path_factory.mktemp("dist")
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in FILES:
        shutil.copy(ROOT / file, copy / file)
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(copy)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_every_package_folder_is_listed_for_the_wheel(pyproject: dict[str, Any]) -> None:
    """A sub-package that is not listed works from a checkout and is missing from the wheel."""
    found = {
        ".".join(("voicestack", *init.parent.relative_to(ROOT).parts))
        for folder in FOLDERS
        for init in (ROOT / folder).rglob("__init__.py")
    }
    assert set(pyproject["tool"]["setuptools"]["packages"]) == found


def test_every_folder_with_modules_is_a_package() -> None:
    """A folder without __init__.py would be left out silently."""
    folders = {path.parent for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")}
    assert [folder for folder in folders if not (folder / "__init__.py").exists()] == []


def test_every_module_is_in_the_wheel_and_nothing_else_of_ours(names: set[str]) -> None:
    """The wheel holds voicestack/ and its metadata only, with each source file."""
    expected = {
        f"voicestack/{path.relative_to(ROOT).as_posix()}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
    }
    assert expected <= names
    assert {name.split("/")[0].split("-")[0] for name in names} == {"voicestack"}


def test_the_wheel_is_typed_and_carries_the_licences(names: set[str]) -> None:
    """One py.typed in each folder; LICENSE and NOTICE beside the metadata."""
    assert {f"voicestack/{folder}/py.typed" for folder in FOLDERS} <= names
    assert {"LICENSE", "NOTICE"} <= {name.rsplit("/", 1)[-1] for name in names if ".dist-info/" in name}


def test_every_file_of_a_voice_is_in_the_wheel(names: set[str]) -> None:
    """What speaks from the checkout speaks from the wheel."""
    voices = ROOT / "runtime" / "voices"
    files = {path for path in voices.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {f"voicestack/{path.relative_to(ROOT).as_posix()}" for path in files} <= names
    assert "voicestack/runtime/voices/joe/bundle.json" in names
    assert "voicestack/onnx_export/training/everyday.txt" in names
    assert "voicestack/realtime/bench/replies.txt" in names


def test_the_wheel_is_small_enough_to_ship(wheel: Path) -> None:
    """Under 60 MB, voice included."""
    assert wheel.stat().st_size < MAX_WHEEL_BYTES


def test_the_base_install_requires_little(wheel: Path, names: set[str]) -> None:
    """`pip install voicestack` brings neither torch nor av, only what the runtime and the metrics import."""
    with zipfile.ZipFile(wheel) as archive:
        metadata = archive.read(next(name for name in names if name.endswith(".dist-info/METADATA"))).decode()
    requirements = Parser().parsestr(metadata).get_all("Requires-Dist", [])
    base = {re.split(r"[^A-Za-z0-9_-]", line)[0] for line in requirements if "extra ==" not in line}
    assert base & HEAVY == set()
    needed = top_level_imports("runtime") | {"prometheus_client"}
    assert {name.replace("-", "_") for name in base} == needed - set(sys.stdlib_module_names) - {"voicestack"}


def test_the_console_script_exists(pyproject: dict[str, Any]) -> None:
    """`voicestack` leads to a function that is there."""
    module, _, function = pyproject["project"]["scripts"]["voicestack"].partition(":")
    tree = ast.parse((ROOT / (module.removeprefix("voicestack.").replace(".", "/") + ".py")).read_text("utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_the_readme_block_is_two_commands() -> None:
    """The first block of the README is what a new user and .ci/run type: one command that speaks, one that tests."""
    block = re.search(r"```(?:sh|bash)\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert block is not None
    commands = [line for line in block.group(1).splitlines() if line.strip()]
    assert len(commands) == 2
    assert "voicestack say" in commands[0]
    assert "pytest" in commands[1]


def top_level_imports(folder: str) -> set[str]:
    found = set()
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found
