"""Programs that tests run: found or skipped, or installed from npm."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
from cached_folders import cached


def unavailable(what: str) -> NoReturn:
    """Skip with one line, except in CI, where everything should be installed."""
    if os.environ.get("CI"):
        pytest.fail(what, pytrace=False)
    pytest.skip(what)


def program(name: str, package: str) -> str:
    # Debian puts servers where an ordinary user's PATH does not look.
    if (path := shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")) is None:
        unavailable(f"{name} is not installed (Debian package {package})")
    return path


def npm_package(name: str, version: str) -> Path:
    """The node_modules folder that holds the package."""
    npm = program("npm", "npm")

    def install(folder: Path) -> None:
        folder.mkdir()
        command = [npm, "install", f"{name}@{version}", "--prefix", str(folder), "--no-audit", "--no-fund"]
        subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)

    try:
        return cached(f"npm-{name}-{version}", install) / "node_modules"
    except subprocess.SubprocessError as error:
        unavailable(f"npm cannot install {name}@{version}: {error}")
