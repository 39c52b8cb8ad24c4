"""Reads the command line and the configuration of `run` in a process of its own, which ends when it has read them.

typer and pydantic keep 13 MB in a process that imports them. The process that captures asks another one for the result,
at the start and for each reload: docs/decisions/memory.md.
"""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from capture_agent.cli.endings import CommandOver, begin, ended
from capture_agent.cli.failures import DONE, FAILED
from capture_agent.os_errors import in_words

if TYPE_CHECKING:
    from capture_agent.config import Config
    from capture_agent.config.precedence import Layers

READ_WITHIN = 25.0  # seconds; `capture-agent reload` waits for 30
LAST_WORDS = 1.0  # seconds from the end of a connection to the end of a process
RECORDS = ("datetime", "ipaddress", "pathlib")  # whose classes are in a configuration, beside its own
PROGRAM_TEXT = (
    "import sys; sys.path[:] = sys.argv[2:]; from capture_agent.cli.settings_reader import answer;"
    " answer(int(sys.argv[1]))"
)

Settings = tuple["Config", "Layers"]
Answer = tuple[int, list[str], Settings | None]  # status, problems


class SettingsReader:
    """`arguments`: the words after `capture-agent`, of which the first one is `run`."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self._path = list(sys.path)
        self._given = given_descriptors()

    def read(self, meanwhile: Callable[[], object] | None = None) -> Settings:
        """As they are now. Raises CommandOver with all problems, and where only a help text was asked for."""
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                reading = self._start(theirs.fileno())
            with reading:
                try:
                    if meanwhile is not None:
                        meanwhile()
                    status, problems, settings = self._ask(ours, reading)
                finally:
                    reading.kill()
        if settings is None:
            raise CommandOver(status, problems)
        return settings

    def _start(self, descriptor: int) -> subprocess.Popen[bytes]:
        """In a session of its own: the keys and the end of a terminal are for the agent."""
        options = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]  # as multiprocessing does
        command = [sys.executable, *options, "-P", "-c", PROGRAM_TEXT, str(descriptor), *self._path]
        try:
            return subprocess.Popen(command, pass_fds=(descriptor, *self._given), start_new_session=True)
        except OSError as error:
            why = f"{sys.executable}: {in_words(error)}"
            raise CommandOver(FAILED, [f"the configuration was not read: {why}"]) from None

    def _ask(self, connection: socket.socket, reading: subprocess.Popen[bytes]) -> Answer:
        try:
            connection.settimeout(READ_WITHIN)
            connection.sendall(pickle.dumps(self._arguments))
            with connection.makefile("rb") as answers:
                answer: Answer = RecordsOnly(answers).load()
            return answer
        except TimeoutError:
            raise CommandOver(FAILED, [f"the configuration was not read within {READ_WITHIN:.0f} s"]) from None
        except Exception:  # whatever a part of an answer leads to
            with suppress(subprocess.TimeoutExpired):
                reading.wait(LAST_WORDS)
            why = f"the process that reads it ended with status {reading.returncode}"
            raise CommandOver(FAILED, [f"the configuration was not read: {why}"]) from None


class RecordsOnly(pickle.Unpickler):
    """Makes records of the configuration, and what they consist of. It calls no other function.

    The agent may capture; another process of its user may not, and must not gain that by sending an answer.
    """

    def find_class(self, module: str, name: str) -> Any:
        if has_records(module):
            found = super().find_class(module, name)
            if isinstance(found, type) and has_records(found.__module__):  # not what the module imports
                return found
        raise pickle.UnpicklingError(f"{module}.{name}")


def has_records(module: str) -> bool:
    return module.startswith("capture_agent.config.") or module.partition(".")[0] in RECORDS


def given_descriptors() -> list[int]:
    """Those that this process was started with, such as that of `run --config <(generate)`."""
    with suppress(OSError):  # of a Python with file capabilities, the folder is root's
        numbers = [int(entry.name) for entry in Path("/proc/self/fd").iterdir()]
        return [number for number in numbers if number > 2 and is_given(number)]
    return []


def is_given(number: int) -> bool:
    """Python makes none that other programs inherit."""
    try:
        return os.get_inheritable(number)
    except OSError:  # that of the list itself
        return False


def answer(descriptor: int) -> None:
    """In the process that reads: to the one that has asked."""
    begin()
    found: list[Settings] = []
    problems: list[str] = []
    with socket.socket(fileno=descriptor) as connection:
        with connection.makefile("rb") as questions:
            arguments: list[str] = pickle.load(questions)
        status = ended(partial(read_into, found, arguments), problems.append)
        with suppress(OSError):  # it has ended, and nobody waits
            connection.sendall(pickle.dumps((status, problems, found[0] if found else None)))


def read_into(found: list[Settings], arguments: list[str]) -> int:
    from capture_agent.cli.program import settings_to_run  # with typer, and all commands

    found.append(settings_to_run(arguments))
    return DONE
