"""Measures a command: CPU time of the whole process, elapsed time, largest resident size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
LONGEST = 900.0  # seconds: only to end hanging commands


class Failed(Exception):
    """A run without a figure: it failed, or something did not arrive."""


@dataclass(frozen=True, slots=True)
class Usage:
    cpu: float  # seconds, user and system
    wall: float  # seconds
    memory: int  # bytes
    errors: str  # the end of standard error


def measure(
    command: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    keep_output: bool = False,
    meanwhile: Callable[[], None] | None = None,
) -> Usage:
    """Run it; standard output, if kept, is in folder/out, standard error in folder/err. Raises Failed.

    A command that does not end by itself gets SIGTERM once `meanwhile` has returned.
    """
    out, err = folder / "out" if keep_output else Path(os.devnull), folder / "err"
    err.unlink(missing_ok=True)
    launch = [sys.executable, "-I", "-S", str(LAUNCH), str(out), str(err), *command]
    with subprocess.Popen(
        launch, env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            if meanwhile is not None:
                meanwhile()
                os.killpg(process.pid, signal.SIGTERM)
            told, _ = process.communicate(timeout=LONGEST)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if isinstance(error, subprocess.TimeoutExpired):
                raise Failed(f"{command[0]} did not end") from error
            raise
    errors = tail(err)
    if process.returncode != 0:
        raise Failed(f"{command[0]} could not be started")
    status, cpu, wall, kibibytes = told.split()
    if status != "0":
        raise Failed(f"{Path(command[0]).name} ended with status {status}: {errors.strip()}")
    return Usage(float(cpu), float(wall), int(kibibytes) * 1024, errors)


def tail(path: Path, size: int = 4096) -> str:
    """The end of a file. sipgrep writes every message to standard error: a few lines are enough."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace")
