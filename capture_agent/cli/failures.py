"""The two exceptions that end a command, each with a line for the user and an exit status."""

import logging

from capture_agent.cli import terminal
from capture_agent.view.text import printable

PROGRAM = "capture-agent"

DONE = 0
FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130  # as shells have it: 128 + SIGINT


class Failed(Exception):
    """Something broke while running. One line."""

    status = FAILED


class WrongUsage(Failed):
    """A wrong option, file or configuration. One line that names it, the value and what was expected."""

    status = WRONG_USAGE


def say(line: str, command: str = "") -> None:
    """Write one line to standard error, after the program's name."""
    place = f"{PROGRAM}: {command}: " if command else f"{PROGRAM}: "
    terminal.put(place + printable(line), logging.ERROR)


def note(line: str) -> None:
    """Write one line of information to standard error: the books, or what was done."""
    terminal.put(printable(line))
