"""What users install, built once for all test modules, and a place to install it."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HAS_COMPILER = shutil.which(os.environ.get("CC", "cc")) is not None or shutil.which("gcc") is not None


def need(*programs: str) -> None:
    """Skips where one of them is not installed."""
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed")


def run(*command: str | Path, cwd: Path | None = None, **environ: str) -> str:
    """Its standard output. The commands of this environment come first, and the build is not chosen for it."""
    inherited = {name: value for name, value in os.environ.items() if name != "CAPTURE_AGENT_PURE"}
    inherited["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=inherited | environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """A folder that all workers of a test run share, filled by the first that asks."""
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"shared-{name}"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = folder / ".done"
        if not done.exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            build(folder)
            done.touch()
    return folder


def sources(target: Path) -> None:
    """The sources as a clone has them: nothing built."""
    built = shutil.ignore_patterns(
        ".git", ".venv", ".*cache", "build", "dist", "demo", "*.so", "*.egg-info", "__pycache__"
    )
    shutil.copytree(ROOT, target, ignore=built)


@pytest.fixture(scope="session")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built_once(tmp_path_factory, "clone", lambda folder: sources(folder / "capture-agent")) / "capture-agent"


@pytest.fixture(scope="session")
def dist(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make wheel` writes: the source distribution, and the compiled wheel for this Python."""
    if not HAS_COMPILER:
        pytest.skip("no C compiler")

    def build(folder: Path) -> None:
        shutil.copytree(tree, folder / "sources")
        run("tools/build-wheels", folder / "dist", sys.executable, cwd=folder / "sources")

    return built_once(tmp_path_factory, "dist", build) / "dist"


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    (file,) = dist.glob("*.whl")
    return file


@pytest.fixture(scope="session")
def sdist(dist: Path) -> Path:
    (file,) = dist.glob("*.tar.gz")
    return file


def fresh_environment(folder: Path) -> tuple[str | Path, ...]:
    """pip for a new environment, whose dependencies are those of the environment that runs the tests."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    return (*pip, "install", "--no-deps", "--ignore-installed")
