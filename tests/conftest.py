"""Shared by all tests: fixtures, the mark `once`, the tested build, and CI's rule that nothing is skipped."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import settings
from slow_modules import SLOW

from capture_agent.build import flavour

pytest_plugins = ["package_fixtures", "server_fixtures"]

ROOT = Path(__file__).parent.parent
IN_CI = bool(os.environ.get("CI"))

# The time that one example takes says nothing on a busy machine.
settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.register_profile("thorough", deadline=None, max_examples=10_000)
settings.load_profile("ci" if IN_CI else "default")

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell starts background jobs so, and our programs would inherit it: none could be ended as users do.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    config.addinivalue_line("markers", "slow: `make check` leaves it out; slow_modules.py says which modules")
    config.addinivalue_line("markers", "once: no hot module takes part, so `make test` runs it with one build only")
    config.addinivalue_line(
        "markers", "memory: measures memory; `make sanitize` leaves it out, as a sanitizer needs much itself"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow modules run first: a worker that gets one at the end would keep the others waiting."""
    places = {(ROOT / "tests" / module): number for number, module in enumerate(SLOW)}
    for item in items:
        if item.path in places:
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: places.get(item.path, len(places)))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"tested: the {flavour()} build")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return no_skip_in_ci((yield))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return no_skip_in_ci((yield))


def no_skip_in_ci(report: Report) -> Report:
    """In CI a skipped test fails, with its reason: otherwise nobody would notice."""
    if IN_CI and report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid}: CI skips nothing. {reason}"
    return report


@pytest.fixture(scope="session", autouse=True)
def runtime_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A separate folder for control sockets, so that tests do not meet an agent of this host."""
    folder = tmp_path_factory.mktemp("run")
    os.environ["RUNTIME_DIRECTORY"] = str(folder)
    return folder


@pytest.fixture(scope="session")
def shared() -> Path:
    """Captures and reference recordings next to the work tree, which are not part of the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("no ../shared with the reference captures")
    return folder


@pytest.fixture(scope="session")
def pcaps() -> Path:
    return ROOT / "pcaps"


@pytest.fixture(scope="session")
def build() -> str:
    """`compiled` or `plain`."""
    return flavour()
