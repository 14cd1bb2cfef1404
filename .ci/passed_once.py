"""A pytest plugin: what has passed in one environment is not run again in the next. PASSED_ONCE names the list."""

import os
from pathlib import Path

import pytest

_LIST = Path(os.environ["PASSED_ONCE"])


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the tests on the list."""
    passed = set(_LIST.read_text("utf-8").splitlines()) if _LIST.exists() else set()
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
    items[:] = [item for item in items if item.nodeid not in passed]


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Add a test that passed to the list."""
    if report.when == "call" and report.passed:
        with _LIST.open("a", encoding="utf-8") as file:
            file.write(report.nodeid + "\n")
